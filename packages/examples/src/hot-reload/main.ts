// Prints four results: how many workers the original's two writers leave behind; whether messages are lost while a configuration
// file is rewritten and reloaded; whether a closed queue is drained; what a storage keeps that compacts itself.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { close, createScope, sleep, spawn, withScope, type Scope } from "bough";
import { snapshot } from "bough/inspect";
import { collectGarbage } from "bough/testing";
import { ConfigFile, writeConfig, type Config } from "./config.js";
import { HotWriter } from "./hot-writer.js";
import { openStorage } from "./storage.js";
import { createLeakyWriter, createWriter, type Sink } from "./writer.js";

/** The original's `runtime.NumGoroutine()`. */
const countTasks = (): number => snapshot().counts.tasks;
const ignoreAll: Sink = async () => {};

/** The original's `main`, for a writer that is made and forgotten by `test`. */
async function countLeaks(scope: Scope, test: () => void): Promise<void> {
  console.log(`  tasks before: ${countTasks()}`);
  test();
  console.log(`  tasks after: ${countTasks()}`);
  await collectGarbage();
  await sleep(scope, 100); // finalizers come in their own time
  console.log(`  tasks after a collection: ${countTasks()}`);
}

const VERSIONS = 10;
const PRODUCERS = 3;

/** Writes messages while the file is rewritten nine times, each time after messages have got the new prefix. */
async function reload(scope: Scope, path: string): Promise<void> {
  const handled = new Map<string, number>();
  const prefixes = new Map<string, number>();
  const sinkFor = ({ prefix }: Config): Sink => {
    return async (message, scope) => {
      await sleep(scope, 0);
      handled.set(message, (handled.get(message) ?? 0) + 1);
      prefixes.set(prefix, (prefixes.get(prefix) ?? 0) + 1);
    };
  };

  await writeConfig(path, { prefix: "v1" });
  const file = new ConfigFile(path);
  const writer = new HotWriter(sinkFor(await file.read()));
  const written = new Set<string>();
  let messages = 0;

  await withScope(scope, async (scope) => {
    const reloader = async (scope: Scope): Promise<void> => {
      for await (const config of file.changes(scope, 5, console.error)) await writer.replace(sinkFor(config));
    };
    const producer = async (scope: Scope): Promise<void> => {
      for (;;) {
        const message = `message ${(messages += 1)}`;
        await writer.write(scope, message);
        written.add(message);
      }
    };
    spawn(scope, reloader, { daemon: true });
    await using producers = createScope(scope);
    for (let count = 0; count < PRODUCERS; count += 1) spawn(producers, producer);

    for (let version = 1; version <= VERSIONS; version += 1) {
      const prefix = `v${version}`;
      if (version > 1) await writeConfig(path, { prefix });
      while ((prefixes.get(prefix) ?? 0) < 20) await sleep(scope, 1);
    }
  });
  await writer.end();

  const lost = [...written].filter((message) => !handled.has(message)).length;
  const twice = [...handled.values()].filter((times) => times > 1).length;
  console.log(`  the file was reloaded ${prefixes.size - 1} times`);
  console.log(
    `  ${written.size} messages written, ${handled.size} handled: ${lost} lost, ${twice} handled twice`,
  );
}

/** The original's update: closing the queue is a stop as well. */
async function drain(scope: Scope): Promise<void> {
  let handled = 0;
  const writer = createWriter(async (_, scope) => {
    await sleep(scope, 2);
    handled += 1;
  });
  for (let message = 1; message <= 10; message += 1) await writer.write(scope, `message ${message}`);
  console.log(`  10 written, ${handled} handled`);
  await writer.end();
  console.log(`  queue closed: ${handled} handled`);
  await close(writer);
}

async function compact(scope: Scope): Promise<void> {
  const storage = openStorage(10);
  for (const value of ["1", "2", "3"]) storage.set("a", value);
  storage.set("b", "1");
  console.log(`  ${storage.length} changes`);
  while (storage.length > 2) await sleep(scope, 1);
  console.log(`  compacted: ${storage.length}; a is ${storage.get("a")}, b is ${storage.get("b")}`);
  await close(storage);
  storage.set("b", "2");
  await sleep(scope, 50);
  console.log(`  stopped: ${storage.length}, and nobody compacts them any more`);
}

const folder = await mkdtemp(join(tmpdir(), "bough-hot-reload-"));
await withScope({ timeout: 20_000 }, async (scope) => {
  scope.defer(() => rm(folder, { recursive: true }));
  await using owner = createScope(scope);

  console.log("A writer that is forgotten");
  await countLeaks(scope, () => createLeakyWriter(owner, ignoreAll));
  await owner.close();
  console.log("A self-cleaning writer that is forgotten");
  await countLeaks(scope, () => createWriter(ignoreAll));
  console.log("A writer that is replaced while three producers write");
  await reload(scope, join(folder, "config.json"));
  console.log("A writer whose queue is closed");
  await drain(scope);
  console.log("A storage that compacts itself");
  await compact(scope);
  console.log(`Tasks left: ${countTasks()}`);
});
