import type { ServerResponse } from "node:http";
import { sleep, type Scope } from "bough";
import { requestScope } from "bough/http";
import type { Ledger } from "./ledger.js";
import { serve } from "./serve.js";

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
    const listening = await serve(scope, { name }, (request, response) => {
      books.served += 1;
      // A comparison that stops asking closes the socket: so its cancellation arrives here, across the wire.
      const own = requestScope(request, response);
      own.onCancel(({ kind }) => {
        if (kind === "disconnected") books.hungUp += 1;
      });
      shopkeepers[name](own, response, pace).catch(() => response.destroy());
    });
    books.sockets = () => listening.sockets();
    urls.set(name, listening.url);
  }
  return urls;
}
