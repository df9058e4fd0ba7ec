import { get } from "node:http";
import { sleep, spawn, withScope, type Scope } from "bough";
import type { Ledger } from "./ledger.js";
import { plan, type Visit } from "./visits.js";

/** The result for a client: the status of its answer, or that it left without one. */
export type Sight = number | "hung up";

/** Sends every client at its time; resolves when the last one is done. */
export function sendCrowd(
  scope: Scope,
  url: string,
  visits: readonly Visit[],
  ledger: Ledger,
): Promise<void> {
  return withScope(scope, { name: "clients" }, async (scope) => {
    for (const [index, visit] of visits.entries()) {
      const client = async (scope: Scope): Promise<void> => {
        await sleep(scope, visit.at);
        ledger.seen(await call(scope, url, visit));
      };
      spawn(scope, client, { name: `client ${index + 1}` });
    }
  });
}

/** Sends a client every `every` milliseconds, of every kind in turn, until `scope` is cancelled. */
export async function keepSending(scope: Scope, url: string, every: number, ledger: Ledger): Promise<never> {
  const round = plan({ visits: 6, every });
  for (;;) {
    for (const visit of round) {
      spawn(scope, async (own) => ledger.seen(await call(own, url, visit)), { name: "client" });
      await sleep(scope, every);
    }
  }
}

/** Asks for prices over a socket of its own, and hangs up half-way if that is the plan. */
function call(scope: Scope, url: string, visit: Visit): Promise<Sight> {
  return new Promise((resolve, reject) => {
    const headers = { "x-request-timeout-ms": String(visit.within) };
    const options = { agent: false, signal: scope.signal, headers };
    const request = get(`${url}/?shops=${visit.shops.join(",")}`, options);
    let prices = 0;
    request.on("information", ({ statusCode }) => {
      if (statusCode !== 102) return;
      prices += 1;
      if (prices !== visit.hangUpAfter) return;
      request
        .off("error", reject)
        .on("error", () => {})
        .destroy();
      resolve("hung up");
    });
    request.on("response", (response) => {
      response.resume().on("error", reject);
      response.on("end", () => resolve(response.statusCode ?? 0));
    });
    request.on("error", reject);
  });
}
