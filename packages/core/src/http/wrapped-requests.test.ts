import { once } from "node:events";
import http2 from "node:http2";
import https from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo, Server } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { certificate } from "../../test/support/certificate.js";
import { deferred } from "../../test/support/deferred.js";
import { transports } from "../../test/support/http-clients.js";
import { serve, type Handler } from "../../test/support/http-server.js";
import type { CancelledError, Scope } from "../index.js";
import { requestScope, serverScope } from "./index.js";

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

/** Servers with TLS, and how their client asks and leaves. */
const secure: Record<string, { make: (listener: Handler) => Server; ask: (port: number) => () => void }> = {
  "node:https": {
    make: (listener) => https.createServer(certificate, listener),
    ask: (port) => {
      const request = https.get({ host: "127.0.0.1", port, agent: false, rejectUnauthorized: false });
      request.on("error", () => undefined);
      return () => request.destroy();
    },
  },
  "node:http2 with TLS": {
    make: (listener) => http2.createSecureServer(certificate, listener as never),
    ask: (port) => {
      const client = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
      client.on("error", () => undefined);
      client.request({ ":path": "/" }).on("error", () => undefined);
      return () => client.destroy();
    },
  },
};

describe.each(Object.entries(secure))("over %s", (_, { make, ask }) => {
  it.each(Object.entries(wraps))(
    "rule 28: a disconnect cancels the scope of a handler that is given %s",
    async (_which, wrap) => {
      const asked = deferred<readonly Scope[]>();
      const server = make((request, response) => {
        asked.resolve([requestScope(...wrap(request, response)), requestScope(request, response)]);
      });
      onTestFinished(() => void server.close());
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      const leave = ask((server.address() as AddressInfo).port);
      const [scope, own] = await asked.promise;
      expect(scope).toBe(own);
      const cancelled = new Promise<CancelledError>((resolve) => scope?.onCancel(resolve));
      leave();
      expect(await cancelled).toMatchObject({ kind: "disconnected" });
      await expect.poll(() => scope?.state).toBe("closed");
    },
  );
});
