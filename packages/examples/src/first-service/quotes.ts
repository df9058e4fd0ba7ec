import { setTimeout as delay } from "node:timers/promises";
import { map, type Scope } from "bough";

/** How long each supplier takes to answer, in milliseconds. */
const suppliers: Record<string, number> = { north: 30, south: 60, west: 120 };

/** Stands in for a network call. It takes a signal, as `fetch` does. */
async function askSupplier(name: string, item: string, signal: AbortSignal): Promise<string> {
  const time = suppliers[name] ?? 0;
  try {
    await delay(item === "piano" ? time * 100 : time, undefined, { signal });
    return `${name}: ${item.length + time} €`;
  } finally {
    if (signal.aborted) console.log(`${name}: stopped`);
  }
}

/** Asks all suppliers at once. If one call fails, the others are cancelled. */
export function quotes(scope: Scope, item: string): Promise<string[]> {
  return map(scope, Object.keys(suppliers), (name, task) => askSupplier(name, item, task.signal));
}
