import { EventEmitter } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  checkpoint,
  createChannel,
  createScope,
  select,
  shield,
  sleep,
  spawn,
  withScope,
  type Scope,
} from "../src/index.js";
import { effectionScope } from "../src/effection/index.js";
import { events } from "../src/streams/index.js";
import { Child } from "./support/child.js";
import { flush } from "./support/deferred.js";
import { nodes } from "./support/nodes.js";
import { scriptFolder, type ScriptFolder } from "./support/run-script.js";
import { starters, waits, type Operation } from "./support/scope-operations.js";

/** Nobody calls so often between two turns of the event loop, unless nothing else gets its turn. */
const STARVED = 20_000;

/** Calls `operation` again and again, whatever it rejects with, until the event loop has had three turns. */
async function callsInThreeTurns(operation: () => PromiseLike<unknown>): Promise<number> {
  let calls = 0;
  let turns = 0;
  const looping = (async () => {
    while (turns < 3 && calls < STARVED) {
      calls += 1;
      try {
        await operation();
      } catch {
        // "log it and go on"
      }
    }
  })();
  while (turns < 3 && calls < STARVED) {
    await flush();
    turns += 1;
  }
  await looping;
  return calls;
}

const operations: Record<string, Operation> = {
  ...waits,
  ...starters,
  checkpoint,
  effectionScope,
  "a task": (scope) => spawn(scope, () => 1),
  "a scope with a handle, and a sleep in it": (scope) => sleep(createScope(scope), 10),
  "a shield that has no time": (scope) => shield(scope, { timeout: 0 }, () => 1),
  "a wait in a shield for the cancelled scope": (scope) =>
    shield(scope, { timeout: 1_000 }, () => sleep(scope, 10)),
  "events of an emitter": (scope) => events(scope, new EventEmitter(), "never").next(),
};

describe("rule 13: a worker that swallows its cancellation and goes on does not keep others from their turn", () => {
  it.each(Object.keys(operations))("%s", async (name) => {
    const scope = createScope();
    scope.cancel();
    const calls = await callsInThreeTurns(() => (operations[name] as Operation)(scope));
    expect(calls).toBeLessThan(STARVED);
  });
});

describe("rule 13: nor does one that goes on in a scope that has ended", () => {
  const started = new Set(["a task", "a scope with a handle, and a sleep in it", "events of an emitter"]);
  const names = Object.keys(operations).filter(
    (name) => !started.has(name) && !/ of (a (task|supervised)|events)/.test(name),
  );
  it.each(names)("%s", async (name) => {
    const ended = await withScope((scope) => scope);
    const calls = await callsInThreeTurns(() => (operations[name] as Operation)(ended));
    expect(calls).toBeLessThan(STARVED);
  });
});

describe("rule 13: nor does one that goes on with what is over", () => {
  const closed = createChannel<number>();
  closed.close();
  const over: Record<string, (scope: Scope) => PromiseLike<unknown>> = {
    "receive of a closed channel": (scope) => closed.receive(scope),
    "send to a closed channel": (scope) => closed.send(scope, 1),
    "select on a closed channel": (scope) => select(scope, { value: closed }),
    "a task that has failed": () => failed,
    "a scope without time": (scope) => withScope(scope, { timeout: 0 }, () => 1),
  };
  let failed: PromiseLike<unknown>;
  it.each(Object.keys(over))("%s", async (name) => {
    const scope = createScope({ supervise: true });
    failed = spawn(scope, () => {
      throw new Error("failed");
    });
    failed.then(undefined, () => undefined);
    const operation = over[name] as (scope: Scope) => PromiseLike<unknown>;
    expect(await callsInThreeTurns(() => operation(scope))).toBeLessThan(STARVED);
    await scope.close();
  });
});

it("rule 13: many such workers together get no more turns than one", async () => {
  const scope = createScope();
  scope.cancel();
  const calls = await Promise.all(
    Array.from({ length: 50 }, () => callsInThreeTurns(() => sleep(scope, 1_000))),
  );
  expect(calls.reduce((sum, count) => sum + count)).toBeLessThan(STARVED);
});

it("rule 13: an orderly program is refused at once: fewer than fifty refusals wait for nothing", async () => {
  await flush();
  await flush();
  const scope = createScope();
  scope.cancel();
  let turned = false;
  void flush().then(() => (turned = true));
  for (let i = 0; i < 40; i++) await sleep(scope, 1_000).catch(() => undefined);
  expect(turned).toBe(false);
});

describe("rule 13, in a process", () => {
  let scripts: ScriptFolder;
  beforeAll(async () => {
    scripts = await scriptFolder("process");
  });
  afterAll(() => scripts.remove());

  const swallow = `async function poll(task) { for (;;) try { await sleep(task, 1_000); } catch {} }`;

  for (const node of nodes()) {
    describe.skipIf(!node.path)(`on ${node.label}`, { timeout: 20_000 }, () => {
      it("close() reports a worker that swallows its cancellation, by name, when its grace is over", async () => {
        const script = `
          const service = createScope({ name: "service", grace: 30 });
          spawn(service, ${swallow});
          setTimeout(async () => {
            setTimeout(() => log("a timer fired"), 1);
            const error = await service.close().catch((thrown) => thrown);
            log(error.name, error.tasks.map((task) => task.path).join());
            process.exit();
          }, 5);`;
        const { stdout } = await scripts.run(script, { node: node.path });
        expect(stdout).toBe("a timer fired\nStuckTasksError service/poll\n");
      });

      it("main() ends when its grace is over", async () => {
        const script = (grace: string): string => `
          await main(async function api(scope) {
            spawn(scope, ${swallow});
            setTimeout(() => log("ready"), 1);
            await sleep(scope, Infinity);
          }, { grace: ${grace} });`;
        const byGrace = new Child(node.path ?? "", [scripts.write(script("50"))]);
        await byGrace.printed("ready");
        byGrace.kill("SIGTERM");
        expect(await byGrace.ending()).toMatchObject({
          code: 143,
          stderr: expect.stringContaining("api/poll") as string,
        });
      });
    });
  }
});
