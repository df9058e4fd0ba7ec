/* oxlint-disable typescript/unbound-method -- taking a method off its object is what is tested */
import { EventEmitter, once } from "node:events";
import { PassThrough, Readable, Transform, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { types } from "node:util";
import { describe, expect, it, vi } from "vitest";
import {
  ChannelClosedError,
  close,
  createChannel,
  createScope,
  select,
  selfCleaning,
  sending,
  spawn,
  type Task,
} from "../../index.js";

/** A handle whose method `give` returns `value`. */
function giving<T>(value: T): { give(...args: unknown[]): T } {
  return selfCleaning(() => ({ give: (): T => value }), { onOrphan: "ignore" });
}

describe("rule 24: an iterator or a cursor that a method returned", () => {
  class Cursor<T> implements AsyncIterableIterator<T> {
    #items: T[];
    closed = false;
    constructor(...items: T[]) {
      this.#items = items;
    }
    get left(): number {
      return this.#items.length;
    }
    next(): Promise<IteratorResult<T>> {
      const value = this.#items.shift() as T;
      return Promise.resolve(value === undefined ? { done: true, value } : { done: false, value });
    }
    [Symbol.asyncIterator](): this {
      return this;
    }
    async toArray(): Promise<T[]> {
      return this.#items;
    }
    clone(): Cursor<T> {
      return new Cursor(...this.#items);
    }
    filter(): this {
      return this;
    }
    async [Symbol.asyncDispose](): Promise<void> {
      this.closed = true;
    }
  }

  it("keeps its class, its members, its private fields and its disposal", async () => {
    const own = new Cursor(1, 2);
    const cursor = giving(own).give();
    expect(cursor).toBeInstanceOf(Cursor);
    expect(cursor.constructor).toBe(Cursor);
    expect(cursor.left).toBe(2);
    expect(await cursor.toArray()).toEqual([1, 2]);
    expect(await cursor.next()).toEqual({ done: false, value: 1 });
    expect(Object.keys(cursor)).toEqual(["closed"]);
    {
      await using again = cursor;
      expect(again.closed).toBe(false);
    }
    expect(own.closed).toBe(true);
  });

  it("is the same object when it is returned twice, also by a method that returns itself", async () => {
    const handle = giving(new Cursor(1));
    expect(handle.give()).toBe(handle.give());
    const cursor = handle.give();
    expect(cursor.filter()).toBe(cursor);
    expect(cursor[Symbol.asyncIterator]()).toBe(cursor);
    expect(cursor.next).toBe(cursor.next);
    expect(cursor.clone()).toBeInstanceOf(Cursor);
    expect(cursor.clone()).not.toBe(cursor);
  });

  it("reaches the inner object as its own object when it is passed back", () => {
    const own = new Cursor(1);
    const handle = selfCleaning(() => ({ open: () => own, isOwn: (cursor: unknown) => cursor === own }));
    expect(handle.isOwn(handle.open())).toBe(true);
    expect(handle.open()).not.toBe(own);
  });

  it("can be the handle of another object, which close() takes", async () => {
    class Repo {
      feed(): AsyncDisposable & Cursor<number> {
        return selfCleaning(() => new Cursor(1), { name: "feed" });
      }
    }
    const feed = selfCleaning(() => new Repo()).feed();
    expect(feed).toBeInstanceOf(Cursor);
    expect(await feed.toArray()).toEqual([1]);
    await close(feed);
    expect(feed.closed).toBe(true);
  });

  it("yields the handle for the inner object, also in later results", async () => {
    class Tree {
      *nodes(): Generator<this> {
        yield this;
      }
      pair(): [Tree, { tree: Tree }] {
        return [this, { tree: this }];
      }
      async later(): Promise<Iterable<this>> {
        return this.nodes();
      }
    }
    const handle = selfCleaning(() => new Tree());
    expect([...handle.nodes()][0]).toBe(handle);
    for (const node of await handle.later()) expect(node).toBe(handle);
    const [tree, nested] = handle.pair();
    expect([tree, nested.tree]).toEqual([handle, handle]);
    expect([tree === handle, nested.tree === handle]).toEqual([true, true]);
  });

  it("passes on values and errors that are sent to a generator", () => {
    const error = new Error("inside");
    const handle = selfCleaning(() => ({
      *talk(): Generator<string, void, string> {
        const said = yield "first";
        yield said;
        throw error;
      },
    }));
    const talk = handle.talk();
    expect(talk.next().value).toBe("first");
    expect(talk.next("second").value).toBe("second");
    let thrown: unknown;
    try {
      talk.next();
    } catch (caught) {
      thrown = caught;
    }
    expect(thrown).toBe(error);
    expect(Object.prototype.toString.call(talk)).toBe("[object Generator]");
  });
});

describe("rule 24: a promise that a method returned", () => {
  it("is the same when it is asked for twice, and is a promise of the platform", async () => {
    const handle = giving(Promise.resolve(1));
    expect(handle.give()).toBe(handle.give());
    expect(types.isPromise(handle.give())).toBe(true);
    expect(await handle.give()).toBe(1);
  });

  it("keeps members that were put on it", async () => {
    const cancel = vi.fn<() => string>(() => "cancelled");
    const promise = giving(Object.assign(Promise.resolve("value"), { cancel, progress: 3 })).give();
    expect(promise.cancel()).toBe("cancelled");
    expect(promise.progress).toBe(3);
    expect(promise).toBeInstanceOf(Promise);
    expect(await promise).toBe("value");
    expect(await promise.then((value) => value.length)).toBe(5);
  });

  it("keeps the class and the members of a subclass", async () => {
    class Cancellable<T> extends Promise<T> {
      #cancelled = false;
      cancel(): this {
        this.#cancelled = true;
        return this;
      }
      get cancelled(): boolean {
        return this.#cancelled;
      }
    }
    const promise = giving(Cancellable.resolve("value") as Cancellable<string>).give();
    expect(promise).toBeInstanceOf(Cancellable);
    expect(promise.cancel()).toBe(promise);
    expect(promise.cancelled).toBe(true);
    expect(await promise).toBe("value");
    const error = new Error("rejected");
    await expect(giving(Cancellable.reject(error) as Cancellable<never>).give()).rejects.toBe(error);
  });

  it("yields the handle for the inner object, and the same rejection", async () => {
    const error = new Error("rejected");
    class Repo {
      async open(): Promise<this> {
        return this;
      }
      ready: Promise<Repo> | undefined;
      whenReady(): Promise<Repo> {
        return (this.ready ??= this.open());
      }
      async fail(): Promise<never> {
        throw error;
      }
    }
    const handle = selfCleaning(() => new Repo());
    expect(await handle.open()).toBe(handle);
    expect(await handle.whenReady()).toBe(handle);
    expect(await handle.whenReady()).toBe(handle);
    await expect(handle.fail()).rejects.toBe(error);
  });
});

describe("rule 24: a query that is built by its methods", () => {
  class Query implements PromiseLike<string> {
    readonly #parts: string[];
    constructor(...parts: string[]) {
      this.#parts = parts;
    }
    where(part: string): this {
      this.#parts.push(part);
      return this;
    }
    limit(): Query {
      return new Query(...this.#parts, "limit");
    }
    // oxlint-disable-next-line unicorn/no-thenable -- a thenable is what is tested
    then<A, B>(
      resolve?: ((value: string) => A | PromiseLike<A>) | null,
      reject?: ((error: unknown) => B | PromiseLike<B>) | null,
    ): PromiseLike<A | B> {
      return Promise.resolve(this.#parts.join(" ")).then(resolve, reject);
    }
  }

  it("stays a query through its chain, and resolves with its value when it is awaited", async () => {
    const query = giving(new Query("from")).give();
    expect(query.where("x")).toBe(query);
    expect(query.where("y").limit()).toBeInstanceOf(Query);
    expect(await query.limit()).toBe("from x y limit");
    expect(await query).toBe("from x y");
  });

  it("stays one in an array or an object", async () => {
    const handle = giving({ rows: new Query("rows"), list: [new Query("list")] });
    expect(await handle.give().rows).toBe("rows");
    expect(await handle.give().list[0]?.limit()).toBe("list limit");
    expect(handle.give()).toBe(handle.give());
    expect(handle.give().list).toBe(handle.give().list);
  });
});

describe("rule 24: a channel of bough's that a method returned", () => {
  it("works in select(), sending(), loops and with close()", async () => {
    const scope = createScope();
    const own = createChannel<number>(1);
    const channel = giving(own).give();
    expect(channel).not.toBe(own);
    expect(channel.capacity).toBe(1);
    await channel.send(scope, 1);
    expect(await select(scope, { line: channel })).toEqual({ key: "line", value: 1 });
    expect(await select(scope, { sent: sending(channel, 2) })).toEqual({ key: "sent", value: undefined });
    channel.close();
    const seen: number[] = [];
    for await (const n of channel) seen.push(n);
    expect(seen).toEqual([2]);
    await expect(channel.receive(scope)).rejects.toBeInstanceOf(ChannelClosedError);
    await scope.close();
  });

  it("waits in select() as the channel itself does", async () => {
    const scope = createScope();
    const own = createChannel<number>();
    const selected = select(scope, { line: giving(own).give() });
    await own.send(scope, 7);
    expect(await selected).toEqual({ key: "line", value: 7 });
    await scope.close();
  });
});

describe("rule 24: a Node stream that a method returned", () => {
  class Lines extends Readable {
    #left: number;
    constructor(count: number) {
      super({ objectMode: true });
      this.#left = count;
    }
    override _read(): void {
      this.push(this.#left === 0 ? null : `line ${this.#left--}`);
    }
    get left(): number {
      return this.#left;
    }
  }
  const collector = (): { sink: Writable; seen: string[] } => {
    const seen: string[] = [];
    const sink = new Writable({
      objectMode: true,
      write: (chunk: string, _encoding, done) => (seen.push(chunk), done()),
    });
    return { sink, seen };
  };

  it("keeps its class, and its private fields are read", async () => {
    const lines = giving(new Lines(2)).give();
    expect(lines).toBeInstanceOf(Lines);
    expect(lines.read()).toBe("line 2");
    expect(lines.left).toBeLessThan(2);
    expect(lines.pause()).toBe(lines);
  });

  it("can be read by pipe, pipeline, loops, listeners and its operators", async () => {
    const { sink, seen } = collector();
    const lines = giving(new Lines(2)).give();
    expect(lines.pipe(sink)).toBe(sink);
    await once(sink, "finish");
    expect(seen).toEqual(["line 2", "line 1"]);

    const { sink: other, seen: piped } = collector();
    const upper = new Transform({
      objectMode: true,
      transform: (chunk: string, _encoding, done) => done(null, chunk.toUpperCase()),
    });
    await pipeline(giving(new Lines(2)).give(), upper, other);
    expect(piped).toEqual(["LINE 2", "LINE 1"]);

    const looped: unknown[] = [];
    for await (const line of giving(new Lines(1)).give()) looped.push(line);
    expect(looped).toEqual(["line 1"]);
    expect(
      await giving(new Lines(2))
        .give()
        .map((line: string) => line.length)
        .toArray(),
    ).toEqual([6, 6]);
  });

  it("unpipes its destination, and stops", async () => {
    const { sink, seen } = collector();
    const own = new PassThrough({ objectMode: true });
    const stream = giving(own).give();
    const unpiped = vi.fn<(source: unknown) => void>();
    sink.on("unpipe", unpiped);
    stream.pipe(sink);
    stream.unpipe(sink);
    own.write("late");
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen).toEqual([]);
    expect(unpiped.mock.calls[0]?.[0]).toBe(stream);
  });

  it("calls listeners with this = the caller's object, and removes each by its own name", () => {
    const own = new EventEmitter();
    const emitter = giving(own).give();
    const seen: unknown[] = [];
    const listener = function (this: unknown, value: unknown): void {
      seen.push(this, value);
    };
    expect(emitter.on("line", listener)).toBe(emitter);
    emitter.once("line", listener).prependListener("line", listener);
    own.emit("line", own);
    expect(seen).toEqual([emitter, emitter, emitter, emitter, emitter, emitter]);
    expect(emitter.listeners("line")).toEqual([listener, listener]);
    own.off("line", listener);
    emitter.removeListener("line", listener);
    expect(own.listenerCount("line")).toBe(0);
    emitter.once("line", listener).off("line", listener);
    expect(own.listenerCount("line")).toBe(0);
  });

  it("is written to, ended, and finishes", async () => {
    const { sink, seen } = collector();
    const stream = giving(sink).give();
    const written = vi.fn<() => void>();
    stream.write("a", written);
    stream.write("b");
    await new Promise<void>((resolve) => stream.end("c", resolve));
    expect(seen).toEqual(["a", "b", "c"]);
    expect(written).toHaveBeenCalledOnce();
    expect(stream.writableFinished).toBe(true);
  });

  it("passes an error to its listener, and destroys itself", async () => {
    const error = new Error("broken");
    const own = new PassThrough();
    const stream = giving(own).give();
    const failed = new Promise((resolve) => stream.once("close", resolve));
    const seen: unknown[] = [];
    stream.on("error", (caught) => seen.push(caught));
    own.destroy(error);
    await failed;
    expect(seen).toEqual([error]);
    expect(stream.destroyed).toBe(true);
  });
});

describe("rule 24: the web's streams, events and subscriptions that a method returned", () => {
  it("a web stream is accepted by the platform, and is the same object each time", async () => {
    const handle = giving(
      new ReadableStream<string>({
        start(controller) {
          controller.enqueue("line");
          controller.close();
        },
      }).pipeThrough(new TextEncoderStream()),
    );
    expect(handle.give()).toBe(handle.give());
    expect(await new Response(handle.give()).text()).toBe("line");
  });

  it("a byte stream stays one, an error and a cancellation come through", async () => {
    const bytes = giving(
      new ReadableStream({
        type: "bytes",
        pull(controller) {
          controller.enqueue(new Uint8Array([1, 2]));
          controller.close();
        },
      }),
    ).give();
    const reader = bytes.getReader({ mode: "byob" });
    expect((await reader.read(new Uint8Array(4))).value).toEqual(new Uint8Array([1, 2]));
    expect((await reader.read(new Uint8Array(4))).done).toBe(true);
    const error = new Error("broken");
    const failing = giving(
      new ReadableStream({
        pull() {
          throw error;
        },
      }),
    ).give();
    await expect(failing.getReader().read()).rejects.toBe(error);
    const cancelled = vi.fn<(reason: unknown) => void>();
    await giving(new ReadableStream({ cancel: cancelled }))
      .give()
      .cancel("enough");
    expect(cancelled).toHaveBeenCalledWith("enough");
  });

  it("a writable stream writes through, and a pair of streams is a pair of such", async () => {
    const seen: unknown[] = [];
    const sink = giving(new WritableStream({ write: (chunk) => void seen.push(chunk) })).give();
    const writer = sink.getWriter();
    await writer.write("a");
    await writer.close();
    expect(seen).toEqual(["a"]);
    const pair = giving(new TransformStream<string, string>()).give();
    const text = ReadableStream.from(["x", "y"]).pipeThrough(pair);
    const read: string[] = [];
    for await (const chunk of text) read.push(chunk);
    expect(read).toEqual(["x", "y"]);
  });

  it("an event target calls functions, objects and handlers, and removes them", () => {
    const own = new EventTarget() as EventTarget & { online?: ((event: Event) => void) | undefined };
    const target = giving(own).give();
    const seen: string[] = [];
    const listener = (): void => void seen.push("function");
    const object = { handleEvent: (): void => void seen.push("object") };
    target.addEventListener("line", listener);
    target.addEventListener("line", object);
    target.online = listener;
    expect(target.online).toBe(listener);
    own.dispatchEvent(new Event("line"));
    expect(seen).toEqual(["function", "object"]);
    target.removeEventListener("line", listener);
    target.removeEventListener("line", object);
    own.dispatchEvent(new Event("line"));
    expect(seen).toHaveLength(2);
  });

  it("a listener with a signal is called until that is aborted, and may be added again", () => {
    const own = new EventTarget();
    const target = giving(own).give();
    const seen: string[] = [];
    const listener = (event: Event): void => void seen.push(event.type);
    const object = { handleEvent: listener };
    const stop = new AbortController();
    target.addEventListener("a", listener, { signal: stop.signal });
    target.addEventListener("b", listener); // the same listener, which stays
    target.addEventListener("a", object, { signal: stop.signal });
    const emit = (): void => {
      for (const type of ["a", "b"]) own.dispatchEvent(new Event(type));
    };
    emit();
    expect(seen.splice(0)).toEqual(["a", "a", "b"]);
    stop.abort();
    emit();
    expect(seen.splice(0)).toEqual(["b"]);
    target.addEventListener("a", object);
    target.addEventListener("c", listener, { signal: stop.signal }); // an aborted one adds nothing
    own.dispatchEvent(new Event("c"));
    emit();
    expect(seen.splice(0)).toEqual(["a", "b"]);
    target.removeEventListener("b", listener);
    target.removeEventListener("a", object);
    emit();
    expect(seen).toEqual([]);
  });

  it("a subscription ends by its method or its function, and calls the caller's own callback", () => {
    const listeners = new Set<unknown>();
    const handle = selfCleaning(() => ({
      subscribe(listener: () => void) {
        listeners.add(listener);
        return { closed: false, unsubscribe: () => void listeners.delete(listener) };
      },
      onLine(listener: () => void) {
        listeners.add(listener);
        return Object.assign(() => listeners.delete(listener), { label: "stop" });
      },
    }));
    const listener = (): void => undefined;
    const subscription = handle.subscribe(listener);
    const stop = handle.onLine(() => undefined);
    expect(listeners.has(listener)).toBe(true);
    subscription.unsubscribe();
    expect(stop.label).toBe("stop");
    expect(stop()).toBe(true);
    expect(listeners.size).toBe(0);
  });
});

describe("rule 24: an object or a function that can ask more of the handle", () => {
  class Collection {
    readonly #items: readonly number[];
    label = "all";
    constructor(items: readonly number[]) {
      this.#items = items;
    }
    find(): AsyncGenerator<number> {
      const items = this.#items;
      return (async function* () {
        for (const item of items) yield item;
      })();
    }
    same(): this {
      return this;
    }
  }
  const tellsFacades = (value: unknown): boolean => types.isProxy(value);

  it("looks like it, runs with its private members, and returns facades, too", async () => {
    const own = new Collection([1, 2]);
    const shown = giving(own).give();
    expect(shown).toBeInstanceOf(Collection);
    expect(shown.same()).toBe(shown);
    shown.label = "some";
    expect(own.label).toBe("some");
    expect(tellsFacades(shown) && tellsFacades(shown.find())).toBe(true);
    const seen: number[] = [];
    for await (const item of shown.find()) seen.push(item);
    expect(seen).toEqual([1, 2]);
  });

  it("is recognised when it comes back as an argument", () => {
    const own = new Collection([]);
    const held: unknown[] = [];
    const pool = selfCleaning(() => ({
      acquire: () => own,
      release: (item: Collection): void => void held.push(item),
    }));
    pool.release(pool.acquire());
    expect(held).toEqual([own]);
    expect(held[0]).toBe(own);
  });

  it("is reached by public fields, by literals with functions, and by functions", () => {
    class Db {
      readonly client: Collection;
      constructor(client: Collection) {
        this.client = client;
      }
      collection(): Collection {
        return this.client;
      }
    }
    const db = giving(new Db(new Collection([]))).give();
    expect([db, db.client, db.collection()].map(tellsFacades)).toEqual([true, true, true]);
    const tools = giving({ open: () => new Collection([]) }).give();
    expect(tellsFacades(tools.open())).toBe(true);
    const open = giving(Object.assign(() => new Collection([]), { label: "open" })).give();
    expect(open.label).toBe("open");
    expect(tellsFacades(open())).toBe(true);
  });

  it("may be in a Map or a Set, whose members are facades whichever way they are read", async () => {
    const own = new Collection([1]);
    const map = giving(new Map([["a", own]])).give();
    expect(map).toBeInstanceOf(Map);
    expect(map.size).toBe(1);
    const shown = map.get("a");
    expect(tellsFacades(shown)).toBe(true);
    expect([...map]).toEqual([["a", shown]]);
    map.forEach((member, key, self) => expect([member, key, self]).toEqual([shown, "a", map]));
    const [only] = giving(new Set([own])).give();
    expect(tellsFacades(only)).toBe(true);
    const self = selfCleaning(() => ({ all: (): Map<string, unknown> => new Map([["self", 1]]) }));
    expect(self.all()).toEqual(new Map([["self", 1]]));
  });

  it("a function made from the caller's function can be called any number of times", () => {
    const handle = selfCleaning(() => ({
      memoize: (load: (key: number) => number) => {
        const known = new Map<number, number>();
        return (key: number): number => known.get(key) ?? (known.set(key, load(key)), load(key));
      },
    }));
    const cached = handle.memoize((key) => key * 2);
    expect([cached(1), cached(2), cached(1)]).toEqual([2, 4, 2]);
  });

  it("the failure of a thenable is the failure, and that of a function as well", async () => {
    const failure = new Error("boom");
    const query = giving({
      where: () => 1,
      // oxlint-disable-next-line unicorn/no-thenable -- a thenable is what is tested
      then: (_: unknown, reject: (error: unknown) => void) => reject(failure),
    }).give();
    await expect(Promise.resolve(query)).rejects.toBe(failure);
    const fail = giving(() => {
      throw failure;
    }).give();
    expect(fail).toThrow(failure);
  });
});

describe("rule 24: a value that is not replaced", () => {
  it("is data, or a value that the caller put in", () => {
    class Point {
      x = 1;
      norm(): number {
        return this.x;
      }
    }
    const held: Map<string, unknown> = new Map();
    const handle = selfCleaning(() => ({
      set: (key: string, value: unknown): void => void held.set(key, value),
      get: (key: string): unknown => held.get(key),
    }));
    const values = [
      { a: 1 },
      [1, { b: 2 }],
      new Map(),
      new Date(),
      new Error("x"),
      Buffer.from("x"),
      new URL("x:y"),
      new Point(),
      [new Point()],
      { point: new Point(), run: (): number => 1 },
      new EventEmitter(),
      new AbortController().signal,
      (): number => 1,
      Point,
    ];
    for (const value of values) {
      handle.set("key", value);
      expect(handle.get("key")).toBe(value);
    }
  });

  it("is an object with its own methods, which needs no facade", () => {
    class Session {
      readonly #id = 1;
      ask(): number {
        return this.#id;
      }
      is(other: object): boolean {
        return #id in other;
      }
    }
    const own = new Session();
    const session = giving(own).give();
    expect(session).toBe(own);
    expect(session.is(giving(session).give())).toBe(true);
  });

  it("is an object whose fields are data, though it has methods", () => {
    class User {
      name = "Ada";
      tags = ["x"];
      born = new Date(0);
      greet(): string {
        return this.name;
      }
    }
    const own = new User();
    expect(giving(own).give()).toBe(own);
    expect(structuredClone(giving({ user: own }).give().user)).toMatchObject({ name: "Ada" });
  });

  it("is the value of a frozen result, for any value", async () => {
    const own = Object.freeze({ lines: createChannel<number>(), list: Object.freeze([Promise.resolve(1)]) });
    const shown = giving(own).give();
    expect(Object.keys(shown)).toEqual(["lines", "list"]);
    expect(await shown.list[0]).toBe(1);
    expect(Array.isArray(shown.list)).toBe(true);
  });

  it("is a result whose members throw when they are read, or that is a revoked proxy", () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const strict = new Proxy(
      {},
      {
        get: (_, key) => {
          throw new Error(`no ${String(key)}`);
        },
      },
    );
    expect(giving(strict).give() === strict).toBe(true);
    expect(giving(proxy).give() === proxy).toBe(true);
  });

  it("is a task, which is still one for select()", async () => {
    const scope = createScope();
    const handle = selfCleaning((own) => ({ start: (): Task<string> => spawn(own, async () => "done") }));
    expect(await select(scope, { task: handle.start() })).toEqual({ key: "task", value: "done" });
    await scope.close();
    await close(handle);
  });
});
