import { once } from "node:events";
import type { Worker } from "node:worker_threads";
import { createScope, withScope } from "bough";
import { expect, it } from "vitest";
import { runInThread } from "./thread.js";

const script = (code: string): URL =>
  new URL(
    `data:text/javascript,${encodeURIComponent(`import { parentPort, workerData } from "node:worker_threads"; ${code}`)}`,
  );

it("gives the first message of the thread", async () => {
  const half = script("parentPort.postMessage(workerData / 2);");
  expect(await withScope((scope) => runInThread(scope, half, 84))).toBe(42);
});

it("terminates a thread that computes, when its scope is cancelled", async () => {
  const started = once(process, "worker") as Promise<[Worker]>;
  const scope = createScope();
  const result = runInThread(scope, script("for (;;);"));
  const [thread] = await started;
  const exited = once(thread, "exit");
  await once(thread, "online");
  scope.cancel("enough");
  await expect(result).rejects.toBe(scope.reason);
  await exited;
  await scope.close();
});

it("rejects with the error of the thread, or if it ends without a message", async () => {
  await withScope(async (scope) => {
    const broken = runInThread(scope, script("throw new RangeError('too large');"));
    await expect(broken).rejects.toMatchObject({ name: "RangeError", message: "too large" });
    await expect(runInThread(scope, script("process.exit(3);"))).rejects.toThrow(
      "the thread exited with code 3",
    );
  });
});
