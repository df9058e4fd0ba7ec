import type { ServerResponse } from "node:http";
import { sleep, withScope, type Scope } from "bough";
import type { Ledger } from "./ledger.js";
import { cancelOnHangUp, ClientGone, serve } from "./serve.js";

/** The upstream servers, named after what they are like. */
export const shopNames = ["fast", "slow", "chunked", "failing", "silent"] as const;
export type ShopName = (typeof shopNames)[number];

/** Milliseconds that a shop takes. */
export interface Pace {
  readonly fast: number;
  readonly slow: number;
  /** From one of the five parts of its answer to the next. */
  readonly chunk: number;
  readonly failing: number;
}

/** How a shop answers a request, in the scope of that request. */
type Shopkeeper = (scope: Scope, response: ServerResponse, pace: Pace) => Promise<void>;

const shopkeepers: Readonly<Record<ShopName, Shopkeeper>> = {
  async fast(scope, response, pace) {
    await sleep(scope, pace.fast);
    response.end(JSON.stringify({ price: 12.49 }));
  },
  async slow(scope, response, pace) {
    await sleep(scope, pace.slow);
    response.end(JSON.stringify({ price: 11.99 }));
  },
  async chunked(scope, response, pace) {
    for (const part of ['{"pr', "ice", '": ', "10.", "95}"]) {
      await sleep(scope, pace.chunk);
      response.write(part);
    }
    response.end();
  },
  async failing(scope, response, pace) {
    await sleep(scope, pace.failing);
    response.writeHead(500).end("out of order");
  },
  silent: (scope) => sleep(scope, Infinity),
};

/** Opens every shop on a port of its own; they close with `scope`. */
export async function openShops(scope: Scope, pace: Pace, ledger: Ledger): Promise<Map<ShopName, string>> {
  const urls = new Map<ShopName, string>();
  for (const name of shopNames) {
    const books = ledger.shop(name);
    const listening = await serve(scope, (_request, response) => {
      books.served += 1;
      // A comparison that stops asking closes the socket: so its cancellation arrives here, across the wire.
      withScope(scope, { name: `at ${name}` }, (request) => {
        cancelOnHangUp(request, response);
        request.onCancel(({ cause }) => {
          if (cause instanceof ClientGone) books.hungUp += 1;
        });
        return shopkeepers[name](request, response, pace);
      }).catch(() => response.destroy());
    });
    books.sockets = () => listening.sockets();
    urls.set(name, listening.url);
  }
  return urls;
}
