import { PassThrough, Readable, Writable, type WritableOptions } from "node:stream";
import { describe, expect, it } from "vitest";
import { deferred, flush, outcomeOf, rejection } from "../../test/support/deferred.js";
import { createScope, ScopeClosedError, spawn, suppressed, withScope, type Scope } from "../index.js";
import { pipe, type StreamSource } from "./index.js";

const error = new Error("boom");

interface Target {
  readonly sink: Parameters<typeof pipe>[2];
  readonly log: unknown[];
  readonly isFree: () => boolean;
  readonly fail: (error: Error) => void;
}

/** A sink that takes one chunk at a time and, with a `gate`, only when that opens. */
function webTarget(gate?: Promise<void>): Target {
  const log: unknown[] = [];
  let controller!: WritableStreamDefaultController;
  const sink = new WritableStream<unknown>(
    {
      start: (given) => void (controller = given),
      async write(chunk) {
        await gate;
        log.push(chunk);
      },
      close: () => void log.push("end"),
      abort: (reason) => void log.push("abort", reason),
    },
    { highWaterMark: 1 },
  );
  return {
    sink,
    log,
    isFree: () => !sink.locked,
    fail: (reason) => controller.error(reason),
  };
}

function nodeTarget(gate?: Promise<void>): Target {
  const log: unknown[] = [];
  const sink = new Writable({
    objectMode: true,
    highWaterMark: 1,
    write(chunk, _, callback) {
      void (async () => {
        await gate;
        log.push(chunk);
        callback();
      })();
    },
    final(callback) {
      log.push("end");
      callback();
    },
    destroy(reason, callback) {
      if (!log.includes("end")) log.push("abort");
      callback(reason);
    },
  });
  const before = sink.eventNames().length;
  return {
    sink,
    log,
    isFree: () => sink.eventNames().length === before,
    fail: (reason) => sink.destroy(reason),
  };
}

async function* generate(): AsyncGenerator<string> {
  yield "a";
  yield "b";
}

const silent = (): Readable => new Readable({ objectMode: true, read: () => undefined });
const run = (source: StreamSource<unknown>, { sink }: Target): Promise<void> =>
  withScope((scope) => pipe(scope, source as StreamSource<never>, sink));

describe.each([
  ["a WritableStream", webTarget],
  ["a Node Writable", nodeTarget],
])("pipe() into %s", (_, makeTarget) => {
  it("writes everything, ends it, and leaves neither lock nor listener", async () => {
    const target = makeTarget();
    await run(Readable.from([1, 2, 3]), target);
    expect(target.log).toEqual([1, 2, 3, "end"]);
    expect(target.isFree()).toBe(true);
  });

  it("reads no faster than it can write", async () => {
    const gate = deferred();
    const target = makeTarget(gate.promise);
    let read = 0;
    const source = (function* () {
      while (read < 10) yield ++read;
    })();
    const piped = run(source, target);
    await flush();
    expect(read).toBeLessThanOrEqual(3);
    gate.resolve();
    await piped;
    expect(target.log).toHaveLength(11);
  });

  it("rejects with the reason when it is cancelled, after both sides are closed", async () => {
    for (const gate of [undefined, deferred()]) {
      const scope = createScope();
      const target = makeTarget(gate?.promise);
      const source = gate === undefined ? silent() : Readable.from([1, 2, 3, 4, 5]);
      const piped = pipe(scope, source as StreamSource<never>, target.sink);
      await flush();
      scope.cancel();
      gate?.resolve();
      expect(await rejection(piped)).toBe(scope.reason);
      expect(source.closed).toBe(true);
      expect(target.log).toContain("abort");
      expect(target.isFree()).toBe(true);
      await scope.close();
    }
  });

  it("aborts the sink when the source fails, and rejects with that error", async () => {
    const target = makeTarget();
    const source = silent();
    const piped = run(source, target);
    await flush();
    source.destroy(error);
    expect(await rejection(piped)).toBe(error);
    expect(target.log).toContain("abort");
    expect(target.isFree()).toBe(true);
  });

  it("closes the source when the sink fails, though the source is silent", async () => {
    const target = makeTarget();
    const source = silent();
    const piped = run(source, target);
    await flush();
    target.fail(error);
    expect(await rejection(piped)).toBe(error);
    expect(source.closed).toBe(true);
    expect(target.isFree()).toBe(true);
  });

  it("touches neither side in a scope that is cancelled or has ended", async () => {
    const target = makeTarget();
    const source = silent();
    const scope = createScope();
    scope.cancel();
    expect(await rejection(pipe(scope, source, target.sink))).toBe(scope.reason);
    const closed = createScope();
    await closed.close();
    expect(await rejection(pipe(closed, source, target.sink))).toBeInstanceOf(ScopeClosedError);
    expect([source.destroyed, target.log, target.isFree()]).toEqual([false, [], true]);
  });
});

describe("pipe()", () => {
  it("aborts a WritableStream with the reason", async () => {
    const scope = createScope();
    const target = webTarget();
    const piped = pipe(scope, silent(), target.sink);
    await flush();
    scope.cancel();
    await rejection(piped);
    expect(target.log).toEqual(["abort", scope.reason]);
    await scope.close();
  });

  it("does not wait for room that a Node stream never has when it is cancelled", async () => {
    const scope = createScope();
    const target = nodeTarget(new Promise(() => undefined));
    const piped = pipe(scope, [1, 2, 3], target.sink);
    await flush();
    scope.cancel();
    expect(await rejection(piped)).toBe(scope.reason);
    expect(target.log).toEqual(["abort"]);
    await scope.close();
  });

  it("rejects with the reason when a Node stream is cancelled before it has finished, once it is destroyed", async () => {
    const gate = deferred();
    const scope = createScope();
    const sink = new Writable({
      write: (_, __, callback) => callback(),
      final: () => undefined, // the last bytes are on their way
      destroy(_, callback) {
        void (async () => {
          await gate.promise;
          callback(null);
        })();
      },
    });
    const piped = pipe(scope, ["a"], sink);
    await flush();
    scope.cancel();
    expect(await outcomeOf(piped)).toBe("pending");
    gate.resolve();
    expect(await rejection(piped)).toBe(scope.reason);
    expect(sink.closed).toBe(true);
    await scope.close();
  });

  it.each<[string, () => StreamSource<string>]>([
    ["an array", () => ["a", "b"]],
    ["an async generator", () => generate()],
    ["a Node stream", () => Readable.from(["a", "b"])],
    ["a Duplex", () => Readable.from(["a", "b"]).pipe(new PassThrough({ objectMode: true }))],
    ["a ReadableStream", () => ReadableStream.from(["a", "b"])],
  ])("can be cancelled at any moment between %s and a sink", async (_, makeSource) => {
    for (const makeTarget of [nodeTarget, webTarget]) {
      for (let moment = 0; moment < 40; moment++) {
        const scope = createScope();
        const target = makeTarget();
        const piped = pipe(scope, makeSource(), target.sink as Writable);
        for (let turns = 0; turns < moment; turns++)
          await (turns % 3 === 2 ? new Promise((resolve) => process.nextTick(resolve)) : undefined);
        scope.cancel();
        const [outcome] = await Promise.allSettled([piped]);
        expect(outcome).toEqual(
          target.log.includes("end")
            ? { status: "fulfilled", value: undefined }
            : { status: "rejected", reason: scope.reason },
        );
        expect(target.isFree()).toBe(true);
      }
    }
  });

  it("rejects with the reason, and aborts the sink with it, when another task of its scope fails", async () => {
    const scope = createScope({ onError: () => undefined });
    const target = webTarget();
    const piped = pipe(scope, silent(), target.sink);
    await flush();
    spawn(scope, () => {
      throw error;
    });
    expect(await rejection(piped)).toBe(scope.reason);
    expect(target.log).toEqual(["abort", scope.reason]);
    await rejection(scope.close());
  });

  it("reports the errors of both sides when neither can be closed", async () => {
    const [first, second] = [new Error("source"), new Error("sink")];
    for (const moment of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) {
      const scope = createScope();
      const source = {
        [Symbol.asyncIterator]: () => ({
          next: () => Promise.resolve({ done: false, value: 1 }),
          return: () => Promise.reject(first),
        }),
      } as AsyncIterable<number>;
      const sink = new Writable({
        objectMode: true,
        highWaterMark: 1,
        write: () => undefined,
        destroy: (_, callback) => callback(second),
      });
      const piped = pipe(scope, source, sink);
      for (let turns = 0; turns <= moment; turns++) await Promise.resolve();
      scope.cancel();
      const caught = await rejection(piped);
      expect(new Set([caught, ...suppressed(caught)])).toEqual(new Set([first, second]));
      await scope.close();
    }
  });

  it("rejects with an error of closing a Node stream when it is cancelled meanwhile, too", async () => {
    const scope = createScope();
    let fail!: () => void;
    const sink = new Writable({
      write: (_, __, callback) => callback(),
      destroy: (_, callback) => void (fail = () => callback(error)),
    });
    const piped = pipe(scope, ["a"], sink);
    await flush();
    scope.cancel();
    await flush();
    fail();
    expect(await rejection(piped)).toBe(error);
    await scope.close();
  });

  it("writes to a stream that can't be closed, such as process.stdout, which resets its state", async () => {
    const written: unknown[] = [];
    const sink = new Writable({
      objectMode: true,
      write: (chunk, _, callback) => {
        written.push(chunk);
        callback();
      },
      destroy(_, callback) {
        callback(null);
        Reflect.apply(Reflect.get(this, "_undestroy") as () => void, this, []);
      },
    });
    await withScope((scope) => pipe(scope, ["a"], sink));
    expect(written).toEqual(["a"]);
  });

  it("rejects with an error that a Node stream has when it closes after its end, as pipeline() does", async () => {
    const sink = new Writable({
      write: (_, __, callback) => callback(),
      destroy: (_, callback) => void setImmediate(() => callback(error)),
    });
    expect(await rejection(withScope((scope) => pipe(scope, ["a"], sink)))).toBe(error);
  });

  it("rejects when the sink is closed while it is being ended", async () => {
    const sink = new Writable({ final: () => undefined, write: (_, __, callback) => callback() });
    const piped = withScope((scope) => pipe(scope, ["a"], sink));
    await flush();
    sink.destroy();
    expect(await rejection(piped)).toMatchObject({ code: "BOUGH_PREMATURE_CLOSE" });
  });

  it("keeps the first error, and the sink's own as suppressed", async () => {
    const second = new Error("abort failed");
    const sink = new WritableStream<never>({
      abort: () => {
        throw second;
      },
    });
    const source = (async function* () {
      yield* [];
      throw error;
    })();
    expect(await rejection(withScope((scope) => pipe(scope, source, sink)))).toBe(error);
    expect(suppressed(error)).toEqual([second]);
  });

  it("rejects when a Node stream is closed before its end, or was before", async () => {
    const sink = new PassThrough();
    const piped = withScope((scope) => pipe(scope, silent(), sink));
    await flush();
    sink.destroy();
    expect(await rejection(piped)).toMatchObject({ code: "BOUGH_PREMATURE_CLOSE" });
    const again = withScope((scope) => pipe(scope, silent(), sink));
    expect(await rejection(again)).toMatchObject({ code: "BOUGH_PREMATURE_CLOSE" });
  });

  it.each<[string, WritableOptions]>([
    ["in its end", { final: (callback) => callback(error) }],
    ["in its end, some time later", { final: (callback) => void setImmediate(callback, error) }],
    ["in its end, and does not say when it is closed", { emitClose: false, final: (done) => done(error) }],
    ["while it closes, when all is written", { destroy: (_, callback) => callback(error) }],
  ])("rejects when a Node stream fails %s, without an uncaught exception", async (_, options) => {
    const sink = new Writable({ write: (_chunk, _encoding, callback) => callback(), ...options });
    await withScope(async (scope) => {
      expect(await rejection(pipe(scope, ["a"], sink))).toBe(error);
    });
    expect(sink.listenerCount("error")).toBe(0);
  });

  it("connects any kind of source with any kind of sink", async () => {
    const { readable, writable } = new TransformStream<string, string>();
    const end = new PassThrough({ encoding: "utf8" });
    await withScope(async (scope) => {
      const first = pipe(scope, ["a", "b"], writable);
      const second = pipe(scope, readable, end);
      await Promise.all([first, second]);
    });
    expect(end.read()).toBe("ab");
  });

  it("does not wait for other work of its scope", async () => {
    expect(await outcomeOf(withScope((scope) => pipe(scope, [], webTarget().sink)))).toBe("resolved");
  });

  it.each([
    ["scope", [{}, [], webTarget().sink]],
    ["source", [undefined, 1, webTarget().sink]],
    ["sink", [undefined, [], {}]],
    ["sink", [undefined, [], null]],
  ])("refuses a bad %s", async (name, [given, source, sink]) => {
    const call = pipe as (...values: unknown[]) => Promise<void>;
    const caught = await withScope((scope: Scope) => rejection(call(given ?? scope, source, sink)));
    expect(caught).toBeInstanceOf(TypeError);
    expect((caught as Error).message).toContain(name);
  });
});
