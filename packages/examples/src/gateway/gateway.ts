import { createServer, type Server } from "node:http";
import { spawn, stream, withScope, type Scope } from "bough";
import { expressBough } from "bough/express";
import { outgoingHeaders, serverScope } from "bough/http";
import express from "express";

interface Upstream {
  readonly name: string;
  readonly url: string;
}

export interface GatewayOptions {
  readonly upstreams: readonly Upstream[];
  /** Milliseconds that a request has, unless its header says less. */
  readonly timeout: number;
  /** Milliseconds that each upstream has. */
  readonly upstreamTimeout: number;
  /** Where requests are counted, in the background. */
  readonly audit: (path: string, signal: AbortSignal) => Promise<void>;
}

/** One line of the merged answer. */
export type Line =
  { readonly name: string; readonly body: unknown } | { readonly name: string; readonly error: string };

/**
 * A gateway with one route, `/merged`: asks all upstreams at once and streams their answers, a line of JSON each, in
 * the order in which they arrive. An upstream that fails or is late costs its own line only.
 */
export function createGateway({ upstreams, timeout, upstreamTimeout, audit }: GatewayOptions): Server {
  const app = express();
  app.use(expressBough({ timeout, deadlineHeader: true }));
  app.get("/merged", async (request, response) => {
    const ask = (upstream: Upstream, scope: Scope): Promise<Line> =>
      askUpstream(upstream, scope, upstreamTimeout);
    const lines = stream(request.scope, upstreams, ask, { concurrency: upstreams.length, ordered: false });
    response.type("application/x-ndjson");
    for await (const line of lines) response.write(`${JSON.stringify(line)}\n`);
    response.end();
    // In the server's scope: it continues when the response is done, and a shutdown waits for it.
    spawn(serverScope(server), ({ signal }) => audit(request.path, signal), { name: "audit" });
  });
  const server = createServer(app);
  return server;
}

async function askUpstream({ name, url }: Upstream, scope: Scope, timeout: number): Promise<Line> {
  try {
    return await withScope(scope, { name, timeout }, async (call) => {
      const response = await fetch(url, { signal: call.signal, headers: outgoingHeaders(call) });
      if (!response.ok) throw new Error(`status ${response.status}`);
      return { name, body: await response.json() };
    });
  } catch (error) {
    scope.throwIfCancelled(); // the whole request is over, not only this call
    return { name, error: error instanceof Error ? error.message : String(error) };
  }
}
