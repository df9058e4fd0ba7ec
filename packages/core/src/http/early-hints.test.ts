import type { ServerResponse } from "node:http";
import { describe, expect, it } from "vitest";
import { transports } from "../../test/support/http-clients.js";
import { serve } from "../../test/support/http-server.js";
import { sleep, type Scope } from "../index.js";
import { requestScope, serverScope } from "./index.js";

// Informational responses do not begin the response of a request.

type Handler = (scope: Scope, response: ServerResponse) => Promise<unknown>;

const hint = (response: ServerResponse): void => response.writeEarlyHints({ link: "</a.css>; rel=preload" });

const cases: readonly [string, Handler, { status: number; body?: string }, number[]][] = [
  [
    "a handler that ignores its deadline",
    async (_scope, response) => {
      hint(response);
      await new Promise((resolve) => response.on("close", resolve));
    },
    { status: 503 },
    [503],
  ],
  [
    "a handler that fails by its deadline",
    async (scope, response) => {
      hint(response);
      await sleep(scope, 60_000);
    },
    { status: 503 },
    [503],
  ],
  [
    "a handler that answers after its deadline, with hints first",
    async (scope, response) => {
      await sleep(scope, 60_000).catch(() => undefined);
      hint(response);
      response.end("mine");
    },
    { status: 200, body: "mine" },
    [],
  ],
];

describe.each(transports)("early hints, over %s", (transport) => {
  it.each(cases)("leave the answer open: %s", async (_which, handler, expected, statuses) => {
    const seen: number[] = [];
    const bench = await serve(transport, (request, response) =>
      handler(requestScope(request, response, { timeout: 20 }), response).catch(() => undefined),
    );
    serverScope(bench.server, { onCancelled: ({ status }) => seen.push(status) });
    const { answer } = await bench.request();
    bench.release();
    expect(await answer).toMatchObject({ ...expected, complete: true });
    expect(seen).toEqual(statuses);
  });
});
