import type { IncomingMessage, ServerResponse } from "node:http";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { deferred, flush } from "../../test/support/deferred.js";
import { transports, type Answer, type Exchange } from "../../test/support/http-clients.js";
import { serve, type Bench } from "../../test/support/http-server.js";
import { collectUnhandled } from "../../test/support/unhandled-rejections.js";
import { sleep, spawn, type Scope } from "../index.js";
import { requestOutcome, requestScope, serverScope } from "./index.js";

// A handler that has begun its answer fails, and does what the examples of the docs do: `writeHead(status).end()`. Node throws
// there, in the code that catches the errors, so that each of these would be an unhandled rejection.

const TIMEOUT = 1_000;
const boom = new Error("boom");
const unhandled = collectUnhandled();

/** `seen` settles when the client has the beginning of the answer. */
type Body = (scope: Scope, response: ServerResponse, seen: Promise<void>) => Promise<unknown>;
type Fail = (request: IncomingMessage, response: ServerResponse, error: unknown) => void;

/** How a handler may begin its second answer. */
const answers: Readonly<Record<string, Fail>> = {
  "writeHead, as in the docs": (request, response, error) => {
    const { status } = requestOutcome(request, response, error);
    response.writeHead(status ?? 500).end();
  },
  "a header and the status": (request, response, error) => {
    response.statusCode = requestOutcome(request, response, error).status ?? 500;
    response.setHeader("content-type", "text/plain");
    response.write("sor");
    response.end("ry");
  },
  "writeHead, whatever the error is": (_, response) => {
    response.writeHead(500, { "x-late": "yes" }).end("sorry");
  },
  "a header that is taken back": (_, response) => {
    response.removeHeader("content-length");
    response.end("sorry");
  },
};

describe.each(transports)("a handler that fails in the middle of its answer, over %s", (transport) => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] }));
  afterEach(() => void vi.useRealTimers());

  /** Requests what `body` answers and `fail` answers again. `interfere` runs once the client has the beginning. */
  async function exchange(
    body: Body,
    fail: Fail,
    interfere: (bench: Bench, client: Exchange) => unknown = () => undefined,
  ): Promise<{ answer: Answer | undefined; statuses: number[] }> {
    const seen = deferred();
    const failed = deferred();
    const statuses: number[] = [];
    const bench = await serve(transport, async (request, response) => {
      if (request.url === "/next") return void response.end("next");
      try {
        await body(requestScope(request, response, { timeout: TIMEOUT }), response, seen.promise);
      } catch (error) {
        failed.resolve();
        fail(request, response, error);
      }
    });
    serverScope(bench.server, {
      onError: () => undefined,
      onCancelled: ({ status }) => statuses.push(status),
    });
    const client = await bench.request();
    bench.release();
    await client.started;
    seen.resolve();
    await interfere(bench, client);
    await failed.promise;
    const answer = await client.answer;
    await flush();
    expect(unhandled).toEqual([]);
    const next = bench.server.listening
      ? await (
          await bench.request({ path: "/next" })
        ).answer
      : { body: "next" };
    expect(next).toMatchObject({ body: "next" });
    return { answer, statuses };
  }

  const begin: Body = async (scope, response) => {
    response.write("part");
    await sleep(scope, 60_000);
  };

  describe.each(Object.keys(answers))("by %s", (name) => {
    const fail = answers[name] as Fail;

    it("rule 30: because its time is up, is cut off, and counts as 503", async () => {
      const { answer, statuses } = await exchange(begin, fail, () => vi.advanceTimersByTime(TIMEOUT));
      expect(answer).toMatchObject({ status: 200, body: "part", complete: false });
      expect(statuses).toEqual([503]);
    });

    it("rule 30: because its client has left, counts as 499, and nothing is sent", async () => {
      const { statuses } = await exchange(begin, fail, (_, client) => client.abort());
      expect(statuses).toEqual([499]);
    });

    it("rule 30: because a task has failed, is cut off, and is not a cancellation", async () => {
      const { answer, statuses } = await exchange(async (scope, response, seen) => {
        response.write("part");
        spawn(scope, async () => {
          await seen;
          throw boom;
        });
        await sleep(scope, 60_000);
      }, fail);
      expect(answer).toMatchObject({ status: 200, body: "part", complete: false });
      expect(statuses).toEqual([]);
    });

    it("rule 30: because the server shuts down, is cut off, and counts as 503", async () => {
      const { answer, statuses } = await exchange(begin, fail, ({ server }) => {
        serverScope(server).cancel();
      });
      expect(answer).toMatchObject({ status: 200, body: "part", complete: false });
      expect(statuses).toEqual([503]);
    });
  });

  it("rule 30: by itself, is cut off where it asks for the outcome", async () => {
    const { answer, statuses } = await exchange(async (_, response, seen) => {
      response.write("part");
      await seen;
      throw boom;
    }, answers["writeHead, as in the docs"] as Fail);
    expect(answer).toMatchObject({ status: 200, body: "part", complete: false });
    expect(statuses).toEqual([]);
  });

  it("rule 30: by itself, may end its answer", async () => {
    const { answer } = await exchange(
      async (_, response, seen) => {
        response.write("part");
        await seen;
        throw boom;
      },
      (request, response, error) => {
        requestOutcome(request, response, error);
        response.end(", and that was all");
      },
    );
    expect(answer).toMatchObject({ status: 200, body: "part, and that was all", complete: true });
  });

  it("rule 30: after its end, leaves the answer complete", async () => {
    const { answer, statuses } = await exchange(async (_, response, seen) => {
      response.end("whole");
      await seen;
      throw boom;
    }, answers["writeHead, as in the docs"] as Fail);
    expect(answer).toMatchObject({ status: 200, body: "whole", complete: true });
    expect(statuses).toEqual([]);
  });
});
