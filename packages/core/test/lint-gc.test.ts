import { EventEmitter } from "node:events";
import { Linter } from "eslint";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import plugin from "../src/eslint/index.js";
import * as bough from "../src/index.js";
import { collectGarbage } from "../src/testing/index.js";

// Code that the lint rule flags keeps a handle alive, and other code does not. Each piece of code is linted, then run.

const loop = "for (;;) await sleep(own, 60_000);";

/** Makes a handle, shows it to `watch`, and drops it. `world` and `registry` live on. */
const pinned = {
  "a worker that mentions the handle":
    "const h = createScope(); watch(h); spawn(h, async (own) => { await sleep(own, 1e6); h.cancel(); });",
  "a listener of something that lives on":
    'const h = createScope(); watch(h); world.on("exit", () => void h.close());',
  "a listener that is there for one event only":
    'const h = createScope(); watch(h); world.once("exit", () => void h.close());',
  "a listener that has a name":
    'const h = createScope(); watch(h); const stop = () => h.close(); world.on("exit", stop);',
  "a listener that the scope's own cleanup would remove":
    'const h = createScope(); watch(h); const stop = () => h.close(); world.on("exit", stop); h.defer(() => world.off("exit", stop));',
  "a listener of the scope's own signal":
    'const h = createScope(); watch(h); h.signal.addEventListener("abort", () => h.state);',
  "an interval": "const h = createScope(); watch(h); setInterval(() => h.throwIfCancelled(), 1e6);",
  "an interval that lets the process end":
    "const h = createScope(); watch(h); setInterval(() => h.throwIfCancelled(), 1e6).unref();",
  "an interval that the scope's own cleanup would clear":
    "const h = createScope(); watch(h); const t = setInterval(() => h.state, 1e6); h.defer(() => clearInterval(t));",
  "a worker in a field of the class":
    "new (class { scope = createScope(); run = async (own) => { await sleep(own, 1e6); this.done = true; }; constructor() { watch(this.scope); spawn(this.scope, this.run); } })();",
  "a timer that sets itself again":
    "const h = createScope(); watch(h); const tick = () => { h.throwIfCancelled(); setTimeout(tick, 10); }; tick();",
  "a sibling of a worker": `const h = createScope(); watch(h); let n = 0; spawn(h, async (own) => { ${loop} n++; }); [1].forEach(() => h.throwIfCancelled());`,
  "a sibling of a worker that uses no variable": `const h = createScope(); watch(h); spawn(h, async (own) => { ${loop} }); [1].forEach(() => h.throwIfCancelled());`,
  "a sibling that is returned and dropped": `const h = createScope(); watch(h); spawn(h, async (own) => { ${loop} }); return { stop: () => h.close() };`,
  "a sibling of an interval":
    "const h = createScope(); watch(h); let n = 0; setInterval(() => n++, 1e6); return { get state() { return h.state; } };",
  "a sibling of a worker that is a declaration": `const h = createScope(); watch(h); spawn(h, work); async function work(own) { ${loop} } return () => h.cancel();`,
  "a sibling, by this": `new (class { scope = createScope(); constructor() { watch(this.scope); spawn(this.scope, async (own) => { ${loop} }); [1].forEach(() => this.scope.state); } })();`,
  "this, in a listener":
    'new (class { scope = createScope(); constructor() { watch(this.scope); world.on("exit", () => this.stop()); } stop() { return this.scope.close(); } })();',
  "a context value": "const h = createScope(); watch(h); h.set(key, h);",
  "a context value that reaches the handle":
    "const h = createScope(); watch(h); h.set(key, { owners: [h] });",
  "a context value that is a function": "const h = createScope(); watch(h); h.set(key, () => h.state);",
  "a builder's method beside its worker": `const c = selfCleaning((scope) => { spawn(scope, async (own) => { ${loop} }); return { get size() { return c.x; }, x: 1 }; }); watch(c);`,
  "a function of a handle that is stored":
    "const c = selfCleaning(() => ({ get: () => 1 })); watch(c); const { get } = c; registry.push(get);",
  "a function of a handle in an interval":
    "const c = selfCleaning(() => ({ get: () => 1 })); watch(c); const { get } = c; setInterval(() => get(), 1e6);",
  "a function of a handle as a listener":
    'const c = selfCleaning((scope) => { const inner = { stop: () => scope.cancel() }; return inner; }); watch(c); const stop = c.stop; world.on("exit", stop);',
  "workers that mention each other's handle":
    "const a = createScope(); const b = createScope(); watch(a); watch(b); spawn(a, async (own) => { await sleep(own, 1e6); b.cancel(); }); spawn(b, async (own) => { await sleep(own, 1e6); a.cancel(); });",
} as const;

const collected = {
  "a worker beside nothing": `const h = createScope(); watch(h); let n = 0; spawn(h, async (own) => { ${loop} n++; });`,
  "a listener of an emitter that goes, too":
    'const h = createScope(); watch(h); const own = new EventEmitter(); own.on("exit", () => h.close());',
  "a listener that mentions the view":
    'const h = createScope(); watch(h); spawn(h, (own) => { world.on("exit", () => own.cancel()); });',
  "a listener that was removed":
    'const h = createScope(); watch(h); const stop = () => h.close(); world.on("exit", stop); world.off("exit", stop);',
  "an interval that was cleared":
    "const h = createScope(); watch(h); const t = setInterval(() => h.state, 1e6); clearInterval(t);",
  "an interval that mentions a copy of the state":
    "const h = createScope(); watch(h); const { signal } = h; setInterval(() => signal.aborted, 1e6);",
  "a timer that comes once": "const h = createScope(); watch(h); setTimeout(() => h.throwIfCancelled(), 1);",
  "a sibling of a worker that has ended":
    "const h = createScope(); watch(h); spawn(h, async () => { await 1; }); [1].forEach(() => h.throwIfCancelled());",
  "a sibling of a worker of another function": `const h = createScope(); watch(h); start(h); [1].forEach(() => h.throwIfCancelled()); function start(scope) { spawn(scope, forever); }`,
  "a worker outside of the block that has the handle": `let scope; { const h = createScope(); watch(h); spawn(h, (own) => { scope = own; }); [1].forEach(() => h.state); } setInterval(() => scope, 1e6);`,
  "a context value that knows the signal only":
    "const h = createScope(); watch(h); h.set(key, { signal: h.signal });",
  "a builder's method without a worker":
    "const c = selfCleaning(() => ({ size: () => c.x, x: 1 })); watch(c);",
  "a function of a handle that is used here":
    "const c = selfCleaning(() => ({ get: () => 1 })); watch(c); const { get } = c; get();",
  "workers of which one mentions the other's handle":
    "const a = createScope(); const b = createScope(); watch(a); watch(b); spawn(a, async (own) => { await sleep(own, 1e6); b.cancel(); });",
  "handles whose workers know no handle":
    "const a = createScope(); const b = createScope(); watch(a); watch(b); a.peer = b; b.peer = a;",
  "a callback that was taken back":
    "const h = createScope(); watch(h); const stop = h.onCancel(() => h.state); stop();",
} as const;

const codes = { ...pinned, ...collected };
const names = "createScope, createContextKey, selfCleaning, spawn, sleep";
const lintable = (code: string): string =>
  `import { ${names} } from "bough"; const world = new EventEmitter(); const registry = []; const key = createContextKey("key");\nfunction run(watch) { ${code} }`;

describe("the messages of the lint rule", () => {
  const survivors = new Map<string, number>();
  const timers: NodeJS.Timeout[] = [];
  let isOver = false;
  const world = new EventEmitter({ captureRejections: false });

  beforeAll(async () => {
    world.setMaxListeners(0);
    const registry: unknown[] = [];
    const stuff = {
      ...bough,
      createScope: () => bough.createScope({ onOrphan: "ignore" }),
      selfCleaning: (build: (scope: bough.Scope) => object) =>
        bough.selfCleaning(build, { onOrphan: "ignore" }),
      forever: (own: bough.Scope) => bough.sleep(own, 3_600_000),
      key: bough.createContextKey<unknown>("key"),
      EventEmitter,
      world,
      registry,
      setTimeout: (callback: () => void, ms: number) => (isOver ? undefined : setTimeout(callback, ms)),
      setInterval: (callback: () => void, ms: number) => {
        const timer = setInterval(callback, ms);
        timers.push(timer);
        return timer;
      },
    };
    const watched: [string, WeakRef<object>][] = [];
    for (const [name, code] of Object.entries(codes)) {
      // oxlint-disable-next-line typescript/no-implied-eval -- the same text is linted and run
      const run = new Function("watch", ...Object.keys(stuff), code) as (...args: unknown[]) => unknown;
      for (let copy = 0; copy < 4; copy++)
        run((handle: object) => void watched.push([name, new WeakRef(handle)]), ...Object.values(stuff));
    }
    for (let round = 0; round < 4; round++) await collectGarbage();
    for (const [name, handle] of watched)
      if (handle.deref() !== undefined) survivors.set(name, (survivors.get(name) ?? 0) + 1);
    registry.length = 0;
  }, 60_000);

  afterAll(() => {
    isOver = true;
    for (const timer of timers) clearInterval(timer);
    world.removeAllListeners();
  });

  const flags = (code: string): string[] =>
    new Linter().verify(lintable(code), [plugin.configs.recommended]).map(({ messageId }) => messageId ?? "");

  it.each(Object.entries(pinned))("%s: is flagged, and keeps the handle", (name, code) => {
    expect(flags(code)).not.toEqual([]);
    expect(survivors.get(name)).toBeGreaterThanOrEqual(4);
  });

  it.each(Object.entries(collected))("%s: is not flagged, and keeps nothing", (name, code) => {
    expect(flags(code)).toEqual([]);
    expect(survivors.get(name)).toBeUndefined();
  });
});
