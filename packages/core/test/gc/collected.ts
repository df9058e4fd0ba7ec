import {
  close,
  createContextKey,
  createScope,
  selfCleaning,
  sleep,
  spawn,
  type Scope,
  type ScopeHandle,
  type SelfCleaning,
  type Task,
} from "../../src/index.js";
import type { Case, Probe } from "./probe.js";
import { resultsAtRest } from "./results.js";

const forever = (scope: Scope): Promise<void> => sleep(scope, 3_600_000);
/** Lives as long as the program, as a process or a server does. */
const world = new EventTarget();
const shutdown = new AbortController();

class Service {
  readonly #scope: ScopeHandle;
  constructor(probe: Probe) {
    this.#scope = createScope(probe.options);
    probe.watch(this.#scope);
    startHeart(this.#scope, { beats: 0 });
  }
  get state(): string {
    return this.#scope.state;
  }
}

function startHeart(scope: Scope, heart: { beats: number }): void {
  spawn(scope, async (task) => {
    for (;;) {
      await forever(task);
      heart.beats += 1;
    }
  });
}

class Doer {
  jobs = 0;
  problem: unknown;
  start(scope: Scope): this {
    spawn(scope, async (task) => {
      await forever(task);
      this.jobs += 1;
    });
    return this;
  }
  async work(): Promise<number> {
    await Promise.resolve();
    return (this.jobs += 1);
  }
  *list(): Generator<number> {
    yield this.jobs;
    yield this.jobs;
  }
  fail(): never {
    throw new Error("made in a method");
  }
}

function doer(probe: Probe): SelfCleaning<Doer> {
  const handle = selfCleaning((scope) => new Doer().start(scope), probe.options);
  probe.watch(handle);
  return handle;
}

const missing = createContextKey<string>("missing");

/** The rows of "What is collected". */
export const collectedCases: readonly Case[] = [
  {
    row: "a scope whose worker refers only to its own `scope`",
    run(probe) {
      const handle = createScope(probe.options);
      spawn(handle, async (scope) => forever(scope));
      probe.watch(handle);
    },
  },
  {
    row: "an empty scope",
    run(probe) {
      probe.watch(createScope(probe.options));
    },
  },
  {
    row: "a scope whose `onCancel`, `defer` and `set` arguments do not refer to the handle",
    run(probe) {
      const log: string[] = [];
      const handle = createScope(probe.options);
      handle.onCancel(() => log.push("cancelled"));
      handle.defer(() => log.push("cleaned up"));
      handle.set(missing, "here");
      probe.watch(handle);
      return log;
    },
  },
  {
    row: "a scope with a listener elsewhere that was added with the scope's `signal`",
    run(probe) {
      const handle = createScope(probe.options);
      world.addEventListener("event", () => undefined, { signal: handle.signal });
      probe.watch(handle);
    },
  },
  {
    row: "a scope with the option `signal` whose signal lives on",
    run(probe) {
      const handle = createScope({ ...probe.options, signal: shutdown.signal, timeout: 3_600_000 });
      spawn(handle, forever);
      probe.watch(handle);
    },
  },
  {
    row: "a handle, while you keep its `Task`",
    run(probe): readonly Task<void>[] {
      const handle = createScope(probe.options);
      probe.watch(handle);
      return [spawn(handle, forever)]; // in an array: a task that is returned would be awaited
    },
  },
  {
    row: "a handle, while you keep its `scope` view",
    run(probe) {
      const handle = createScope(probe.options);
      probe.watch(handle);
      let view: Scope | undefined;
      spawn(handle, (scope) => ((view = scope), forever(scope)));
      return { view };
    },
  },
  {
    row: "a handle, while you keep its `signal`",
    run(probe): AbortSignal {
      const handle = createScope(probe.options);
      probe.watch(handle);
      spawn(handle, forever);
      return handle.signal;
    },
  },
  {
    row: "a parent, while you keep a child's handle",
    run(probe): ScopeHandle {
      const handle = createScope(probe.options);
      probe.watch(handle);
      return createScope(handle, { onOrphan: "ignore" });
    },
  },
  {
    row: "an object that holds the handle, if no worker refers to the object",
    run(probe) {
      return new Service(probe).state;
    },
  },
  {
    row: "a handle in a function that awaits a promise that can never settle",
    run(probe) {
      const wait = async (): Promise<void> => {
        const handle = createScope(probe.options);
        probe.watch(handle);
        spawn(handle, forever);
        await new Promise(() => undefined);
        await handle.close();
      };
      void wait();
    },
  },
  {
    row: "a handle, while you keep an error that one of its methods threw",
    unlike: "deno",
    run(probe): unknown {
      const handle = createScope(probe.options);
      probe.watch(handle);
      try {
        return handle.get(missing);
      } catch (error) {
        return error;
      }
    },
  },
  {
    row: "a handle, while you keep a rejection of its `close()`",
    unlike: "deno",
    run(probe): Promise<unknown> {
      const handle = createScope(probe.options);
      probe.watch(handle);
      return handle.close({ grace: -1 }).catch((error: unknown) => error);
    },
  },
  {
    row: "a `selfCleaning` object whose workers refer to the inner object",
    run(probe) {
      doer(probe);
    },
  },
  {
    row: "… while you keep a result or a settled promise of its methods",
    async run(probe) {
      const handle = doer(probe);
      const promise = handle.work();
      await promise;
      return [promise];
    },
  },
  {
    row: "… after you dropped an unfinished iterator of its methods",
    run(probe) {
      return doer(probe).list().next();
    },
  },
  {
    row: "… while you keep an error that one of its methods threw",
    unlike: "deno",
    run(probe): unknown {
      const handle = doer(probe);
      try {
        return handle.fail();
      } catch (error) {
        return error;
      }
    },
  },
  {
    row: "… while you keep a `Task` that one of its methods returned, without awaiting it",
    run(probe) {
      const handle = selfCleaning(
        (scope) => ({ start: (): Task<void> => spawn(scope, forever) }),
        probe.options,
      );
      probe.watch(handle);
      void handle.start();
    },
  },
  {
    row: "a handle whose `close()` exceeded its grace period",
    orphaned: false,
    unlike: "deno",
    async run(probe) {
      const handle = createScope(probe.options);
      probe.watch(handle);
      spawn(handle, () => new Promise<void>((resolve) => world.addEventListener("never", () => resolve())));
      return handle.close({ grace: 1 }).catch((error: unknown) => error);
    },
  },
  {
    row: "a closed handle",
    orphaned: false,
    async run(probe) {
      const handle = doer(probe);
      await close(handle);
    },
  },
  ...resultsAtRest,
];
