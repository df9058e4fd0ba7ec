import type { EventEmitter } from "node:events";
import type { PassThrough, Readable, Writable } from "node:stream";
import { createChannel, selfCleaning, sleep, spawn, type Channel, type Scope } from "../../src/index.js";
import { host, type Case, type PinnedCase, type Probe } from "./probe.js";

const forever = (scope: Scope): Promise<void> => sleep(scope, 3_600_000);

type Listener = (value: unknown) => void;

/** Its worker keeps everything that its methods return, so none of that may lead to the handle by itself. */
class Source {
  readonly lines: Channel<number> = createChannel<number>();
  readonly target: EventTarget = new EventTarget();
  readonly listeners = new Set<Listener>();
  readonly given: unknown[] = [];
  #enqueue: ReadableStreamDefaultController<number> | undefined;
  readonly stream: ReadableStream<number> = new ReadableStream<number>({
    start: (controller) => void (this.#enqueue = controller),
  });

  start(scope: Scope): this {
    spawn(scope, async (task) => {
      await forever(task);
      this.listeners.clear();
    });
    return this;
  }
  channel(): Channel<number> {
    return this.lines;
  }
  web(): ReadableStream<number> {
    return this.stream;
  }
  endWeb(): void {
    this.#enqueue?.close();
  }
  events(): EventTarget {
    return this.target;
  }
  iterable(): AsyncIterable<number> {
    const { lines } = this;
    return this.#keep({ [Symbol.asyncIterator]: () => lines[Symbol.asyncIterator]() });
  }
  subscribe(listener: Listener, _options?: { signal: AbortSignal }): { unsubscribe(): void } {
    this.listeners.add(listener);
    return this.#keep({ unsubscribe: () => void this.listeners.delete(listener) });
  }
  onLine(listener: Listener, _signal?: AbortSignal): () => void {
    this.listeners.add(listener);
    return this.#keep(() => void this.listeners.delete(listener));
  }
  query(): Query {
    return this.#keep(new Query(this.lines));
  }
  pair(): { lines: Channel<number>; total: number } {
    return this.#keep({ lines: this.lines, total: 1 });
  }
  both(): [Channel<number>, string] {
    return this.#keep([this.lines, "total"]);
  }
  session(): Session {
    return this.#keep(new Session(this));
  }
  asking(): () => number {
    return this.#keep(() => this.given.length);
  }
  opening(): () => Channel<number> {
    return this.#keep(() => this.lines);
  }
  tools(): { open(): Channel<number> } {
    return this.#keep({ open: () => this.lines });
  }
  byName(): Map<string, Channel<number>> {
    return this.#keep(new Map([["lines", this.lines]]));
  }
  memoize(load: () => number): (...args: unknown[]) => number {
    return this.#keep((...args: unknown[]) => load() + args.length);
  }
  cursor(): Cursor {
    return this.#keep(new Cursor(this.lines));
  }
  async open(): Promise<Channel<number>> {
    await Promise.resolve();
    return this.lines;
  }
  value(): object {
    return this.#keep({ name: "data", tags: ["a"], at: new Date(0), bytes: new Uint8Array(1) });
  }
  /** Each has a promise that only the worker could settle. */
  answers(): [Answer, Details, Map<string, Promise<number>>, AsyncGenerator<Promise<number>[]>] {
    const pending = new Promise<number>((resolve) => void this.listeners.add(resolve as Listener));
    const pages = async function* (): AsyncGenerator<Promise<number>[]> {
      yield [pending]; // a generator would wait for the promise itself
    };
    return this.#keep([new Answer(pending), new Details(pending), new Map([["a", pending]]), pages()]);
  }
  openers(): (() => Channel<number>)[] {
    return this.#keep([(): Channel<number> => this.lines]);
  }
  reader(): ReadableStreamDefaultReader<number> {
    return (
      (this.given.find(isReader) as ReadableStreamDefaultReader<number> | undefined) ??
      this.#keep(this.stream.getReader())
    );
  }
  put(thing: object): void {
    this.given.push(thing);
  }
  thing(): unknown {
    return this.given[0];
  }

  #keep<T>(result: T): T {
    this.given.push(result);
    return result;
  }
}

/** A query as those of the builders: nothing happens until it is awaited. */
class Query {
  readonly #lines: Channel<number>;
  constructor(lines: Channel<number>) {
    this.#lines = lines;
  }
  where(): this {
    return this;
  }
  limit(): Query {
    return new Query(this.#lines);
  }
  // oxlint-disable-next-line unicorn/no-thenable -- a thenable is what is tested
  then(resolve: (value: unknown) => void, reject: (error: unknown) => void): void {
    void this.#lines[Symbol.asyncIterator]().next().then(resolve, reject);
  }
}

class Answer {
  readonly #done: Promise<number>;
  constructor(done: Promise<number>) {
    this.#done = done;
  }
  get done(): Promise<number> {
    return this.#done;
  }
}

/** It has fields only. */
class Details {
  readonly done: Promise<number>;
  readonly open = (): Promise<number> => this.done;
  constructor(done: Promise<number>) {
    this.done = done;
  }
}

function isReader(value: unknown): boolean {
  return value instanceof ReadableStreamDefaultReader;
}

class Cursor {
  readonly #lines: Channel<number>;
  constructor(lines: Channel<number>) {
    this.#lines = lines;
  }
  [Symbol.asyncIterator](): this {
    return this;
  }
  next(): Promise<IteratorResult<number>> {
    return this.#lines[Symbol.asyncIterator]().next();
  }
  async close(): Promise<void> {
    await Promise.resolve();
  }
}

class Session {
  readonly #source: Source;
  constructor(source: Source) {
    this.#source = source;
  }
  lines(): Channel<number> {
    return this.#source.lines;
  }
  ask(): number {
    return this.#source.given.length;
  }
}

function source(probe: Probe): Source {
  const handle = selfCleaning((scope) => new Source().start(scope), probe.options);
  probe.watch(handle);
  return handle;
}

async function readAll(items: AsyncIterable<number>): Promise<void> {
  for await (const _ of items);
}

const silently = (work: Promise<unknown>): void => void work.catch(() => undefined);

interface NodeStreams {
  readonly Readable: typeof Readable;
  readonly Writable: typeof Writable;
  readonly PassThrough: typeof PassThrough;
  readonly EventEmitter: typeof EventEmitter;
}

/** Not imported: a browser has none. */
async function nodeStreams(): Promise<NodeStreams> {
  const [streams, events] = await Promise.all([import("node:stream"), import("node:events")]);
  return {
    Readable: streams.Readable,
    Writable: streams.Writable,
    PassThrough: streams.PassThrough,
    EventEmitter: events.EventEmitter,
  };
}

/** Keeps what `make` makes, as the inner object of a handle whose only method gives it out. */
function giver<T extends object>(probe: Probe, make: () => T): { give(): T } {
  const handle = selfCleaning((scope) => {
    const kept = make();
    spawn(scope, async (task) => {
      await forever(task);
      void Reflect.get(kept, "on");
    });
    return { give: (): T => kept };
  }, probe.options);
  probe.watch(handle);
  return handle;
}

const world = new Set<unknown>();
const load = (): number => 1;

function feed(stream: Writable, end: boolean): void {
  setTimeout(() => (end ? stream.end("a\nb\n") : stream.write("a\nb\n")), 1);
}

/** Leaving the loop does not close the readline: it goes on reading. */
async function readOneLine(probe: Probe): Promise<void> {
  const { PassThrough } = await nodeStreams();
  const { createInterface } = await import("node:readline");
  const stream = giver(probe, () => new PassThrough()).give();
  feed(stream, false);
  for await (const _ of createInterface({ input: stream })) break;
}

/** Rows of "What is not collected": results in use. Nobody holds the handle, and mostly not even the result. */
export const resultsInUse: readonly PinnedCase[] = [
  {
    row: "a channel of its methods that is being read",
    keptBy: /HandleRef\n\.#strongHandle → Source$/,
    run(probe, copy) {
      if (copy % 2 === 0) silently(readAll(source(probe).channel()));
      else silently(source(probe).open().then(readAll));
    },
  },
  {
    row: "a channel, stream or iterable of its methods that you hold and have not read to its end",
    keptBy: /Source$/,
    run(probe, copy): unknown {
      if (copy % 4 === 0) return [source(probe).channel()];
      if (copy % 4 === 1) return [source(probe).web()];
      if (copy % 4 === 2) return [source(probe).iterable()];
      return [source(probe).channel()[Symbol.asyncIterator]()];
    },
  },
  {
    row: "a web stream of its methods that is being read",
    keptBy: /Source$/,
    run(probe, copy) {
      const stream = source(probe).web();
      if (copy % 2 === 0) silently(stream.getReader().read());
      else silently(stream.pipeTo(new WritableStream()));
    },
  },
  {
    row: "an async iterable without `next` that is being read",
    keptBy: /Source$/,
    run(probe) {
      silently(readAll(source(probe).iterable()));
    },
  },
  {
    row: "a Node stream of its methods that is read or piped or has listeners, including those of an unclosed readline",
    needsNode: true,
    keptBy: /Object$/,
    async run(probe, copy) {
      if (copy === 7) return readOneLine(probe);
      const { Readable, Writable } = await nodeStreams();
      const stream = giver(probe, () => new Readable({ read: () => undefined })).give();
      const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
      if (copy % 4 === 0) stream.pipe(sink);
      else if (copy % 4 === 1) stream.on("data", () => undefined);
      else if (copy % 4 === 2) silently(readAll(stream));
      else stream.once("end", () => undefined);
    },
  },
  {
    row: "a Node stream of its methods with buffered writes",
    needsNode: true,
    keptBy: /Object$/,
    async run(probe) {
      const { Writable } = await nodeStreams();
      const write = (_chunk: unknown, _encoding: unknown, done: () => void): void => void world.add(done);
      giver(probe, () => new Writable({ write }))
        .give()
        .write("line");
    },
  },
  {
    row: "an emitter or event target of its methods that has listeners of yours",
    keptBy: /(?:Object|Source)$/,
    async run(probe, copy) {
      if (copy % 2 === 0 && host !== "browser") {
        const { EventEmitter } = await nodeStreams();
        giver(probe, () => new EventEmitter())
          .give()
          .on("line", () => undefined);
      } else
        source(probe)
          .events()
          .addEventListener("line", () => undefined);
    },
  },
  {
    row: "a subscription that one of its methods returned, even if you dropped it",
    keptBy: /Source$/,
    run(probe, copy) {
      if (copy % 2 === 0) source(probe).subscribe(() => undefined);
      else source(probe).onLine(() => undefined);
    },
  },
  {
    row: "an `await` of a query that its methods built",
    keptBy: /Source$/,
    run(probe) {
      const wait = async (): Promise<unknown> => source(probe).query().where().limit();
      silently(wait());
    },
  },
  {
    row: "an array or plain object that contains such a result",
    keptBy: /Source$/,
    run(probe, copy): unknown {
      if (copy % 2 === 0) silently(readAll(source(probe).pair().lines));
      else silently(readAll(source(probe).both()[0]));
      return undefined;
    },
  },
  {
    row: "an object with methods, or a function, that one of its methods returned and that you hold",
    keptBy: /Source$/,
    run(probe, copy): unknown {
      if (copy % 3 === 0) return [source(probe).memoize(() => 1)].map((cached) => (cached(), cached));
      return copy % 3 === 1 ? [source(probe).session()] : [source(probe).asking()];
    },
  },
  {
    row: "a result of a method of such an object, of such a function, or of a `Map` of them, while it is in use",
    keptBy: /Source$/,
    run(probe, copy) {
      if (copy % 4 === 0) silently(readAll(source(probe).session().lines()));
      else if (copy % 4 === 1) silently(readAll(source(probe).opening()()));
      else if (copy % 4 === 2) silently(readAll(source(probe).tools().open()));
      else silently(readAll(source(probe).byName().get("lines") ?? createChannel<number>()));
    },
  },
];

/** Rows of "What is not collected": members of results, and what results deliver. */
export const partsInUse: readonly PinnedCase[] = [
  {
    row: "an `await` of a promise that is a member of such a result, or a value of such an iterator",
    keptBy: /Source$/,
    run(probe, copy) {
      const [answer, details, byName, pages] = source(probe).answers();
      if (copy % 5 === 0) silently(answer.done);
      else if (copy % 5 === 1) silently(details.done);
      else if (copy % 5 === 2) silently(details.open());
      else if (copy % 5 === 3) silently(Promise.all(byName.values()));
      else silently(readPages(pages));
    },
  },
  {
    row: "a function taken from such a result, or a result of its call, while it is in use",
    keptBy: /Source$/,
    run(probe, copy): unknown {
      const handle = source(probe);
      const [open] = copy % 2 === 0 ? handle.openers() : Object.values(handle.tools());
      if (copy % 4 < 2) return [open];
      silently(readAll(open?.() ?? createChannel<number>()));
      return undefined;
    },
  },
  {
    row: "a stream or an emitter that an emitter of its methods emitted, such as a connection, until it is closed",
    needsNode: true,
    keptBy: /Object$/,
    async run(probe, copy): Promise<unknown> {
      const { EventEmitter, PassThrough } = await nodeStreams();
      const server = new EventEmitter();
      let got: unknown;
      const listen = (): void => {
        const given = giver(probe, () => server).give();
        if (copy % 2 === 0) given.once("connection", (socket: unknown) => (got = socket));
        else given.on("connection", (socket: unknown) => (got = socket));
      };
      listen();
      server.emit("connection", copy % 4 < 2 ? new PassThrough() : new EventEmitter());
      server.removeAllListeners();
      return got;
    },
  },
  {
    row: "a callback passed to one of its methods, if the method returned an emitter for it",
    needsNode: true,
    keptBy: /Object$/,
    async run(probe) {
      const { EventEmitter } = await nodeStreams();
      const handle = selfCleaning((scope) => {
        const callbacks: unknown[] = [];
        spawn(scope, async (task) => {
          await forever(task);
          callbacks.pop();
        });
        const run = (callback: () => void): EventEmitter => {
          callbacks.push(callback);
          return new EventEmitter();
        };
        return { run };
      }, probe.options);
      probe.watch(handle);
      handle.run(() => undefined);
    },
  },
  {
    row: "an object that can have no facade, that one of its methods returned and the inner object keeps",
    keptBy: /(?:Version|Response)\n\(its value in a WeakMap\) → HandleRef\n\.#strongHandle → Object$/,
    run(probe, copy) {
      giver(probe, () => (copy % 2 === 0 ? new Version() : new Response("body"))).give();
    },
  },
];

class Version {
  readonly #number = 1;
  isNewerThan(other: Version): boolean {
    return this.#number > other.#number;
  }
}

async function readPages(pages: AsyncGenerator<Promise<number>[]>): Promise<void> {
  for await (const page of pages) silently(Promise.all(page));
}

/** Rows of "What is collected": results that have ended, or that nobody uses. The inner object keeps them all. */
export const resultsAtRest: readonly Case[] = [
  {
    row: "a channel, stream or iterable of its methods that you neither hold nor read",
    run(probe, copy) {
      const handle = source(probe);
      if (copy % 4 === 0) handle.channel();
      else if (copy % 4 === 1) handle.web();
      else if (copy % 4 === 2) handle.iterable();
      else void handle.pair().lines;
    },
  },
  {
    row: "a closed channel of its methods that you hold",
    run(probe): unknown {
      const channel = source(probe).channel();
      channel.close();
      return [channel];
    },
  },
  {
    row: "a finished, failed or returned iterator of its methods that you hold",
    async run(probe, copy): Promise<unknown> {
      const handle = source(probe);
      const channel = handle.channel();
      const items = channel[Symbol.asyncIterator]();
      const next = items.next();
      if (copy % 3 === 0) channel.close();
      else if (copy % 3 === 1) channel.close(new Error("failed"));
      else await items.return?.();
      await next.catch(() => undefined);
      return [items];
    },
  },
  {
    row: "a web stream of its methods that you hold, after it was read to its end or cancelled",
    async run(probe, copy): Promise<unknown> {
      const handle = source(probe);
      const stream = handle.web();
      if (copy % 2 === 0) {
        handle.endWeb();
        await stream.getReader().read();
      } else await stream.cancel();
      return [stream];
    },
  },
  {
    row: "a Node stream of its methods that you hold, after it was read to its end or destroyed",
    needsNode: true,
    async run(probe, copy): Promise<unknown> {
      const { Readable } = await nodeStreams();
      const stream = giver(probe, () => Readable.from([1, 2])).give();
      stream.on("error", () => undefined);
      if (copy % 3 === 0) stream.destroy();
      else if (copy % 3 === 1) stream.resume();
      else await readAll(stream);
      await new Promise((resolve) => setTimeout(resolve, 5));
      return [stream];
    },
  },
  {
    row: "a Node stream of its methods that is not read, after its listeners and pipes were removed",
    needsNode: true,
    async run(probe, copy) {
      const { Readable, Writable } = await nodeStreams();
      const stream = giver(probe, () => new Readable({ read: () => undefined })).give();
      const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
      const listener = (): void => undefined;
      if (copy % 4 === 0) stream.pipe(sink).on("error", listener);
      if (copy % 4 === 0) stream.unpipe(sink);
      if (copy % 4 === 1) stream.on("data", listener).off("data", listener);
      if (copy % 4 === 2) stream.once("end", listener).removeAllListeners();
      world.add(sink);
      world.add(listener);
    },
  },
  {
    row: "an emitter or event target of its methods whose listeners were removed",
    async run(probe, copy) {
      const listener = (): void => undefined;
      world.add(listener);
      if (copy % 2 === 0 && host !== "browser") {
        const { EventEmitter } = await nodeStreams();
        const emitter = giver(probe, () => new EventEmitter()).give();
        emitter.on("line", listener).once("line", listener);
        emitter.off("line", listener).removeListener("line", listener);
        emitter.once("close", listener).emit("close");
        return;
      }
      const target = source(probe).events();
      target.addEventListener("line", listener);
      target.removeEventListener("line", listener);
    },
  },
  {
    row: "a subscription that you hold, after it was unsubscribed",
    run(probe, copy): unknown {
      if (copy % 2 === 0) {
        const subscription = source(probe).subscribe(() => undefined);
        subscription.unsubscribe();
        return [subscription];
      }
      const stop = source(probe).onLine(() => undefined);
      stop();
      return [stop];
    },
  },
  {
    row: "a query of its methods that was awaited, or never awaited",
    run(probe, copy) {
      const handle = source(probe);
      const query = handle.query().where();
      if (copy % 2 === 0) return;
      handle.channel().close();
      void Promise.resolve(query).catch(() => undefined);
    },
  },
  {
    row: "data that its methods returned, and values that you put into it",
    run(probe, copy): unknown {
      const handle = source(probe);
      const mine = new Session(new Source());
      handle.put(mine);
      return copy % 2 === 0 ? handle.value() : handle.thing();
    },
  },
  {
    row: "an object with methods, or a function, that one of its methods returned and that you do not hold",
    run(probe, copy) {
      const handle = source(probe);
      if (copy % 4 === 0) handle.session().ask();
      else if (copy % 4 === 1) handle.asking()();
      else if (copy % 4 === 2) handle.tools().open();
      else handle.memoize(load)();
    },
  },
  {
    row: "a closed cursor of its methods that you hold",
    async run(probe): Promise<unknown> {
      const cursor = source(probe).cursor();
      await cursor.close();
      return [cursor];
    },
  },
  {
    row: "a subscription whose `signal` was aborted",
    run(probe, copy): unknown {
      const stop = new AbortController();
      world.add(stop);
      if (copy % 2 === 0) source(probe).subscribe(() => undefined, { signal: stop.signal });
      else source(probe).onLine(() => undefined, stop.signal);
      stop.abort();
      return stop;
    },
  },
  {
    row: "an event target of its methods whose listeners had a `signal` that was aborted",
    run(probe, copy): unknown {
      const stop = new AbortController();
      world.add(stop);
      const target = source(probe).events();
      const options = { signal: stop.signal, once: copy % 4 === 1 };
      const listener = (): unknown => target; // which reaches the handle
      target.addEventListener("line", copy % 4 === 2 ? { handleEvent: listener } : listener, options);
      if (copy % 4 === 3) target.addEventListener("end", listener, options);
      stop.abort();
      return stop;
    },
  },
  {
    row: "a Node stream of its methods, read by a readline that was closed, aborted or reached the end",
    needsNode: true,
    async run(probe, copy) {
      const { PassThrough } = await nodeStreams();
      const { createInterface } = await import("node:readline");
      const stream = giver(probe, () => new PassThrough()).give();
      const stop = new AbortController();
      world.add(stop);
      const lines = createInterface({ input: stream, signal: stop.signal });
      feed(stream, copy % 3 === 2);
      for await (const _ of lines) if (copy % 3 < 2) break;
      if (copy % 3 === 0)
        lines.close(); // leaving the loop does not close it
      else if (copy % 3 === 1) stop.abort();
    },
  },
  {
    row: "a reader or a writer of a web stream of its methods that you do not hold, or that was closed",
    async run(probe, copy): Promise<unknown> {
      const handle = source(probe);
      const reader = handle.reader();
      if (copy % 2 === 0) return undefined;
      handle.endWeb();
      await reader.closed;
      return [reader];
    },
  },
  {
    row: "a handle that was passed to its own inner object",
    run(probe, copy) {
      const handle = source(probe);
      if (copy % 2 === 0) handle.put(handle);
      else (handle as { friend?: unknown }).friend = handle;
    },
  },
  {
    row: "two handles that were passed to each other's inner objects",
    run(probe, copy) {
      const [one, other] = [
        source(probe),
        selfCleaning((scope) => new Source().start(scope), { onOrphan: "ignore" }),
      ];
      one.put(other);
      if (copy % 2 === 0) other.put(one);
      else (other as { friend?: unknown }).friend = one;
    },
  },
];
