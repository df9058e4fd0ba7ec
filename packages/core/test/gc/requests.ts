/* oxlint-disable eslint/no-console -- its output is what the test reads */
import { sleep, spawn, type Scope } from "../../src/index.js";
import { fetchBough, requestScope, type FetchBough } from "../../src/web/index.js";
import type { Finding } from "./handles.js";
import { collect, collectUntil, host as runtime } from "./probe.js";

// A `fetchBough` that nobody holds while it serves a request. The request must be served to its end, and then the scope must be
// cancelled for the dropped handle.

/** Of so many handles of one kind. */
const COPIES = 4;
const STEPS = 25;

/** What was observed of one copy. */
class Observed {
  /** The kinds of the cancellations of the request. */
  readonly request: string[] = [];
  /** The same for the job beside it. */
  readonly job: string[] = [];
  result: unknown;
}

type Handle = FetchBough<Request, [], Response>;
type Handler = (request: Request, scope: Scope) => Promise<Response>;

interface Case {
  readonly name: string;
  readonly handler: Handler | { readonly fetch: (request: Request) => Promise<Response> };
  /**
   * What is done with the handle, which is dropped then: not an async function, whose frame holds it. Default: a request, whose
   * response is read.
   */
  readonly use?: (handle: Handle) => Promise<unknown>;
  readonly result: unknown;
  /** The end of the request, if it is cancelled. */
  readonly request?: string;
  /** The end of the job, if it is not "orphaned". */
  readonly job?: string;
}

async function steps(scope?: Scope): Promise<void> {
  for (let step = 0; step < STEPS; step++)
    await (scope === undefined ? new Promise((resolve) => setTimeout(resolve, 3)) : sleep(scope, 3));
}

function parts(scope: Scope): ReadableStream<Uint8Array> {
  let left = STEPS;
  return new ReadableStream({
    async pull(controller) {
      await sleep(scope, 3);
      controller.enqueue(new TextEncoder().encode("a"));
      left -= 1;
      if (left === 0) controller.close();
    },
  });
}

const whole = "a".repeat(STEPS);
const use = (handle: Handle): Promise<unknown> =>
  handle(new Request("http://localhost/")).then((response) => response.text());

const cases: readonly Case[] = [
  {
    name: "while its handler runs",
    handler: async (_, scope) => {
      await steps(scope);
      return new Response("done");
    },
    result: "done",
  },
  {
    name: "while its handler waits outside of its scope",
    handler: async () => {
      await steps();
      return new Response("done");
    },
    result: "done",
  },
  {
    name: "while an application runs that asks for its scope late",
    handler: {
      fetch: async (request) => {
        await steps();
        await sleep(requestScope(request), 3);
        return new Response("done");
      },
    },
    result: "done",
  },
  {
    name: "while a response streams",
    handler: async (_, scope) => {
      scope.defer(() => undefined);
      return new Response(parts(scope));
    },
    result: whole,
  },
  {
    name: "while a response of known length streams",
    handler: async (_, scope) => {
      scope.defer(() => undefined);
      return new Response(parts(scope), { headers: { "content-length": String(STEPS) } });
    },
    result: whole,
  },
  {
    name: "while the client waits before it reads the stream",
    handler: async (_, scope) => {
      scope.defer(() => undefined);
      return new Response(parts(scope));
    },
    use: (handle) =>
      handle(new Request("http://localhost/")).then(async (response) => {
        await steps();
        return response.text();
      }),
    result: whole,
  },
  {
    name: "while a shutdown waits for a job",
    handler: async () => new Response(),
    use: (handle) => {
      const job = spawn(handle.scope, async (task) => {
        await steps(task);
        return "done";
      });
      const report = handle.shutdown({ grace: 3_600_000 });
      return job.then((result) => report.then(() => result));
    },
    result: "done",
    job: "closed",
  },
  {
    name: "and a response that nobody reads",
    handler: async (_, scope) => {
      scope.defer(() => undefined);
      return new Response(parts(scope));
    },
    use: (handle) => handle(new Request("http://localhost/")).then(() => "unread"),
    result: "unread",
    request: "orphaned",
  },
];

/** A function of its own, so that no frame holds the handle. */
function start({ handler, use: usage = use }: Case, observed: Observed): Promise<unknown> {
  const note = (scope: Scope, kinds: string[]): void => void scope.onCancel(({ kind }) => kinds.push(kind));
  const handle = fetchBough<Request, [], Response>(
    typeof handler === "function"
      ? (request: Request, scope: Scope) => {
          note(scope, observed.request);
          return handler(request, scope);
        }
      : handler,
  );
  spawn(
    handle.scope,
    async (task) => {
      note(task, observed.job);
      await sleep(task, 3_600_000);
    },
    { daemon: true },
  ).catch(() => undefined);
  return usage(handle);
}

async function observe(one: Case): Promise<Finding> {
  const copies = Array.from({ length: COPIES }, () => new Observed());
  let running = COPIES;
  for (const copy of copies)
    void start(one, copy)
      .then(
        (result) => (copy.result = result),
        (error: unknown) => (copy.result = String(error)),
      )
      .finally(() => (running -= 1));
  while (running > 0) await collect();
  const { job = "orphaned" } = one;
  const hasEnded = (copy: Observed): boolean => copy.job.length > 0;
  await collectUntil(() => copies.every(hasEnded), 40);
  const ended = copies.filter(hasEnded);
  // Bun's collector is conservative: it may take a stale slot for a reference.
  const enough = runtime === "bun" ? COPIES / 2 : COPIES;
  return {
    name: one.name,
    got: {
      results: [...new Set(copies.map(({ result }) => result))],
      request: [...new Set(ended.map(({ request }) => request.join()))],
      job: [...new Set(ended.map(({ job: kinds }) => kinds.join()))],
      enough: ended.length >= enough || ended.length,
    },
    want: { results: [one.result], request: [one.request ?? ""], job: [job], enough: true },
  };
}

const findings: Finding[] = [];
for (const one of cases) findings.push(await observe(one));

const host = globalThis as { process?: { exit?: (code: number) => void }; gcReport?: (text: string) => void };
if (host.gcReport !== undefined) host.gcReport(JSON.stringify(findings));
else {
  console.log(JSON.stringify(findings));
  host.process?.exit?.(0);
}
