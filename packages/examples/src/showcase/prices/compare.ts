import type { ServerResponse } from "node:http";
import { DeadlineExceededError, isCancelled, spawn, withScope, type Scope } from "bough";
import { ask, ShopError } from "./ask.js";
import type { Ledger } from "./ledger.js";
import { cancelOnHangUp, serve } from "./serve.js";

/**
 * The price-comparison server. `GET /?shops=fast,slow&within=500` asks these shops at the same time and answers
 * with all their prices, or with an error when one fails (502) or they take longer than `within` ms (504).
 *
 * Everything that a request starts lives in one scope, a child of the server's. However the request ends, the
 * calls that are still out are cancelled, and awaited, before it has ended.
 */
export async function openComparison(
  server: Scope,
  shops: ReadonlyMap<string, string>,
  ledger: Ledger,
): Promise<string> {
  let requests = 0;
  const { url } = await serve(server, (request, response) => {
    const { searchParams } = new URL(request.url ?? "", "http://localhost");
    const names = (searchParams.get("shops") ?? "").split(",");
    const within = Number(searchParams.get("within"));
    const id = (requests += 1);

    withScope(server, { name: `request ${id}`, timeout: within }, (scope) => {
      const entry = ledger.open(id, names, within);
      scope.defer(() => ledger.close(entry, scope));
      cancelOnHangUp(scope, response);

      const askShop = async (scope: Scope): Promise<[string, number]> => {
        ledger.openCall(entry, scope.name);
        scope.defer(() => ledger.closeCall(entry, scope));
        const price = await ask(scope.name, shops.get(scope.name) ?? "", scope.signal);
        response.writeProcessing(); // an interim "102": one more price is in
        return [scope.name, price];
      };
      return Promise.all(names.map((name) => spawn(scope, askShop, { name })));
    }).then(
      (prices) => reply(response, 200, Object.fromEntries(prices)),
      (error: unknown) => reply(response, statusOf(error), { error: String(error) }),
    );
  });
  return url;
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  if (response.destroyed) return; // nobody is there to read it
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function statusOf(error: unknown): number {
  if (error instanceof DeadlineExceededError) return 504;
  if (error instanceof ShopError) return 502;
  if (error instanceof RangeError) return 400; // no such shop, or no such time
  return isCancelled(error) ? 503 : 500;
}
