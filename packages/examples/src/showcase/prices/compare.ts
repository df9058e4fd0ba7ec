import type { IncomingMessage, ServerResponse } from "node:http";
import { spawn, type Scope } from "bough";
import { requestOutcome, requestScope } from "bough/http";
import { ask, ShopError } from "./ask.js";
import type { Ledger } from "./ledger.js";
import { serve } from "./serve.js";

/**
 * The price-comparison server. `GET /?shops=fast,slow` asks these shops at the same time and answers with all their prices. It
 * answers 502 if a shop fails, and 504 if the time in the client's header `x-request-timeout-ms` is over.
 *
 * Everything that a request starts lives in the request's scope, a child of the server's. However the request ends, the
 * calls that are still out are cancelled, and awaited, before it has ended.
 */
export async function openComparison(
  parent: Scope,
  shops: ReadonlyMap<string, string>,
  ledger: Ledger,
): Promise<string> {
  async function compare(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { searchParams } = new URL(request.url ?? "", "http://localhost");
    const names = (searchParams.get("shops") ?? "").split(",");
    const scope = requestScope(request, response);
    scope.throwIfCancelled(); // the server may be shutting down
    const entry = ledger.open(names, scope.deadline);
    scope.defer(() => ledger.close(entry, scope));

    const askShop = async (call: Scope): Promise<[string, number]> => {
      ledger.openCall(entry, call.name);
      call.defer(() => ledger.closeCall(entry, call));
      const price = await ask(call.name, shops.get(call.name) ?? "", call.signal);
      response.writeProcessing(); // an interim "102": one more price is in
      return [call.name, price];
    };
    const prices = await Promise.all(names.map((name) => spawn(scope, askShop, { name })));
    reply(response, 200, Object.fromEntries(prices));
  }

  // The header is the client's own deadline: that is why it is answered with 504, and not with 503.
  const { url } = await serve(parent, { name: "server", deadlineHeader: true }, (request, response) => {
    compare(request, response).catch((error: unknown) => {
      const outcome = requestOutcome(request, response, error); // 499, 503 or 504 if the request was cancelled
      reply(response, outcome.status ?? statusOf(outcome.error), { error: String(outcome.error) });
    });
  });
  return url;
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function statusOf(error: unknown): number {
  if (error instanceof ShopError) return 502;
  return error instanceof RangeError ? 400 : 500; // 400: no such shop
}
