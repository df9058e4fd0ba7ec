// Prints the article's three ways to end a background worker: the owner stops it, the garbage collector does, and
// somebody waits for it.

import { close, sleep, withScope, type Scope } from "bough";
import { collectGarbage } from "bough/testing";
import { App } from "./app.js";
import { createCache } from "./cache.js";
import { createLruCache } from "./lru-cache.js";

/** Stops an app after its third round. */
async function stopExplicitly(): Promise<void> {
  console.log("An app that is stopped");
  let rounds = 0;
  let enough = (): void => {};
  const worked = new Promise<void>((resolve) => (enough = resolve));
  const app = new App(() => {
    rounds += 1;
    if (rounds > 3) return;
    console.log(`  round ${rounds}`);
    if (rounds === 3) enough();
  }, 10);
  app.onStopped = () => console.log("  onStopped");
  await worked;
  await app.stop();
  console.log("  stop() has returned");
}

/** The original's `TestFinalizer`. */
async function forget(scope: Scope): Promise<void> {
  console.log("A cache that is forgotten");
  let stops = 0;
  let cache: ReturnType<typeof createCache<object>> | undefined = createCache<object>(60_000, 1_000);
  cache.onStopped = countTo((count) => (stops = count));
  cache.set("key1", { text: "some thing" });
  console.log(`  key1 is ${JSON.stringify(cache.get("key1"))}; stops so far: ${stops}`);
  cache = undefined;
  await collectGarbage();
  await sleep(scope, 100);
  console.log(`  stops after the collection: ${stops}`);
}

/** Not written in `forget`: a closure there would keep what the function's other closures mention. */
function countTo(tell: (count: number) => void): () => void {
  let count = 0;
  return () => tell((count += 1));
}

/** Closes a cache while its evicter is at work. */
async function waitForEvicter(scope: Scope): Promise<void> {
  console.log("An LRU cache that is closed while it evicts");
  let begun = (): void => {};
  const evicting = new Promise<void>((resolve) => (begun = resolve));
  const cache = createLruCache<string>({
    capacity: 2,
    lifetime: 0,
    interval: 20,
    onEvict: async (key, value, scope) => {
      console.log(`  ${key} (${value}) is being written to the disk …`);
      begun();
      await sleep(scope, 50);
      console.log(`  ${key} is written`);
    },
  });
  for (const [key, value] of Object.entries({ a: "1", b: "2", c: "3" })) cache.set(key, value);
  console.log(`  it has ${cache.keys.join(" and ")}: there is room for two`);
  await evicting;
  console.log("  close()");
  await close(cache);
  console.log(`  close() has returned: the evicter has terminated; ${cache.keys.join(", ")} was not evicted`);
  await sleep(scope, 50);
}

await withScope({ name: "cache example" }, async (scope) => {
  await stopExplicitly();
  await forget(scope);
  await waitForEvicter(scope);
});
