import { createScope, sleep, spawn, type Scope } from "bough";
import { setTracing } from "bough/inspect";
import { inspector } from "bough/inspector";
import { openComparison } from "./prices/compare.js";
import { keepSending } from "./prices/crowd.js";
import { Ledger } from "./prices/ledger.js";
import { openShops, type Pace } from "./prices/shops.js";
import { plantStuckTask } from "./stuck.js";

/** How the price comparison is kept running. */
export interface LiveOptions {
  /** Whether one task ignores its cancellation, to be found from outside. */
  readonly plantStuck: boolean;
  /** Milliseconds from one client to the next. */
  readonly every?: number;
  /** Milliseconds that the shops take. */
  readonly pace?: Pace;
  /** Writes a line. */
  readonly print: (line: string) => void;
}

const defaultPace: Pace = { fast: 80, slow: 350, chunk: 180, failing: 250 };

/**
 * The price comparison under a gentle load, twenty clients a second, until `scope` is cancelled: a running system to look into.
 */
export async function serveLive(scope: Scope, options: LiveOptions): Promise<void> {
  const { plantStuck, every = 50, pace = defaultPace, print } = options;
  setTracing(true); // each scope has the line that started it, and who cancelled it
  const ledger = new Ledger();
  await using street = createScope(scope, { name: "shops" });
  const shops = await openShops(street, pace, ledger);
  await using comparison = createScope(scope, { name: "comparison" });
  const url = await openComparison(comparison, shops, ledger);
  const page = inspector();
  scope.defer(() => page.close());
  const address = await page.listen({ port: 0 });
  if (plantStuck) plantStuckTask(scope);
  spawn(scope, (own) => keepSending(own, url, every, ledger), { name: "clients" });

  print(`The price comparison serves ${url} to ${Math.round(1_000 / every)} clients a second, until Ctrl-C.`);
  if (plantStuck) print("One task ignores its cancellation. Which one, on which line, and who cancelled it?");
  print("Look into it from another terminal:");
  print(`  npx bough inspect ${process.pid}          # the tree and the warnings, once`);
  print(`  npx bough inspect ${process.pid} --watch  # the same, live`);
  print(`  ${address}  # in a browser`);
  await sleep(scope, Infinity);
}
