/* oxlint-disable typescript/unbound-method -- taking a method off its object is what is tested */
import { createServer, get, type ClientRequest, type IncomingMessage } from "node:http";
import { EventEmitter, once } from "node:events";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { types } from "node:util";
import { MessageChannel, Worker, type MessagePort } from "node:worker_threads";
import { customRef, effect, isRef, ref, shallowRef, stop } from "@vue/reactivity";
import { describe, expect, it, onTestFinished } from "vitest";
import { createChannel, selfCleaning, sleep, spawn, type Channel } from "../../index.js";
import { collectGarbage } from "../../testing/index.js";

/** A handle whose method `give` returns `value`. */
function giving<T>(value: T): { give(...args: unknown[]): T } {
  return selfCleaning(() => ({ give: (): T => value }), { onOrphan: "ignore" });
}

const isFacade = (value: unknown): boolean => types.isProxy(value);

describe("rule 24: a member of a result holds the handle as the result does", () => {
  class Reader {
    readonly lines = createChannel<number>();
    readonly open = (): Channel<number> => this.lines;
  }
  class Download {
    readonly #lines = createChannel<number>();
    get lines(): Channel<number> {
      return this.#lines;
    }
  }

  it("a function that was taken off a literal, an array or a field, and what it returns", () => {
    const lines = createChannel<number>();
    const { open } = giving({ open: () => lines }).give();
    const [first] = giving([() => lines]).give();
    const { open: own } = giving(new Reader()).give();
    expect([open(), first?.(), own()].map(isFacade)).toEqual([true, true, true]);
    const literal = { name: "b", say: (): unknown => literal };
    const { say } = giving(literal).give();
    expect([isFacade(say()), (say() as typeof literal).name]).toEqual([true, "b"]);
  });

  it("such a function called for another object runs with that object, and returns it as it is", () => {
    const shown = giving({
      all: [createChannel<number>()],
      self(this: unknown): unknown {
        return this;
      },
    }).give();
    const other = new EventEmitter();
    expect(shown.self.call(other)).toBe(other);
    expect(shown.self()).toBe(shown);
    expect(Reflect.apply(shown.self, undefined, [])).toBeUndefined();
  });

  it("a field of an object without methods, and an accessor of private members", () => {
    const reader = giving(new Reader()).give();
    expect([reader instanceof Reader, isFacade(reader), isFacade(reader.lines)]).toEqual([true, true, true]);
    expect(isFacade(giving(new Download()).give().lines)).toBe(true);
    expect(isFacade(giving([new Download()]).give()[0]?.lines)).toBe(true);
    class Point {
      x = 1;
      at = new Date(0);
      get double(): number {
        return this.x * 2;
      }
    }
    const point = new Point();
    expect(giving(point).give()).toBe(point);
  });

  it("a promise in a field, which is the same each time it is read", async () => {
    class Job {
      readonly done: Promise<string>;
      constructor(done: Promise<string>) {
        this.done = done;
      }
      cancel(): void {
        throw new Error("not called");
      }
    }
    const done = Promise.resolve("yes");
    const job = giving(new Job(done)).give();
    expect(job.done).not.toBe(done);
    expect(job.done).toBe(job.done);
    expect(await job.done).toBe("yes");
    const emitter = giving(Object.assign(new EventEmitter(), { ready: done })).give();
    expect([await emitter.ready, emitter.ready === done]).toEqual(["yes", false]);
  });

  it("an object of the caller with such members is returned unchanged", () => {
    const store = selfCleaning(() => {
      const items: object[] = [];
      return { put: (item: object) => void items.push(item), all: () => items[items.length - 1] };
    });
    for (const mine of [new Reader(), new Download()]) {
      store.put(mine);
      expect(store.all()).toBe(mine);
    }
  });
});

describe("rule 24: an object that the platform takes", () => {
  it("a port can be transferred", async () => {
    const worker = new Worker(
      `const { parentPort } = require("node:worker_threads");
       parentPort.once("message", ({ port }) => port.once("message", (text) => {
         parentPort.postMessage(text);
         port.close();
       }));`,
      { eval: true },
    );
    onTestFinished(async () => void (await worker.terminate()));
    const { port1, port2 } = new MessageChannel();
    onTestFinished(() => port1.close());
    const port: MessagePort = giving(port2).give();
    worker.postMessage({ port }, [port]);
    port1.postMessage("through");
    expect(await once(worker, "message")).toEqual(["through"]);
  });

  it("a class of the user's that is an event target has a facade, one of a port has none", () => {
    class Feed extends EventTarget {}
    const feed = new Feed();
    expect([isFacade(giving(feed).give()), isFacade(giving(new EventTarget()).give())]).toEqual([true, true]);
    const { port1 } = new MessageChannel();
    onTestFinished(() => port1.close());
    expect(giving(port1).give()).toBe(port1);
    expect(giving({ port: port1 }).give().port).toBe(port1);
  });

  it("a reader and a writer of a web stream", async () => {
    const read = new ReadableStream<number>({ start: (controller) => controller.enqueue(1) });
    const reader = giving(read.getReader()).give();
    expect(reader).toBeInstanceOf(ReadableStreamDefaultReader);
    expect(await reader.read()).toEqual({ done: false, value: 1 });
    const written: number[] = [];
    const write = new WritableStream<number>({ write: (chunk) => void written.push(chunk) });
    const writer = giving(write.getWriter()).give();
    await writer.write(2);
    await Promise.all([writer.close(), writer.closed, reader.cancel(), reader.closed]);
    expect(written).toEqual([2]);
  });
});

describe("rule 24: the objects that an emitter of a method emits later", () => {
  async function requestTo(port: number): Promise<IncomingMessage> {
    const open = (): ClientRequest =>
      selfCleaning(
        (scope) => ({
          open: () => {
            const request = get({ port, host: "127.0.0.1", agent: false });
            spawn(scope, (task) => sleep(task, 3_600_000).finally(() => request.destroy()));
            return request;
          },
        }),
        { onOrphan: "ignore" },
      ).open();
    const [response] = (await once(open(), "response")) as [IncomingMessage];
    return response;
  }

  it("an emitter that many handles deliver has one listener, which releases all of them when it closes", async () => {
    const shared = new EventEmitter();
    const deliver = (): WeakRef<object> => {
      const source = new EventEmitter();
      const handle = giving(source);
      handle.give().on("connection", () => undefined);
      source.emit("connection", shared);
      return new WeakRef(handle);
    };
    const handles = Array.from({ length: 20 }, deliver);
    expect(shared.listenerCount("close")).toBe(1);
    await collectGarbage();
    expect(handles.every((handle) => handle.deref() !== undefined)).toBe(true);
    shared.emit("close");
    await collectGarbage();
    expect(handles.filter((handle) => handle.deref() !== undefined)).toEqual([]);
    expect(shared.listenerCount("close")).toBe(1);
  });

  it("an emitter that has no event close is delivered like any other", () => {
    class Strict extends EventEmitter {
      override on(event: string): never {
        throw new Error(`no event ${event}`);
      }
    }
    const source = new EventEmitter();
    const delivered: unknown[] = [];
    const shown = giving(source).give();
    shown.on("connection", (each) => delivered.push(each));
    const strict = new Strict();
    source.emit("connection", strict);
    expect(delivered).toEqual([strict]);
  });

  it("a response that comes after its request has finished is read to its end", async () => {
    let finish: (() => void) | undefined;
    const server = createServer((_request, response) => {
      response.write("first ");
      finish = () => response.end("last");
    });
    onTestFinished(() => void server.close());
    await once(server.listen(0, "127.0.0.1"), "listening");
    const response = await requestTo((server.address() as AddressInfo).port);
    await collectGarbage();
    await collectGarbage();
    finish?.();
    expect(await text(response)).toBe("first last");
  });
});

describe("rule 24: a value with accessors, such as a ref of Vue, holds the handle only while the caller has it", () => {
  class Cell {
    readonly dep = new Dependency();
    #count = 0;
    get value(): number {
      return (this.#count += 1);
    }
  }
  class Dependency {
    readonly version = 1;
    isNewer(version: number): boolean {
      return this.version > version;
    }
  }
  class Box {
    readonly dep = new Dependency();
    get value(): boolean {
      return this.dep.isNewer(0);
    }
  }

  it.each<readonly [string, () => { value: unknown }]>([
    ["ref()", () => ref(1)],
    ["shallowRef()", () => shallowRef(1)],
    ["customRef()", () => customRef(() => ({ get: () => 1, set: () => undefined }))],
    ["an accessor that uses a field", () => new Box()],
    ["an accessor that uses private members", () => new Cell()],
  ])("%s, alone and in a literal that the inner object keeps", async (_, make) => {
    const kept = [make(), { cell: make() }] as const;
    const give = (value: object): readonly [WeakRef<object>, object] => {
      const handle = giving(value);
      return [new WeakRef(handle), handle.give()];
    };
    const held = kept.map(give);
    const dropped = kept.map((value) => give(value)[0]);
    await collectGarbage();
    expect(held.map(([handle]) => handle.deref() !== undefined)).toEqual([true, true]);
    expect(dropped.map((handle) => handle.deref())).toEqual([undefined, undefined]);
    const [[, alone], [, literal]] = held as [
      [unknown, { value: unknown }],
      [unknown, { cell: { value: unknown } }],
    ];
    expect([alone.value, literal.cell.value].every((value) => value === 1 || value === true)).toBe(true);
  });

  it("is collected with the handle although the inner object keeps it, and effects follow it until then", async () => {
    const kept = ref(1);
    const seen: number[] = [];
    const start = (): readonly [WeakRef<object>, () => void] => {
      const handle = giving(kept);
      const shown = handle.give();
      const runner = effect(() => void seen.push(shown.value));
      return [new WeakRef(handle), () => stop(runner)];
    };
    const [handle, end] = start();
    await collectGarbage();
    kept.value = 2;
    expect(seen).toEqual([1, 2]);
    expect([handle.deref() === undefined, isRef(giving(kept).give())]).toEqual([false, true]);
    end();
    const drop = (): WeakRef<object> => {
      const other = giving(kept);
      other.give();
      return new WeakRef(other);
    };
    const dropped = drop();
    await collectGarbage();
    expect([dropped.deref(), kept.value]).toEqual([undefined, 2]);
  });
});
