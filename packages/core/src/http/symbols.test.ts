import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { deferred } from "../../test/support/deferred.js";
import type { Transport } from "../../test/support/http-clients.js";
import { serve } from "../../test/support/http-server.js";
import { requestScope } from "./index.js";

const TIMEOUT = 1_000;

describe.each<Transport>(["http/1.1", "pipelined", "http/2"])("a late answer over %s", (transport) => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] }));
  afterEach(() => void vi.useRealTimers());

  /** A handler that does not look at its scope and answers by `late`, when it has been answered for. */
  async function exchange(
    late: (response: ServerResponse) => void,
    when: "at once" | "when the client has its answer",
    prepare: (response: ServerResponse) => void = () => undefined,
  ): Promise<ServerResponse> {
    const arrived = deferred<ServerResponse>();
    const done = deferred();
    const bench = await serve(transport, (request, response) => {
      if (request.url === "/next") return void response.end("next");
      prepare(response);
      const scope = requestScope(request, response, { timeout: TIMEOUT });
      if (when === "at once") scope.onCancel(() => setImmediate(() => done.resolve(late(response))));
      arrived.resolve(response);
    });
    const client = await bench.connect();
    const { answer } = await client.request();
    const response = await arrived.promise;
    vi.advanceTimersByTime(TIMEOUT);
    bench.release();
    expect(await answer).toMatchObject({ status: 503, body: "Service Unavailable\n", complete: true });
    if (when !== "at once") done.resolve(late(response));
    await done.promise;
    const next = await client.request({ path: "/next" });
    expect(await next.answer).toMatchObject({ status: 200, body: "next", complete: true });
    return response;
  }

  it.each(["at once", "when the client has its answer"] as const)(
    "is discarded without an error: %s",
    async (when) => {
      const sent = deferred();
      await exchange((response) => {
        response.statusCode = 200;
        response.setHeader("content-type", "text/html").removeHeader("etag");
        response.writeHead(200, { "x-late": "yes" }).write("late");
        response.end("r", () => sent.resolve());
      }, when);
      await sent.promise;
    },
  );

  it("reads a stream that it comes from to the end", async () => {
    const piped = Readable.from(["a", "b"]);
    const pipelined = deferred();
    await exchange((response) => {
      piped.pipe(response);
      // It may reject: that is up to Node.
      const settled = pipeline(Readable.from(["a", "b"]), response).catch(() => undefined);
      void settled.then(pipelined.resolve);
    }, "when the client has its answer");
    await pipelined.promise;
    expect(piped.readableEnded).toBe(true);
  });

  it("does not change an answer whose end is delayed by middleware", async () => {
    const response = await exchange(
      (late) => late.end("late"),
      "when the client has its answer",
      (early) => {
        const end = early.end.bind(early);
        early.end = (...args: unknown[]) => {
          setImmediate(() => Reflect.apply(end, early, args));
          return early;
        };
      },
    );
    expect(response.statusCode).toBe(503);
  });
});
