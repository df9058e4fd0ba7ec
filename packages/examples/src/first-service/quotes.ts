import { setTimeout as delay } from "node:timers/promises";
import { map, type Scope } from "bough";

/** How many milliseconds each supplier takes to answer. */
const suppliers: Record<string, number> = { north: 30, south: 60, west: 120 };

/** Stands for a call over the network. It takes a signal, as `fetch` does. */
async function askSupplier(name: string, item: string, signal: AbortSignal): Promise<string> {
  const time = suppliers[name] ?? 0;
  try {
    await delay(item === "piano" ? time * 100 : time, undefined, { signal });
    return `${name}: ${item.length + time} €`;
  } finally {
    if (signal.aborted) console.log(`${name}: stopped`);
  }
}

/** Asks all suppliers at once. If one fails, the others are stopped. */
export function quotes(scope: Scope, item: string): Promise<string[]> {
  return map(scope, Object.keys(suppliers), (name, task) => askSupplier(name, item, task.signal));
}
