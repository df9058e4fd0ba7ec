// How deep may a tree be that is built level by level, then cancelled and joined? One library and one depth for each run:
//   node bench/depth/peers.mjs effection 1000
// docs/comparison.md has the results. trio.py and levels.go beside this file do the same.
import { createScope, spawn } from "bough";
import { Effect, Fiber } from "effect";
import { run, spawn as spawnOperation, suspend } from "effection";

const [library, text] = process.argv.slice(2);
const depth = Number(text);

/** Resolves when `count` levels are there. */
function counter(count) {
  let reached;
  const done = new Promise((resolve) => (reached = resolve));
  let levels = 0;
  return { done, add: () => void (++levels === count && reached()) };
}

const libraries = {
  async bough(levels) {
    const handle = createScope();
    let parent = handle;
    for (let level = 0; level < depth; level++) {
      spawn(parent, (scope) => {
        parent = scope;
        levels.add();
        return new Promise((_, reject) => scope.onCancel(reject));
      });
    }
    await levels.done;
    return () => handle.close();
  },
  async effection(levels) {
    function* level(rest) {
      levels.add();
      if (rest > 1) yield* spawnOperation(() => level(rest - 1));
      yield* suspend();
    }
    const task = run(() => level(depth));
    task.catch(() => {});
    await Promise.race([levels.done, task]);
    return () => task.halt();
  },
  async effect(levels) {
    const level = (rest) =>
      Effect.gen(function* () {
        levels.add();
        if (rest > 1) yield* Effect.forkChild(level(rest - 1));
        yield* Effect.never;
      });
    const fiber = Effect.runFork(level(depth));
    await levels.done;
    return () => Effect.runPromise(Fiber.interrupt(fiber));
  },
};

process.on("uncaughtException", (error) => {
  console.log(`${library} ${depth}: ${String(error).slice(0, 80)}`);
  process.exit(1);
});
// Without it a process ends silently when only promises are pending.
const alive = setInterval(() => {}, 1_000);
const levels = counter(depth);
const start = performance.now();
const cancel = await libraries[library](levels);
const built = performance.now();
await cancel();
console.log(
  `${library} ${depth}: built in ${Math.round(built - start)} ms, cancelled and joined in ${Math.round(performance.now() - built)} ms`,
);
clearInterval(alive);
