import { EventEmitter } from "node:events";
import { createServer, IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { sleep as sleepInEffection } from "effection";
import Fastify from "fastify";
import { describe, expect, it } from "vitest";
import { effectionScope, useBoughScope, useOperation } from "../src/effection/index.js";
import { expressBough } from "../src/express/index.js";
import { fastifyBough } from "../src/fastify/index.js";
import { BoughModule } from "../src/nest/index.js";
import { outgoingHeaders, requestScope, serverScope } from "../src/http/index.js";
import {
  all,
  allSettled,
  any,
  cancellable,
  checkpoint,
  close,
  createChannel,
  createScope,
  createSemaphore,
  createSingleFlight,
  detach,
  map,
  moveOnAfter,
  race,
  retry,
  select,
  selfCleaning,
  sending,
  shield,
  sleep,
  spawn,
  start,
  stream,
  supervise,
  ticker,
  withScope,
} from "../src/index.js";
import { formatTree, snapshot } from "../src/inspect/index.js";
import { main } from "../src/process/index.js";
import { defineJob, implement } from "../src/remote/index.js";
import { events, iterate, pipe, toReadableStream } from "../src/streams/index.js";
import {
  expectCollected,
  expectNoLeaks,
  findLeaks,
  verifyNoLeaks,
  withVirtualClock,
} from "../src/testing/index.js";
import { checkLeaks } from "../src/vitest/index.js";

// An option that means nothing for a function is refused by its name: misspelt, or another function's.

let started = false;
const worker = (): void => {
  started = true;
};
const request = (): IncomingMessage => new IncomingMessage(new Socket());

/** Calls the function with these options; what is right besides them is there. */
const calls: Readonly<Record<string, (options: never) => unknown>> = {
  createScope: (options) => createScope(options),
  "createScope with a parent": (options) => createScope(createScope(), options),
  withScope: (options) => withScope(options, worker),
  "withScope with a parent": (options) => withScope(createScope(), options, worker),
  spawn: (options) => spawn(createScope(), worker, options),
  "close as a method": (options) => createScope().close(options),
  close: (options) => close(createScope(), options),
  all: (options) => all(createScope(), [worker], options),
  allSettled: (options) => allSettled(createScope(), [worker], options),
  any: (options) => any(createScope(), [worker], options),
  race: (options) => race(createScope(), [worker], options),
  start: (options) => start(createScope(), worker, options),
  moveOnAfter: (options) => moveOnAfter(createScope(), Object.assign(options, { timeout: 1 }), worker),
  cancellable: (options) => cancellable(createScope(), worker, worker, options),
  map: (options) => map(createScope(), [1], worker, options),
  stream: (options) => stream(createScope(), [1], worker, options),
  retry: (options) => retry(createScope(), worker, options),
  supervise: (options) => supervise(createScope(), worker, options),
  detach: (options) => detach(createScope(), createScope(), worker, options),
  shield: (options) => shield(createScope(), Object.assign(options, { timeout: 1 }), worker),
  selfCleaning: (options) =>
    selfCleaning(() => {
      worker();
      return {};
    }, options),
  "selfCleaning with a parent": (options) =>
    selfCleaning(
      createScope(),
      () => {
        worker();
        return {};
      },
      options,
    ),
  useBoughScope: (options) => useBoughScope(options),
  serverScope: (options) => serverScope(createServer(), options),
  shutdown: (options) => serverScope(createServer()).shutdown(options),
  requestScope: (options) => {
    const its = request();
    return requestScope(its, new ServerResponse(its), options);
  },
  expressBough: (options) => expressBough(options),
  fastifyBough: async (options) => {
    await Fastify().register(fastifyBough, options);
  },
  "fastifyBough: config.bough": async (options) => {
    const app = Fastify();
    await app.register(fastifyBough);
    app.get("/", { config: { bough: options } }, worker);
  },
  "BoughModule.forRoot": (options) => BoughModule.forRoot(options),
  "BoughModule.forRootAsync": (options) => BoughModule.forRootAsync(options),
  main: (options) => main(worker, options),
  events: (options) => events(createScope(), new EventEmitter(), "name", options),
  findLeaks: (options) => findLeaks(options),
  verifyNoLeaks: (options) => verifyNoLeaks(options),
  expectNoLeaks: (options) => expectNoLeaks(worker, options),
  checkLeaks: (options) => checkLeaks(options),
  withVirtualClock: (options) => withVirtualClock(worker, options),
};

const scope = createScope();
const channel = createChannel<number>(10);
/** As {@link calls}, for functions that have no options. */
const callsWithoutOptions: Readonly<Record<string, (...options: []) => unknown>> = {
  sleep: (...options) => sleep(scope, 0, ...options),
  ticker: (...options) => ticker(scope, 1, ...options),
  checkpoint: (...options) => checkpoint(scope, ...options),
  select: (...options) => select(scope, { sent: sending(channel, 1) }, ...options),
  sending: (...options) => sending(channel, 1, ...options),
  createChannel: (...options) => createChannel(1, ...options),
  send: (...options) => createChannel(1).send(scope, 1, ...options),
  receive: (...options) => {
    channel.trySend(1);
    return channel.receive(scope, ...options);
  },
  values: (...options) => channel.values(scope, ...options),
  createSemaphore: (...options) => createSemaphore(1, ...options),
  acquire: (...options) => createSemaphore(1).acquire(scope, ...options),
  createSingleFlight: (...options) => createSingleFlight(scope, ...options),
  do: (...options) => createSingleFlight(scope).do(scope, 1, () => 1, ...options),
  onCancel: (...options) => scope.onCancel(() => undefined, ...options),
  "onCancel of a view": (...options) => withScope((view) => void view.onCancel(() => undefined, ...options)),
  defer: (...options) => scope.defer(() => undefined, ...options),
  "defer of a view": (...options) => withScope((view) => view.defer(() => undefined, ...options)),
  use: (...options) => scope.use({ [Symbol.dispose]: () => undefined }, ...options),
  join: (...options) => createScope().join(...options),
  iterate: (...options) => iterate(scope, [1], ...options),
  pipe: (...options) => pipe(scope, [1], new WritableStream(), ...options),
  toReadableStream: (...options) => toReadableStream(scope, [1], ...options),
  useOperation: (...options) => useOperation(scope, () => sleepInEffection(0), ...options),
  effectionScope: (...options) => effectionScope(scope, ...options),
  outgoingHeaders: (...options) => outgoingHeaders(scope, ...options),
  onShutdown: (...options) => serverScope(createServer()).onShutdown(() => undefined, ...options),
  snapshot: (...options) => snapshot(scope, ...options),
  formatTree: (...options) => formatTree(snapshot(scope), ...options),
  implement: (...options) => implement(defineJob("job"), () => undefined, ...options),
};

async function outcomeOf(call: () => unknown): Promise<unknown> {
  started = false;
  try {
    await call();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe.each(Object.entries(calls))("%s", (title, call) => {
  const name = title.replace(/ (with a parent|as a method)/, "");

  it("refuses an unknown option, names it, and starts nothing", async () => {
    const error = await outcomeOf(() => call({ nonsense: 5 } as never));
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).toContain(`${name}: options must not have "nonsense"; there is `);
    expect(started).toBe(false);
  });

  it("accepts an unknown name that is undefined, inherited, a symbol or not enumerable", async () => {
    class Given {
      readonly nonsense = undefined;
      method(): void {}
    }
    const inherited = Object.create({ nonsense: 5 }) as object;
    const hidden = Object.defineProperty({}, "nonsense", { value: 5 });
    const under = { [Symbol("nonsense")]: 5 };
    for (const options of [new Given(), inherited, hidden, under]) {
      expect(String(await outcomeOf(() => call(options as never)))).not.toContain("nonsense");
    }
  });
});

describe.each(Object.entries(callsWithoutOptions))("%s, which has no options,", (title, call) => {
  const name = title.replace(" of a view", "");

  it("refuses an option by its name", async () => {
    const error = await outcomeOf(() => call(...([{ timeout: 5 }] as unknown as [])));
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).toContain(`${name}: options must not have "timeout"; it has no options`);
  });

  it("ignores what forEach, a listener or an empty object passes", async () => {
    for (const extra of [[0, ["item"]], ["event"], [{}], [{ timeout: undefined }], [null]]) {
      expect(await outcomeOf(() => call(...(extra as unknown as [])))).toBeUndefined();
    }
  });
});

it("expectCollected, which has no options, refuses an option by its name", async () => {
  const call = expectCollected(() => ({}), ...([{ timeout: 5 }] as unknown as []));
  await expect(call).rejects.toThrow('expectCollected: options must not have "timeout"; it has no options');
});

describe("an option that another function has", () => {
  it.each<[string, object]>([
    ["withScope", { onOrphan: "ignore" }],
    ["createScope", { daemon: true }],
    ["spawn", { onOrphan: "ignore" }],
    ["spawn", { holdsProcess: false }],
    ["map", { ordered: false }],
    ["all", { concurrency: 5 }],
    ["race", { deadline: 5 }],
    ["retry", { window: 5 }],
    ["supervise", { attempts: 5 }],
    ["start", { daemon: true }],
    ["moveOnAfter", { grace: 5 }],
    ["close", { timeout: 5 }],
    ["main", { timeout: 5 }],
    ["requestScope", { grace: 5 }],
  ])("%s refuses %o", async (name, options) => {
    const error = await outcomeOf(() => calls[name]?.(options as never));
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).toContain(
      `${name}: options must not have ${JSON.stringify(Object.keys(options)[0])}`,
    );
    expect(started).toBe(false);
  });
});

describe("a misspelt option", () => {
  it.each<[string, object, string]>([
    ["spawn", { timout: 5 }, "timeout"],
    ["withScope", { timeOut: 5 }, "timeout"],
    ["createScope", { concurency: 5 }, "concurrency"],
    ["retry", { attempt: 5 }, "attempts"],
    ["retry", { onretry: worker }, "onRetry"],
    ["race", { timeOut: 5 }, "timeout"],
    ["supervise", { deamon: true }, "daemon"],
    ["serverScope", { deadlineheader: true }, "deadlineHeader"],
    ["main", { onerror: worker }, "onError"],
  ])("%s refuses %o and suggests the right one", async (name, options, right) => {
    const error = await outcomeOf(() => calls[name]?.(options as never));
    expect(error).toBeInstanceOf(TypeError);
    expect(String(error)).toContain(`(did you mean ${right}?)`);
  });
});

it("fastifyBough accepts the options of Fastify's own register", async () => {
  const app = Fastify();
  await app.register(fastifyBough, { prefix: "/api", logLevel: "warn" });
  await app.close();
});

it("the names that every object inherits are not options", () => {
  for (const name of ["toString", "constructor", "__proto__"]) {
    const options = JSON.parse(`{ ${JSON.stringify(name)}: 5 }`) as object;
    expect(() => createScope(options)).toThrow(`createScope: options must not have ${JSON.stringify(name)}`);
  }
});
