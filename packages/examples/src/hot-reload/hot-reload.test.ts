import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ChannelClosedError, close, createScope, spawn, type ScopeHandle, type SelfCleaning } from "bough";
import { snapshot } from "bough/inspect";
import { collectGarbage, verifyNoLeaks } from "bough/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { runExample } from "../../test/support/run-example.js";
import { ConfigFile, writeConfig, type Config } from "./config.js";
import { HotWriter } from "./hot-writer.js";
import { openStorage, type Storage } from "./storage.js";
import { createLeakyWriter, createWriter, type Sink, type Writer } from "./writer.js";

let scope: ScopeHandle;
beforeEach(() => {
  scope = createScope({ name: "test" });
});
afterEach(async () => {
  vi.useRealTimers();
  await scope.close();
  await verifyNoLeaks({ resources: false });
});

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** A sink that handles a message when it is told to. */
function gate(): { sink: Sink; handled: string[]; open: () => void } {
  const handled: string[] = [];
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  const sink: Sink = async (message) => {
    await opened;
    handled.push(message);
  };
  return { sink, handled, open };
}

/** Messages from `first`, each sent without waiting for the last. */
function writeAll(writer: Pick<Writer, "write">, first: number, count: number): Promise<unknown[]> {
  const messages = Array.from({ length: count }, (_, index) => String(first + index));
  return Promise.all(
    messages.map((message) => writer.write(scope, message).catch((error: unknown) => error)),
  );
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, index) => String(index + 1));

describe("createWriter()", () => {
  it("handles one message after the other", async () => {
    const { sink, handled, open } = gate();
    open();
    const writer = createWriter(sink);
    await writeAll(writer, 1, 30);
    await writer.end();
    expect(handled).toEqual(numbers(30));
    await close(writer);
  });

  it("makes write() wait while the queue is full", async () => {
    const { sink, open } = gate();
    const writer = createWriter(sink);
    let written = 0;
    for (let message = 1; message <= 12; message += 1) {
      void writer.write(scope, String(message)).then(() => (written += 1));
    }
    await turn();
    expect(written).toBe(11); // one is being handled, ten are queued
    open();
    await turn();
    expect(written).toBe(12);
    await writer.end();
    await close(writer);
  });

  it("sends the buffered lines in end(), and refuses the lines that wait for room", async () => {
    const { sink, handled, open } = gate();
    const writer = createWriter(sink);
    const results = writeAll(writer, 1, 13);
    const ended = writer.end();
    open();
    await ended;
    expect(handled).toEqual(numbers(11));
    expect((await results).map((error) => error instanceof ChannelClosedError).filter(Boolean)).toHaveLength(
      2,
    );
    await expect(writer.write(scope, "late")).rejects.toBeInstanceOf(ChannelClosedError);
    await close(writer);
  });

  it("stops its worker when it is dropped", async () => {
    const before = snapshot().counts.tasks;
    (() => createWriter(async () => {}))();
    expect(snapshot().counts.tasks).toBe(before + 1);
    await collectGarbage();
    await vi.waitFor(() => expect(snapshot().counts.tasks).toBe(before), 10_000);
  });
});

describe("createLeakyWriter()", () => {
  it("leaves its worker behind when it is dropped, until its owner ends", async () => {
    (() => createLeakyWriter(scope, async () => {}))();
    await collectGarbage();
    expect(snapshot(scope).counts.tasks).toBe(1);
    await scope.close();
    expect(snapshot(scope).counts.tasks).toBe(0);
  });
});

describe("HotWriter", () => {
  it("sends new messages to the new sink, and drains the old one's", async () => {
    const [first, second] = [gate(), gate()];
    const writer = new HotWriter(first.sink);
    await writer.write(scope, "1");
    const replaced = writer.replace(second.sink);
    await writer.write(scope, "2");
    second.open();
    await turn();
    expect([first.handled, second.handled]).toEqual([[], ["2"]]);
    first.open();
    await replaced;
    expect(first.handled).toEqual(["1"]);
    await writer.end();
  });

  it("moves the messages that waited for room in the old queue to the new one, once", async () => {
    const [first, second] = [gate(), gate()];
    const writer = new HotWriter(first.sink);
    const results = writeAll(writer, 1, 15);
    await turn();
    const replaced = writer.replace(second.sink);
    first.open();
    second.open();
    await replaced;
    expect(await results).toEqual(Array.from({ length: 15 }));
    await writer.end();
    expect([...first.handled, ...second.handled]).toEqual(numbers(15));
    expect(second.handled).toHaveLength(4);
  });

  it("refuses messages after its end", async () => {
    const writer = new HotWriter(async () => {});
    await writer.end();
    await expect(writer.write(scope, "late")).rejects.toBeInstanceOf(ChannelClosedError);
  });

  it("has not written a line whose wait was cancelled", async () => {
    const { sink, handled, open } = gate();
    const writer = new HotWriter(sink);
    await writeAll(writer, 1, 11);
    const impatient = createScope();
    const waiting = writer.write(impatient, "impatient").catch((error: unknown) => error);
    impatient.cancel();
    expect(await waiting).toBe(impatient.reason);
    open();
    await writer.end();
    expect(handled).toEqual(numbers(11));
    await impatient.close();
  });
});

describe("ConfigFile", () => {
  let folder: string;
  let path: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "bough-hot-reload-test-"));
    path = join(folder, "config.json");
  });
  afterEach(() => rm(folder, { recursive: true }));

  it("gives each new content of the file, and nothing while it stays", async () => {
    await writeConfig(path, { prefix: "a" });
    const file = new ConfigFile(path);
    expect(await file.read()).toEqual({ prefix: "a" });
    const seen: string[] = [];
    const bad: unknown[] = [];
    spawn(scope, async (scope) => {
      for await (const { prefix } of file.changes(scope, 1, (error) => bad.push(error))) seen.push(prefix);
    });
    for (const prefix of ["b", "c", "d"]) {
      await writeConfig(path, { prefix });
      await vi.waitFor(() => expect(seen.at(-1)).toBe(prefix), { interval: 1, timeout: 10_000 });
    }
    expect(seen).toEqual(["b", "c", "d"]);
    expect(bad).toEqual([]);
  });

  it("reports a bad file once, and goes on with the next good one", async () => {
    await writeConfig(path, { prefix: "a" });
    const file = new ConfigFile(path);
    await file.read();
    const seen: string[] = [];
    const bad: unknown[] = [];
    spawn(scope, async (scope) => {
      for await (const { prefix } of file.changes(scope, 1, (error) => bad.push(error))) seen.push(prefix);
    });
    await writeConfig(path, JSON.parse('{ "prefix": 1 }') as Config);
    await vi.waitFor(() => expect(bad).toHaveLength(1), { interval: 1, timeout: 10_000 });
    await writeConfig(path, { prefix: "b" });
    await vi.waitFor(() => expect(seen).toEqual(["b"]), { interval: 1, timeout: 10_000 });
    expect(bad).toEqual([expect.any(TypeError)]);
  });

  it("stops looking when its scope is cancelled", async () => {
    await writeConfig(path, { prefix: "a" });
    const file = new ConfigFile(path);
    await file.read();
    const next = file.changes(scope, 1, () => {}).next();
    scope.cancel();
    await expect(next).rejects.toBe(scope.reason);
  });
});

describe("openStorage()", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] }));

  function open(): SelfCleaning<Storage> {
    const storage = openStorage(60_000);
    for (const value of ["1", "2", "3"]) storage.set("a", value);
    storage.set("b", "1");
    return storage;
  }

  it("compacts at each interval until it is closed", async () => {
    const storage = open();
    await vi.advanceTimersByTimeAsync(59_999);
    expect(storage.length).toBe(4);
    await vi.advanceTimersByTimeAsync(1);
    expect([storage.length, storage.get("a"), storage.get("b")]).toEqual([2, "3", "1"]);
    storage.set("b", "2");
    await close(storage);
    await vi.advanceTimersByTimeAsync(60_000);
    expect([storage.length, storage.get("b")]).toEqual([3, "2"]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("stops compacting when it is dropped", async () => {
    (() => open())();
    expect(vi.getTimerCount()).toBe(1);
    await collectGarbage();
    await vi.waitFor(() => expect(vi.getTimerCount()).toBe(0), 10_000);
  });
});

describe("main.ts", () => {
  it("leaks once and never again, and loses no message", { timeout: 60_000 }, async () => {
    const { code, output } = await runExample("hot-reload");
    const counts = [...output.matchAll(/tasks .*: (\d)/g)].map(([, count]) => Number(count));
    expect(counts).toEqual([0, 1, 1, 0, 1, 0]);
    expect(output).toContain("the file was reloaded 9 times");
    const [, written, handled] =
      /(\d+) messages written, (\d+) handled: 0 lost, 0 handled twice/.exec(output) ?? [];
    expect(Number(written)).toBeGreaterThanOrEqual(200);
    expect(handled).toBe(written);
    expect(output).toContain("10 written, 0 handled\n  queue closed: 10 handled\n");
    expect(output).toContain("compacted: 2; a is 3, b is 1\n  stopped: 3,");
    expect(output).toMatch(/Tasks left: 0\n$/);
    expect(code).toBe(0);
  });
});
