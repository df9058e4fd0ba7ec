import { describe, expect, it } from "vitest";
import { transports } from "../../test/support/http-clients.js";
import { serve } from "../../test/support/http-server.js";
import type { Scope } from "../index.js";
import { requestScope, serverScope } from "./index.js";
import type { IncomingMessage, ServerResponse } from "node:http";

// Middleware may hand a handler an object that stands for the request or the response.

type Pair = readonly [IncomingMessage, ServerResponse];

const wraps: Record<string, (request: IncomingMessage, response: ServerResponse) => Pair> = {
  "a proxy of the request": (request, response) => [new Proxy(request, {}), response],
  "an object with the request as its prototype": (request, response) => [
    Object.create(request) as IncomingMessage,
    response,
  ],
  "a proxy of the response": (request, response) => [request, new Proxy(response, {})],
  "an object with the response as its prototype": (request, response) => [
    request,
    Object.create(response) as ServerResponse,
  ],
  "proxies of both": (request, response) => [new Proxy(request, {}), new Proxy(response, {})],
  "objects with both as their prototypes": (request, response) => [
    Object.create(request) as IncomingMessage,
    Object.create(response) as ServerResponse,
  ],
};

describe.each(Object.entries(wraps))("a handler that is given %s", (_, wrap) => {
  it.each(
    transports.flatMap((transport) => (["first", "second"] as const).map((turn) => ({ transport, turn }))),
  )(
    "rule 28: has the scope of the request over $transport, if it asks $turn",
    async ({ transport, turn }) => {
      const scopes: Scope[] = [];
      const bench = await serve(transport, (request, response) => {
        const pairs: Pair[] = [[request, response], wrap(request, response)];
        if (turn === "first") pairs.reverse();
        for (const [own, other] of pairs) scopes.push(requestScope(own, other));
        response.end();
      });
      serverScope(bench.server);
      const exchange = await bench.request({ path: "/a" });
      bench.release();
      await exchange.answer;
      expect(scopes).toHaveLength(2);
      expect(scopes[0]).toBe(scopes[1]);
      await expect.poll(() => scopes[0]?.state).toBe("closed");
      expect(scopes[0]?.reason).toBeUndefined();
    },
  );
});
