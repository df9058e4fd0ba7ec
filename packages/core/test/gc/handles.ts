/* oxlint-disable eslint/no-console -- its output is what the test reads */
import {
  close,
  createChannel,
  selfCleaning,
  sleep,
  spawn,
  type Channel,
  type Scope,
} from "../../src/index.js";
import { collect, collectUntil, Probe } from "./probe.js";

/** The observed behaviour of a handle in a runtime: `got` must equal `want`. */
export interface Finding {
  readonly name: string;
  readonly got: unknown;
  readonly want: unknown;
}

const LINES = 12;
const quiet = { onOrphan: "ignore" } as const;
const all = Array.from({ length: LINES }, (_, index) => index);

/** Sends its lines in several ways, one after the other. */
class Tail {
  readonly channel: Channel<number> = createChannel<number>(LINES);
  readonly target: EventTarget = new EventTarget();
  readonly listeners = new Set<(line: number) => void>();
  #controller: ReadableStreamDefaultController<number> | undefined;
  readonly stream: ReadableStream<number> = new ReadableStream<number>({
    start: (controller) => void (this.#controller = controller),
  });
  #finish: (lines: number) => void = () => undefined;
  readonly finished: Promise<number> = new Promise((resolve) => (this.#finish = resolve));

  async run(scope: Scope): Promise<void> {
    for (const line of all) {
      await sleep(scope, 3);
      await this.channel.send(scope, line);
      this.#controller?.enqueue(line);
      for (const listener of this.listeners) listener(line);
      this.target.dispatchEvent(new Event("line"));
    }
    this.channel.close();
    this.#controller?.close();
    this.#finish(LINES);
    this.target.dispatchEvent(new Event("close"));
  }
  lines(): Channel<number> {
    return this.channel;
  }
  web(): ReadableStream<number> {
    return this.stream;
  }
  events(): EventTarget {
    return this.target;
  }
  iterable(): AsyncIterable<number> {
    return { [Symbol.asyncIterator]: () => this.channel[Symbol.asyncIterator]() };
  }
  async *pages(): AsyncGenerator<number> {
    for await (const line of this.channel) yield line;
  }
  subscribe(listener: (line: number) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
  job(): { readonly finished: Promise<number> } {
    return { finished: this.finished };
  }
  readers(): [() => ReadableStreamDefaultReader<number>] {
    return [() => this.stream.getReader()];
  }
}

const tail = (): Tail =>
  selfCleaning((scope) => {
    const made = new Tail();
    spawn(scope, (task) => made.run(task));
    return made;
  }, quiet);

async function read(items: AsyncIterable<number>): Promise<number[]> {
  const got: number[] = [];
  for await (const item of items) got.push(item);
  return got;
}

async function readAll(reader: ReadableStreamDefaultReader<number>): Promise<number[]> {
  const got: number[] = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return got;
    got.push(value);
  }
}

async function piped(stream: ReadableStream<number>): Promise<number[]> {
  const got: number[] = [];
  await stream.pipeTo(new WritableStream({ write: (line) => void got.push(line) }));
  return got;
}

function heard(target: EventTarget): Promise<number> {
  return new Promise((resolve) => {
    let lines = 0;
    target.addEventListener("line", () => (lines += 1));
    target.addEventListener("close", () => resolve(lines));
  });
}

function subscribed(subscribe: (listener: (line: number) => void) => () => void): Promise<number[]> {
  return new Promise((resolve) => {
    const got: number[] = [];
    subscribe((line) => {
      got.push(line);
      if (got.length === LINES) resolve(got);
    });
  });
}

/** Each uses a result of a handle that nobody holds, while garbage is collected all the time. */
const uses: Record<string, readonly [use: () => Promise<unknown>, want: unknown]> = {
  "a channel": [() => read(tail().lines()), all],
  "an async iterable": [() => read(tail().iterable()), all],
  "an async generator": [() => read(tail().pages()), all],
  "a web stream, read": [() => readAll(tail().web().getReader()), all],
  "a web stream, piped": [() => piped(tail().web()), all],
  "one half of a web stream": [() => readAll(tail().web().tee()[0].getReader()), all],
  "the listeners of an event target": [() => heard(tail().events()), LINES],
  "a subscription": [() => subscribed((listener) => tail().subscribe(listener)), all],
  "a promise in a literal": [() => tail().job().finished, LINES],
  "a function out of an array": [() => readAll(tail().readers()[0]()), all],
};

async function underGarbage<T>(work: Promise<T>): Promise<T> {
  let isOver = false;
  const collecting = async (): Promise<void> => {
    while (!isOver) await collect();
  };
  const done = collecting();
  const given = await work;
  isOver = true;
  await done;
  return given;
}

function useAll(): Promise<Finding[]> {
  return Promise.all(
    Object.entries(uses).map(async ([name, [use, want]]) => {
      const got = await Promise.race([use(), sleepFor(20_000)]);
      return { name: `${name} is used to its end`, got, want };
    }),
  );
}

function sleepFor(ms: number): Promise<string> {
  return new Promise((resolve) => setTimeout(() => resolve("hangs"), ms));
}

class Cursor {
  #left = 2;
  [Symbol.asyncIterator](): this {
    return this;
  }
  async next(): Promise<IteratorResult<number>> {
    await Promise.resolve();
    return (this.#left -= 1) < 0 ? { done: true, value: undefined } : { done: false, value: this.#left };
  }
  async toArray(): Promise<number[]> {
    return read(this);
  }
}

class Stats {
  count = 0;
  lastError?: string;
  declare peer: unknown;
  constructor() {
    Reflect.deleteProperty(this, "lastError");
  }
  fail(error: string): this {
    this.lastError = error;
    return this;
  }
  get(): number {
    return this.count;
  }
  find(): Cursor {
    return new Cursor();
  }
  load(): Promise<string> & { cancel(): string } {
    return Object.assign(Promise.resolve("loaded"), { cancel: () => "cancelled" });
  }
}

const stats = (): Stats => selfCleaning(() => new Stats(), quiet);

async function truth(): Promise<Finding[]> {
  const found: Finding[] = [];
  const add = (name: string, got: unknown, want: unknown): void => void found.push({ name, got, want });
  const cursor = stats().find();
  add(
    "a cursor keeps its class and members",
    [cursor instanceof Cursor, await cursor.toArray()],
    [true, [1, 0]],
  );
  add(
    "a promise keeps its members",
    [stats().load().cancel(), await stats().load()],
    ["cancelled", "loaded"],
  );
  const handle = stats();
  // oxlint-disable-next-line typescript/unbound-method -- it is put back
  const { get } = Stats.prototype;
  Stats.prototype.get = () => 7;
  add("a stub on the prototype works", [handle.get(), stats().get()], [7, 7]);
  Stats.prototype.get = get;
  add("and goes when it is restored", [handle.get(), stats().get()], [0, 0]);
  class Cache {
    get(): string {
      return "real";
    }
  }
  // oxlint-disable-next-line typescript/unbound-method -- it is put back
  const real = Cache.prototype.get;
  const stub = Object.assign((): string => "stub", { calls: 3 });
  Cache.prototype.get = stub;
  const early = selfCleaning(() => new Cache(), quiet);
  add(
    "a stub that the first handle found works, with its properties",
    [early.get(), callsOf(early)],
    ["stub", 3],
  );
  Cache.prototype.get = real;
  add("… and goes when it is restored", [early.get(), callsOf(early) === undefined], ["real", true]);
  const feed = selfCleaning(() => new Cursor(), quiet);
  add(
    "a cursor can be the inner object, and be closed",
    [await feed.toArray(), await closed(feed)],
    [[1, 0], "closed"],
  );
  const registry = selfCleaning(() => {
    const kept: object[] = [];
    return { put: (item: object): number => kept.push(item), at: (index: number) => kept[index] };
  }, quiet);
  const given = [[stub], { on: { data: stub } }, new Map([["all", [stub]]]), new Set([[stub]])];
  for (const item of given) registry.put(item);
  add(
    "a caller's arrays, literals and collections come back as they are",
    given.map((item, index) => registry.at(index) === item),
    [true, true, true, true],
  );
  const failed = stats().fail("boom");
  add("late fields are seen by JSON", JSON.stringify(failed), '{"count":0,"lastError":"boom"}');
  add(
    "… by in and keys",
    ["lastError" in stats().fail("x"), Object.keys(stats().fail("x"))],
    [true, ["count", "lastError"]],
  );
  const behind = new Proxy(stats(), {});
  behind.count = 4;
  add("a Proxy in front of it gives fields and methods", [behind.count, behind.get()], [4, 4]);
  const derived = Object.create(stats()) as Stats;
  add("so does an object that inherits from it", [derived.count, derived.get()], [0, 0]);
  const log = Object.assign((): string => "logged", { enabled: true });
  const shown = selfCleaning(() => ({ log }), quiet);
  add("a function in a field keeps its properties", [shown.log(), shown.log.enabled], ["logged", true]);
  const frozen = Object.freeze(stats());
  add(
    "a frozen handle is frozen",
    [Object.isFrozen(frozen), throws(() => ((frozen as Stats).count = 1))],
    [true, "TypeError"],
  );
  return found;
}

function callsOf(handle: object): unknown {
  return (Reflect.get(handle, "get") as { calls?: number }).calls;
}

async function closed(handle: AsyncDisposable): Promise<string> {
  await close(handle);
  return "closed";
}

function throws(action: () => unknown): string {
  try {
    action();
    return "nothing";
  } catch (error) {
    return (error as Error).name;
  }
}

/** Objects that were given each other's handles, in a ring. */
async function ring(size: number): Promise<boolean[]> {
  const probes = Array.from({ length: size }, (_, index) => new Probe(`ring ${index}`));
  const make = (): void => {
    const handles = probes.map(({ options }) => selfCleaning(waiting, options));
    handles.forEach((handle, index) => {
      probes[index]?.watch(handle);
      handle.peer = handles[(index + 1) % size];
    });
  };
  make();
  await collectUntil(() => probes.every(({ orphaned }) => orphaned === 1), 30);
  return probes.map(({ orphaned }) => orphaned === 1);
}

function waiting(scope: Scope): Stats {
  const made = new Stats();
  spawn(scope, async (task) => {
    await sleep(task, 3_600_000);
    made.peer = undefined;
  });
  return made;
}

const findings: Finding[] = [...(await truth()), ...(await underGarbage(useAll()))];
for (const size of [1, 2, 5])
  findings.push({
    name: `a ring of ${size} handles is collected`,
    got: await ring(size),
    want: Array.from({ length: size }, () => true),
  });

const host = globalThis as { process?: { exit?: (code: number) => void }; gcReport?: (text: string) => void };
if (host.gcReport !== undefined) host.gcReport(JSON.stringify(findings));
else {
  console.log(JSON.stringify(findings));
  host.process?.exit?.(0);
}
