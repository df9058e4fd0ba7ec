import { createServer, request, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { PassThrough, Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { deferred, flush, outcomeOf, rejection, thrown } from "../../test/support/deferred.js";
import { createScope, isCancelled, ScopeClosedError, withScope, type Scope } from "../index.js";
import { snapshot } from "../inspect/index.js";
import { iterate, type StreamSource } from "./index.js";

const error = new Error("boom");

async function collect<T>(source: StreamSource<T>): Promise<T[]> {
  return withScope(async (scope) => {
    const items: T[] = [];
    for await (const item of iterate(scope, source)) items.push(item);
    expect(snapshot(scope).counts.children).toBe(0);
    return items;
  });
}

/** A Web stream that gives `items` and then waits, and what happened to it. */
function webStream(...items: number[]): { stream: ReadableStream<number>; cancelled: unknown[] } {
  const cancelled: unknown[] = [];
  const stream = new ReadableStream<number>({
    pull(controller) {
      const item = items.shift();
      if (item !== undefined) controller.enqueue(item);
      return item === undefined ? new Promise<void>(() => undefined) : undefined;
    },
    cancel: (reason) => void cancelled.push(reason),
  });
  return { stream, cancelled };
}

function listenersOf(stream: NodeJS.EventEmitter): number {
  return stream.eventNames().reduce((sum, name) => sum + stream.listenerCount(name), 0);
}

describe("iterate() over a ReadableStream", () => {
  it("yields every chunk, and unlocks the stream", async () => {
    const stream = new ReadableStream<number>({
      start(controller) {
        for (const n of [1, 2, 3]) controller.enqueue(n);
        controller.close();
      },
    });
    expect(await collect(stream)).toEqual([1, 2, 3]);
    expect(stream.locked).toBe(false);
  });

  it("rejects with the reason when its scope is cancelled during a read, cancels the stream with it, and unlocks it", async () => {
    const scope = createScope();
    const { stream, cancelled } = webStream(1);
    const items = iterate(scope, stream);
    expect(await items.next()).toEqual({ done: false, value: 1 });
    const pending = items.next();
    await flush();
    scope.cancel("why");
    expect(await rejection(pending)).toBe(scope.reason);
    expect(cancelled).toEqual([scope.reason]);
    expect(stream.locked).toBe(false);
    await scope.close();
  });

  it("rule 22: is closed when its scope ends while it is not read, and the scope waits for that", async () => {
    const gate = deferred();
    const stream = new ReadableStream<number>({
      pull: (controller) => controller.enqueue(1),
      cancel: () => gate.promise,
    });
    const scope = createScope();
    await iterate(scope, stream).next();
    const closed = scope.close();
    expect(await outcomeOf(closed)).toBe("pending");
    gate.resolve();
    await closed;
    expect(stream.locked).toBe(false);
  });

  it("cancels the stream when the loop is left", async () => {
    const { stream, cancelled } = webStream(1, 2, 3);
    await withScope(async (scope) => {
      for await (const item of iterate(scope, stream)) {
        expect(item).toBe(1);
        break;
      }
      expect(stream.locked).toBe(false);
    });
    expect(cancelled).toHaveLength(1);
    expect(isCancelled(cancelled[0])).toBe(true);
  });

  it("rejects with the stream's error, the same object, and unlocks it", async () => {
    const stream = new ReadableStream<number>({ start: (controller) => controller.error(error) });
    expect(await rejection(collect(stream))).toBe(error);
    expect(stream.locked).toBe(false);
  });

  it("rejects when the stream is locked, and leaves it to its reader", async () => {
    const { stream } = webStream(1);
    const reader = stream.getReader();
    expect(await rejection(collect(stream))).toBeInstanceOf(TypeError);
    expect(await reader.read()).toMatchObject({ value: 1 });
  });
});

describe("iterate() over a Node stream", () => {
  it("yields every chunk, and leaves no listener", async () => {
    const stream = Readable.from(["a", "b", "c"]);
    const before = listenersOf(stream);
    expect(await collect(stream)).toEqual(["a", "b", "c"]);
    expect(listenersOf(stream)).toBe(before);
  });

  it("delivers later chunks", async () => {
    const stream = new PassThrough({ objectMode: true });
    const collected = collect(stream);
    for (let n = 0; n < 3; n++) {
      await flush();
      stream.write(n);
    }
    stream.end();
    expect(await collected).toEqual([0, 1, 2]);
  });

  it("rejects with the reason when its scope is cancelled during a read, once the stream is closed", async () => {
    const gate = deferred();
    let destroyed = false;
    const stream = new Readable({
      read: () => undefined,
      destroy: (_, callback) => {
        destroyed = true;
        void (async () => {
          await gate.promise;
          callback(null);
        })();
      },
    });
    const before = listenersOf(stream);
    const scope = createScope();
    const pending = iterate(scope, stream).next();
    await flush();
    scope.cancel();
    expect(await outcomeOf(pending)).toBe("pending");
    expect(destroyed).toBe(true);
    gate.resolve();
    expect(await rejection(pending)).toBe(scope.reason);
    expect(stream.closed).toBe(true);
    expect(listenersOf(stream)).toBe(before);
    await scope.close();
  });

  it("destroys the stream when the loop is left, and leaves no listener", async () => {
    const stream = Readable.from([1, 2, 3]);
    const before = listenersOf(stream);
    await withScope(async (scope) => {
      for await (const item of iterate(scope, stream)) {
        expect(item).toBe(1);
        break;
      }
      expect(stream.closed).toBe(true);
      expect(listenersOf(stream)).toBe(before);
    });
  });

  it("rejects with the stream's error, the same object, and leaves no listener", async () => {
    const stream = new PassThrough();
    const before = listenersOf(stream);
    const collected = rejection(collect(stream));
    await flush();
    stream.destroy(error);
    expect(await collected).toBe(error);
    expect(listenersOf(stream)).toBe(before);
  });

  it("rejects with an error that came between two reads, or before the first", async () => {
    await withScope(async (scope) => {
      const stream = new PassThrough({ objectMode: true });
      stream.write(1);
      const items = iterate(scope, stream);
      await items.next();
      stream.destroy(error);
      await flush();
      expect(await rejection(items.next())).toBe(error);
      expect(await rejection(collect(stream))).toBe(error);
    });
  });

  it("rule 22: rejects with an error that it has when it closes after its end, as Node's own iterator does", async () => {
    const stream = new Readable({
      read() {
        this.push(null);
      },
      destroy: (_, callback) => void setImmediate(() => callback(error)),
    });
    const before = listenersOf(stream);
    expect(await rejection(collect(stream))).toBe(error);
    expect(listenersOf(stream)).toBe(before);
  });

  it("rejects when the stream is closed before its end", async () => {
    const stream = new PassThrough();
    const collected = rejection(collect(stream));
    await flush();
    stream.destroy();
    expect(await collected).toMatchObject({ code: "BOUGH_PREMATURE_CLOSE" });
    expect(await rejection(collect(stream))).toMatchObject({ code: "BOUGH_PREMATURE_CLOSE" });
  });

  it("makes an error of the destruction a failure of the scope, and no uncaught exception", async () => {
    const scope = createScope();
    const stream = new Readable({ read: () => undefined, destroy: (_, callback) => callback(error) });
    const pending = iterate(scope, stream).next();
    await flush();
    const closed = rejection(scope.close());
    expect(await rejection(pending)).toBe(error);
    expect([await outcomeOf(closed), scope.state]).toEqual(["rejected", "closed"]);
  });

  it("does not wait for a close that never comes", async () => {
    const scope = createScope();
    const pending = iterate(scope, new Readable({ read: () => undefined, emitClose: false })).next();
    await flush();
    scope.cancel();
    expect(await rejection(pending)).toBe(scope.reason);
    await scope.close();
  });

  it("reads a request over a socket, and closes the connection when it is cancelled", async () => {
    const server = createServer((incoming, response) => {
      response.write("first ");
      incoming.resume();
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const outgoing = request({ host: "127.0.0.1", port }).end();
    const [response] = (await once(outgoing, "response")) as [IncomingMessage];
    const scope = createScope();
    const items = iterate<Buffer>(scope, response);
    expect(String((await items.next()).value)).toBe("first ");
    const pending = items.next();
    scope.cancel();
    expect(await rejection(pending)).toBe(scope.reason);
    expect(response.closed).toBe(true);
    await scope.close();
    server.close();
    await once(server, "close"); // no connection is left
  });
});

describe("iterate() over an iterable", () => {
  it("yields every item", async () => {
    expect(await collect([1, 2])).toEqual([1, 2]);
    expect(await collect("ab")).toEqual(["a", "b"]);
    expect(
      await collect(
        (async function* () {
          yield 1;
        })(),
      ),
    ).toEqual([1]);
  });

  it("rule 22: calls return() and waits for it, when the loop is left and when the scope is cancelled", async () => {
    for (const leave of ["break", "cancel"]) {
      const log: string[] = [];
      const scope = createScope();
      async function* numbers(): AsyncGenerator<number> {
        try {
          for (let n = 0; ; n++) yield n;
        } finally {
          await flush();
          log.push("closed");
        }
      }
      const items = iterate(scope, numbers());
      await items.next();
      if (leave === "cancel") scope.cancel();
      const end = leave === "cancel" ? rejection(items.next()) : items.return?.();
      expect(await end).toEqual(leave === "cancel" ? scope.reason : { done: true, value: undefined });
      expect(log).toEqual(["closed"]);
      await scope.close();
    }
  });

  it("rejects with the error of the source, the same object", async () => {
    const failing = (async function* () {
      yield 1;
      throw error;
    })();
    expect(await rejection(collect(failing))).toBe(error);
  });
});

describe("iterate()", () => {
  it("rule 22: touches nothing before it is read", async () => {
    await withScope(async (scope) => {
      const { stream, cancelled } = webStream(1);
      const node = new PassThrough();
      iterate(scope, stream);
      iterate(scope, node);
      expect([stream.locked, cancelled, listenersOf(node)]).toEqual([
        false,
        [],
        listenersOf(new PassThrough()),
      ]);
    });
  });

  it("rejects with the reason in a scope that is cancelled already, and touches nothing", async () => {
    const scope = createScope();
    scope.cancel();
    const { stream } = webStream(1);
    const node = new PassThrough();
    expect(await rejection(iterate(scope, stream).next())).toBe(scope.reason);
    expect(await rejection(iterate(scope, node).next())).toBe(scope.reason);
    expect([stream.locked, node.destroyed]).toEqual([false, false]);
  });

  it("rejects in a scope that has ended", async () => {
    const scope = createScope();
    await scope.close();
    expect(await rejection(iterate(scope, [1]).next())).toBeInstanceOf(ScopeClosedError);
  });

  it("rule 22: makes a source's error that was not received a failure of the scope", async () => {
    const scope = createScope();
    const items = iterate(scope, new ReadableStream({ start: (controller) => controller.error(error) }));
    void items.next().catch(() => undefined);
    await flush();
    await scope.close(); // it was taken
    const other = createScope();
    const stream = new PassThrough({ objectMode: true });
    stream.write(1);
    await iterate(other, stream).next();
    stream.destroy(error);
    await flush();
    expect(await rejection(other.close())).toBe(error);
  });

  it.each([undefined, null, 1, {}, () => [1]])("refuses %s as a source", async (source) => {
    await withScope(async (scope) => {
      expect(thrown(() => iterate(scope, source as never))).toBeInstanceOf(TypeError);
    });
  });

  it("refuses an argument that is not a scope", () => {
    expect(thrown(() => iterate({} as Scope, []))).toBeInstanceOf(TypeError);
  });
});
