import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { race, withScope, type Scope } from "bough";

/** Runs `file` in a worker thread, and returns the first message that it posts. */
export function runInThread<T>(scope: Scope, file: URL, workerData?: unknown): Promise<T> {
  return withScope(scope, { name: "thread" }, async (own) => {
    const thread = new Worker(file, { workerData });
    own.defer(() => thread.terminate());
    return await race(own, [
      async ({ signal }) => (await once(thread, "message", { signal }))[0] as T,
      async ({ signal }) => {
        const [code] = await once(thread, "exit", { signal });
        throw new Error(`the thread exited with code ${code}`);
      },
    ]);
  });
}

// const hash = await runInThread<string>(scope, new URL("hash.js", import.meta.url), { file });
