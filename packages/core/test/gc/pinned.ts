import {
  createContextKey,
  createScope,
  selfCleaning,
  sleep,
  spawn,
  type Scope,
  type ScopeHandle,
  type ScopeOptions,
} from "../../src/index.js";
import type { PinnedCase, Probe } from "./probe.js";
import { partsInUse, resultsInUse } from "./results.js";

const forever = (scope: Scope): Promise<void> => sleep(scope, 3_600_000);
const world = new EventTarget();
const waiting: (() => void)[] = [];
/** A promise that something alive could still settle. */
const someday = (): Promise<void> => new Promise((resolve) => void waiting.push(resolve));

class Ticker {
  readonly #scope: ScopeHandle;
  constructor(probe: Probe) {
    this.#scope = createScope(probe.options);
    probe.watch(this.#scope);
    spawn(this.#scope, async (scope) => {
      await forever(scope);
      this.tick();
    });
  }
  tick(): string {
    return this.#scope.state;
  }
}

class Doer {
  friend: unknown;
  problem: unknown;
  start(scope: Scope): this {
    spawn(scope, async (task) => {
      await forever(task);
      this.friend = undefined;
    });
    return this;
  }
  async work(): Promise<string> {
    await someday();
    return "done";
  }
  async *stream(): AsyncGenerator<string> {
    await someday();
    yield "item";
  }
  *list(): Generator<string> {
    yield "item";
  }
  keep(friend: unknown): void {
    this.friend = friend;
  }
  note(): void {
    this.problem = new Error("its stack is never read");
  }
}

function doer(probe: Probe): Doer {
  const handle = selfCleaning((scope) => new Doer().start(scope), probe.options);
  probe.watch(handle);
  return handle;
}

const ownerKey = createContextKey<object>("owner");

/** Each keeps its own handle by a function that mentions it. */
const mentioned: readonly ((options: ScopeOptions) => ScopeHandle)[] = [
  (options) => {
    const handle: ScopeHandle = createScope({ ...options, onOrphan: () => handle.cancel() });
    return handle;
  },
  (options) => {
    const handle: ScopeHandle = createScope({ ...options, onError: () => handle.cancel() });
    return handle;
  },
  (options) => {
    const handle = createScope(options);
    handle.defer(() => handle.state);
    return handle;
  },
  (options) => {
    const handle = createScope(options);
    handle.onCancel(() => handle.state);
    return handle;
  },
];

// The ends of paths. V8 keeps the variables that a function mentions in a context, the others in its suspended frame.
const byClosure =
  /function .+ \(.*pinned\.ts:\d+:\d+\)\n\(context\) → the variables of a closure\nvariable handle → Handle$/;
const bySuspendedFunction =
  /a suspended function \(.*pinned\.ts:\d+:\d+\)\n\(parameters_and_registers\) → \(array\)\n\(\d+\) → Handle$/;
const byWorker = /pinned\.ts:\d+:\d+\)\n\(context\) → the variables of a closure\nvariable handle → Handle$/;
const byReactionOf = (what: RegExp): RegExp =>
  new RegExp(
    what.source +
      String.raw`\n.*Promise\n\(reactions_or_result\) → system / PromiseReaction\n(?:.*\n)+\.#strongHandle → \w+$`,
  );

/** The rows of "What is not collected". */
export const pinnedCases: readonly PinnedCase[] = [
  {
    row: "a reference to the handle",
    keptBy: /\[\d+\] → Array\n\[0\] → Handle$/,
    run(probe) {
      const handle = createScope(probe.options);
      probe.watch(handle);
      spawn(handle, forever);
      return [handle];
    },
  },
  {
    row: "a worker that refers to the handle",
    keptBy: byWorker,
    run(probe) {
      const handle = createScope(probe.options);
      probe.watch(handle);
      spawn(handle, async (scope) => {
        await forever(scope);
        handle.cancel();
      });
    },
  },
  {
    row: "a worker that refers to `this`, which holds the handle",
    keptBy:
      /pinned\.ts:\d+:\d+\)\n\(context\) → the variables of a closure\nvariable this → Ticker\n\.#scope → Handle$/,
    run(probe) {
      new Ticker(probe);
    },
  },
  {
    row: "a worker in a function with another closure that refers to the handle",
    keptBy: byWorker,
    run(probe) {
      const handle = createScope(probe.options);
      probe.watch(handle);
      let ticks = 0;
      spawn(handle, async (scope) => {
        await forever(scope);
        ticks += 1;
      });
      [1].forEach(() => handle.throwIfCancelled());
    },
  },
  {
    row: "a listener elsewhere that refers to the handle",
    keptBy: new RegExp(String.raw`\.listener → ${byClosure.source}`),
    run(probe) {
      const handle = createScope(probe.options);
      probe.watch(handle);
      world.addEventListener("exit", () => void handle.close());
    },
  },
  {
    row: "an `onOrphan`, `onError`, `defer` or `onCancel` callback that refers to the handle",
    keptBy: byClosure,
    run(probe, copy) {
      const make = mentioned[copy % mentioned.length] as (typeof mentioned)[number];
      probe.watch(make(probe.options));
    },
  },
  {
    row: "a context value that refers to the handle",
    keptBy: /\.context → Map\n(?:.*\n)+\.handle → Handle$/,
    run(probe) {
      const handle = createScope(probe.options);
      probe.watch(handle);
      handle.set(ownerKey, { handle });
    },
  },
  {
    row: "a local variable of a suspended function, even if it is not used again",
    keptBy: bySuspendedFunction,
    unlike: "bun",
    run(probe) {
      const wait = async (): Promise<void> => {
        const handle = createScope(probe.options);
        probe.watch(handle);
        spawn(handle, forever);
        await someday();
      };
      void wait();
    },
  },
  {
    row: "a function that is suspended in `await spawn(handle, …)`",
    keptBy: bySuspendedFunction,
    unlike: "bun",
    run(probe) {
      const wait = async (): Promise<void> => {
        const handle = createScope(probe.options);
        probe.watch(handle);
        await spawn(handle, forever);
      };
      void wait().catch(() => undefined);
    },
  },
  {
    row: "an `AsyncLocalStorage` store that refers to the handle",
    keptBy: /\.handle → Handle$/,
    needsNode: true,
    async run(probe) {
      const { AsyncLocalStorage } = await import("node:async_hooks");
      const storage = new AsyncLocalStorage<object>();
      const handle = createScope(probe.options);
      probe.watch(handle);
      storage.run({ handle }, () => setTimeout(() => undefined, 3_600_000));
      return storage;
    },
  },
  {
    row: "a pending `join()` or `close()`",
    keptBy: /\.waiters → Array\n.*\n\.handle → Handle$/,
    run(probe, copy) {
      const handle = createScope(probe.options);
      probe.watch(handle);
      spawn(handle, someday);
      void (copy % 2 === 0 ? handle.join() : handle.close());
    },
  },
  {
    row: "a pending promise that a method of a `selfCleaning` object returned",
    keptBy: byReactionOf(/a suspended function \(.*\)/),
    run(probe) {
      void doer(probe).work();
    },
  },
  {
    row: "an async method of the object that never returns",
    keptBy: byReactionOf(/a suspended function \(.*\)/),
    run(probe) {
      const handle = selfCleaning(
        (scope) => ({
          async start(): Promise<void> {
            for (;;) await forever(scope);
          },
        }),
        probe.options,
      );
      probe.watch(handle);
      void handle.start().catch(() => undefined);
    },
  },
  {
    row: "a pending `next()` of an async iterator of its methods",
    keptBy: byReactionOf(/AsyncGeneratorRequest/),
    run(probe) {
      void doer(probe).stream().next();
    },
  },
  {
    row: "an iterator of its methods that you hold",
    keptBy: /HandleRef\n\.#strongHandle → Doer$/,
    run(probe) {
      return doer(probe).list();
    },
  },
  {
    row: "an `await` of a `Task` that one of its methods returned",
    keptBy: byReactionOf(/\.hooks → Sleep\n\.#resolve → .*\n.*/),
    run(probe) {
      const handle = selfCleaning((scope) => ({ start: () => spawn(scope, forever) }), probe.options);
      probe.watch(handle);
      void handle.start().then(
        () => undefined,
        () => undefined,
      );
    },
  },
  {
    row: "a function taken from one of its fields: `const { get } = handle`",
    keptBy: /function \(anonymous\)\n\(context\) → the variables of a closure\nvariable owner → Object$/,
    run(probe) {
      const handle = selfCleaning(() => ({ get: () => "value" }), probe.options);
      probe.watch(handle);
      const { get } = handle;
      return get;
    },
  },
  {
    row: "an error that a method created and stored, while its `stack` was not read",
    keptBy: /\.problem → Error\n(?:.*\n)+.*Doer$/,
    unlike: "bun",
    run(probe) {
      doer(probe).note();
    },
  },
  ...resultsInUse,
  ...partsInUse,
];
