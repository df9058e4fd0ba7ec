import { Hono, type Context, type Next } from "hono";
import { sleep, spawn, type Scope } from "../../src/index.js";
import { fetchBough, requestOutcome, requestScope, type FetchBough } from "../../src/web/index.js";
import { bodyScenes } from "./body-scenes.js";
import { mixedApp } from "./mixed-app.js";

// The application that every host serves: one path for each way in which a request can end, and what its scope came to.
//
//     /<id>/<scene>    plays a scene
//     /fates/<id>      the fate of that request, as JSON
//     /notes/<id>      the observations of its handler so far: without its scope, which finds its name when it is read
//     /errors          what was printed with console.error
//     /shutdown        begins a shutdown

/** The record of a request. */
export interface Fate {
  kind?: string;
  /** The status that `onCancelled` was told. */
  status?: number;
  /** The name of the scope. */
  name: string;
  state: string;
  errors: number;
  /** The observations of the handler. */
  notes: string[];
}

interface Entry {
  readonly scope: Scope;
  readonly notes: string[];
  status?: number;
}

const encoder = new TextEncoder();
const bytes = (text: string): Uint8Array => encoder.encode(text);

type Scene = (request: Request, scope: Scope, note: (text: string) => void) => Response | Promise<Response>;

/** A stream of `texts`, one each 5 ms; with `end` false it stays open. */
function streamOf(
  scope: Scope,
  note: (text: string) => void,
  texts: readonly string[],
  end = true,
): ReadableStream {
  const left = [...texts];
  return new ReadableStream({
    async pull(controller) {
      const next = left.shift();
      if (next === undefined) {
        if (end) return controller.close();
        return sleep(scope, 100_000);
      }
      await sleep(scope, 5);
      controller.enqueue(bytes(next));
    },
    cancel: () => note("cancel"),
  });
}

const scenes: Readonly<Record<string, Scene>> = {
  text: () => new Response("hello"),
  empty: (_request, scope) => {
    void scope.signal;
    return new Response(null);
  },
  used: async (_request, scope) => {
    void scope.signal;
    const [a, b] = [spawn(scope, async () => 1), spawn(scope, (task) => sleep(task, 1).then(() => 2))];
    return Response.json({ sum: (await a) + (await b) });
  },
  "204": (_request, scope) => {
    void scope.signal;
    return new Response(null, { status: 204 });
  },
  "304": (_request, scope) => {
    void scope.signal;
    return new Response(null, { status: 304 });
  },
  left: (_request, scope) => {
    spawn(scope, (task) => sleep(task, 100_000));
    return new Response("left");
  },
  body: async (request, scope) => {
    void scope.signal;
    const text = await request.text();
    await sleep(scope, 20);
    return new Response(text);
  },
  stream: (_request, scope, note) => {
    void scope.signal;
    return new Response(streamOf(scope, note, ["a", "b", "c"]));
  },
  untouched: (_request, _scope, note) => {
    const left = ["a", "b"];
    return new Response(
      new ReadableStream({
        pull(controller) {
          const next = left.shift();
          if (next === undefined) return controller.close();
          controller.enqueue(bytes(next));
        },
        cancel: () => note("cancel"),
      }),
    );
  },
  idle: (_request, scope, note) => {
    void scope.signal;
    return new Response(streamOf(scope, note, ["a"], false));
  },
  endless: (_request, scope, note) => {
    void scope.signal;
    return new Response(streamOf(scope, note, Array<string>(100_000).fill("a")));
  },
  length: (_request, scope, note) => {
    void scope.signal;
    const headers = { "content-length": "6" };
    return new Response(streamOf(scope, note, "abcdef".split("")), { headers }); // more parts than are read at once
  },
  "length-late": (_request, scope, note) => {
    void scope.signal;
    const headers = { "content-length": "3" };
    return new Response(streamOf(scope, note, ["abc"], false), { headers });
  },
  "cleanup-late": async (_request, scope, note) => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    scope.defer(async () => {
      await new Promise((resolve) => setTimeout(resolve, 200));
      note("cleaned up");
    });
    return new Response("hello");
  },
  hang: async (_request, scope, note) => {
    note("waiting");
    await sleep(scope, 100_000);
    return new Response("never");
  },
  "body-hang": async (request, scope, note) => {
    await request.text();
    note("waiting");
    await sleep(scope, 100_000);
    return new Response("never");
  },
  upload: async (request, scope, note) => {
    void scope.signal;
    note("waiting");
    try {
      await request.text();
    } catch (error) {
      note(`upload: ${String(error)}`);
      throw error;
    }
    return new Response("read");
  },
  deadline: async (request, scope) => {
    requestScope(request, { timeout: 20 });
    await sleep(scope, 100_000);
    return new Response("never");
  },
  "deadline-own": async (request, scope) => {
    requestScope(request, { timeout: 20 });
    await sleep(scope, 100_000).catch(() => undefined);
    return new Response("mine");
  },
  "deadline-ignored": async (request) => {
    requestScope(request, { timeout: 20 });
    await new Promise((resolve) => setTimeout(resolve, 200));
    return new Response("late");
  },
  "deadline-stream": (request, scope, note) => {
    requestScope(request, { timeout: 20 });
    void scope.signal;
    let count = 0;
    return new Response(
      new ReadableStream({
        pull(controller) {
          if (count++ === 0) return controller.enqueue(bytes("a"));
          return new Promise(() => undefined);
        },
        cancel: () => note("cancel"),
      }),
    );
  },
  "deadline-source": (request, scope) => {
    requestScope(request, { timeout: 150 }); // long enough for the host to send the beginning
    void scope.signal;
    let count = 0;
    return new Response(
      new ReadableStream({
        async pull(controller) {
          if (count++ > 0) await sleep(scope, 100_000);
          controller.enqueue(bytes("a"));
        },
      }),
    );
  },
  call: async (_request, scope) => {
    await spawn(scope, (task) => sleep(task, 100_000), { timeout: 10 });
    return new Response("never");
  },
  fail: () => {
    throw new Error("planted failure");
  },
  "fail-task": async (_request, scope) => {
    const task = spawn(scope, async (inner) => {
      await sleep(inner, 5);
      throw new Error("planted failure");
    });
    await sleep(scope, 100_000);
    await task;
    return new Response("never");
  },
  "fail-body": (_request, scope) => {
    void scope.signal;
    let count = 0;
    return new Response(
      new ReadableStream({
        async pull(controller) {
          if (count++ > 0) {
            await sleep(scope, 200); // until the first part is on its way
            throw new Error("planted failure");
          }
          controller.enqueue(bytes("a"));
        },
      }),
    );
  },
  // Routes for some hosts only: see the entries.
  upgrade: (request, _scope, note) => upgrade(request, note),
  "upgrade-late": async (request, scope, note) => {
    await sleep(scope, 100); // by then, the signal of the request is watched
    return upgrade(request, note);
  },
  ...bodyScenes,
};

let upgrade: (request: Request, note: (text: string) => void) => Response = () =>
  new Response("no upgrade", { status: 400 });

/** Says how the host upgrades a request to a WebSocket. */
export function setUpgrade(how: typeof upgrade): void {
  upgrade = how;
}

const entries = new Map<string, Entry>();
const printed: string[] = [];

/** Everything that is printed as an error, by any code. */
export function watchErrors(): void {
  const { error } = console;
  console.error = (...args: unknown[]) => {
    printed.push(args.map(String).join(" "));
    error(...args);
  };
}

/** Answers about the fates of requests, which are not part of what is observed. */
function report(pathname: string): Response | undefined {
  if (pathname === "/errors") return Response.json(printed);
  const [, first, id = ""] = pathname.split("/");
  if (first !== "fates" && first !== "notes") return undefined;
  const entry = entries.get(id);
  if (first === "notes") return Response.json(entry?.notes ?? []);
  if (entry === undefined) return Response.json(null);
  const { scope, notes, status } = entry;
  const fate: Fate = {
    name: scope.name,
    state: scope.state,
    errors: scope.errors.length,
    notes,
    ...(status === undefined ? {} : { status }),
    ...(scope.reason === undefined ? {} : { kind: scope.reason.kind }),
  };
  return Response.json(fate);
}

function play(request: Request, scope: Scope): Response | Promise<Response> {
  const [, id = "", what = ""] = new URL(request.url).pathname.split("/");
  const entry: Entry = { scope, notes: [] };
  entries.set(id, entry);
  const scene = scenes[what];
  if (scene === undefined) return new Response("no such scene", { status: 404 });
  return scene(request, scope, (text) => entry.notes.push(text));
}

const options = {
  deadlineHeader: true,
  onCancelled: ({ status }: { status: number }, { url }: { url: string }) => {
    const entry = entries.get(new URL(url).pathname.split("/")[1] ?? "");
    if (entry !== undefined) entry.status = status;
  },
};

/** A handler of the host's, with what it passes after the request. */
export type Handler = FetchBough<Request, unknown[], Response>;

/** Begins a shutdown and does not wait for it, as this request is a part of it. */
function shutDown(handle: Handler): Response {
  void handle.shutdown({ grace: 100 });
  return new Response("going down");
}

/** The application by itself. */
function plainApp(): Handler {
  const handle: Handler = fetchBough((request: Request, scope, ..._rest: unknown[]) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/shutdown") return shutDown(handle);
    return report(pathname) ?? play(request, scope);
  }, options);
  return handle;
}

/** The application in Hono. */
function hono(shutdown: () => Response): Hono {
  const app = new Hono();
  for (const path of ["/fates/:id", "/notes/:id", "/errors"])
    app.get(path, (c) => report(c.req.path) as Response);
  app.get("/shutdown", shutdown);
  app.all("/:id/:what", (c) => play(c.req.raw, requestScope(c.req.raw)));
  app.onError(onError);
  return app;
}

function onError(failure: unknown, c: Context): Response {
  const { status, error } = requestOutcome(c.req.raw, failure);
  if (status !== undefined) return c.body(null, status as 503);
  console.error(error);
  return c.text("Internal Server Error", 500);
}

/** Hono within `fetchBough`, as docs/web.md says. */
function honoApp(): Handler {
  const handle = fetchBough(
    hono(() => shutDown(handle)),
    options as object,
  ) as unknown as Handler;
  return handle;
}

/** Hono given to `fetchBough` without options: no request has a scope before its handler asks, after a while. */
function givenApp(): Handler {
  const app = new Hono();
  app.use(async (_c, next) => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    await next();
  });
  app.route(
    "/",
    hono(() => shutDown(handle)),
  );
  app.onError(onError);
  const handle = fetchBough(app) as unknown as Handler;
  return handle;
}

/** Hono with `fetchBough` in a middleware, as docs/web.md says. */
function middlewareApp(): (request: Request, ...rest: unknown[]) => Response | Promise<Response> {
  const app = new Hono();
  const handle = fetchBough(async (_request: Request, _scope, c: Context, next: Next) => {
    await next();
    return c.res;
  }, options as object);
  app.use(async (c, next) => {
    const response = await handle(c.req.raw, c, next);
    if (response === c.res) return;
    c.res = undefined;
    c.res = response;
  });
  app.route(
    "/",
    hono(() => shutDown(handle as unknown as Handler)),
  );
  app.onError(onError);
  return (request, ...rest) => app.fetch(request, ...(rest as []));
}

/** Makes the application in the form of that name. */
export function makeApp(
  form: string | undefined,
): (request: Request, ...rest: unknown[]) => Response | Promise<Response> {
  if (form === "hono") return honoApp();
  if (form === "given") return givenApp();
  if (form === "mixed") return mixedApp(onError, printed);
  return form === "middleware" ? middlewareApp() : plainApp();
}
