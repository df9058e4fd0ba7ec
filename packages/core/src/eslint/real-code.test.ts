import { Linter } from "eslint";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { oxlintFolder, type OxlintFolder } from "../../test/support/oxlint.js";
import plugin from "./index.js";

// Code as people write it, in ESLint and in oxlint. TypeScript in oxlint only: typescript-eslint can't be installed here.

const imports =
  'import { all, close, createContextKey, createScope, map, retry, selfCleaning, sleep, spawn, supervise, ticker, withScope } from "bough";\n';

const valid: Record<string, string> = {
  "a handler that is taken away":
    "export function track() { const h = createScope(); window.onunload = () => h.cancel(); return () => { window.onunload = null; return h.close(); }; }",
  "a handler of an object of its own":
    "export function send() { const h = createScope(); const request = new XMLHttpRequest(); request.onload = () => h.cancel(); return h; }",
  "a frame that comes once":
    "export function draw() { const h = createScope(); requestAnimationFrame(() => h.throwIfCancelled()); return h; }",
  "a loop of animation frames that is cancelled":
    "export function draw() { const h = createScope(); let id; function frame() { h.throwIfCancelled(); id = requestAnimationFrame(frame); } frame(); return () => { cancelAnimationFrame(id); return h.close(); }; }",
  "a worker in a field of the class that is replaced":
    "export class Feed { scope = createScope(); pull = async () => { this.done = true; }; start(pull) { this.pull = pull; return spawn(this.scope, this.pull); } }",
  "a worker in a field that knows its state only":
    "export class Feed { scope = createScope(); pull = async (own) => { await sleep(own, 10); }; start() { return spawn(this.scope, this.pull); } }",
  "a scope of the module that a function spawns into":
    "const app = createScope(); export function start() { spawn(app, async (own) => { await sleep(own, 1); app.throwIfCancelled(); }); }",
  "members of the same names of another module":
    'const make = require("other").createScope; const { start } = require("bough").more; function f() { const h = make(); start(h, () => h.cancel()); return h; }',
  "functions of the same names out of another module":
    'const { createScope: make, spawn: start } = require("other"); function f() { const h = make(); start(h, () => h.cancel()); return h; }',
  "an app that closes its scope on a signal":
    'const app = createScope({ name: "app" });\nspawn(app, async (scope) => { for await (const tick of ticker(scope, 1000)) report(tick); });\nprocess.once("SIGTERM", () => void app.close());',
  "an app whose scope is exported":
    'export const app = createScope();\nsetInterval(() => console.log(app.state), 1000).unref();\nprocess.on("SIGINT", () => app.cancel());',
  "an app whose scope other functions use":
    "const app = createScope();\nexport function start(job) { return spawn(app, job); }\nsetInterval(() => console.log(app.state), 1000);",
  "a main function that waits for its scope":
    'async function main() { const app = createScope(); process.once("SIGTERM", () => void app.close()); spawn(app, async (scope) => { for (;;) await sleep(scope, 10); }); await app.join(); }',
  "a function that closes what it has made":
    'async function job() { const h = createScope(); const stop = () => h.cancel(); process.on("SIGINT", stop); try { await run(h); } finally { process.off("SIGINT", stop); await h.close(); } }',
  "a handle that a stack closes":
    "async function job(stack) { const h = createScope(); stack.use(h); spawn(h, async () => { await go(); h.cancel(); }); }",
  "a handle that the scope around it closes":
    "export const job = (scope) => { const h = createScope(); scope.defer(() => h.close()); spawn(h, async (own) => { for (;;) await sleep(own, 1); }); return h; };",
  "a handle that is closed through another name":
    "async function job() { const h = createScope(); await using closed = h; spawn(h, () => h.cancel()); }",
  "a cache that is closed by close()":
    "async function job() { const cache = selfCleaning((scope) => { spawn(scope, () => cache.evict()); return {}; }); await close(cache); }",
  "an effect that cleans up":
    "function useFeed(url) { useEffect(() => { const h = createScope(); spawn(h, async (scope) => { for await (const line of feed(url, scope.signal)) show(line); }); return () => void h.close(); }, [url]); }",
  "an effect that clears its interval":
    "useEffect(() => { const h = createScope(); const id = setInterval(() => draw(h.state), 100); return () => { clearInterval(id); h.close(); }; }, []);",
  "a cleanup that a framework is given":
    "function setup() { const h = createScope(); spawn(h, async (scope) => { for (;;) { await sleep(scope, 1000); poll(); } }); onUnmounted(() => h.close()); }",
  "an Express handler whose client leaves":
    'app.get("/feed", (req, res) => { const h = createScope(); req.on("close", () => void h.close()); spawn(h, async (scope) => { for (;;) { await sleep(scope, 10); res.write("x"); } }); });',
  "a socket that ends its scope":
    'server.on("connection", (socket) => { const h = createScope(); socket.once("close", () => h.cancel()); spawn(h, (scope) => serve(scope, socket)); });',
  "an Express handler with the request's scope":
    'app.get("/", async (req, res) => { const parts = await all(req.scope, [() => load(req), () => count(req)]); res.json(parts); });',
  "withScope inside of everything":
    "export const job = () => withScope(async (scope) => { spawn(scope, () => scope.cancel()); scope.onCancel(() => scope.state); });",
  "a child scope in a body":
    "await withScope(async (scope) => { const own = createScope(scope); spawn(own, async (task) => task.throwIfCancelled()); await own.join(); });",
  "a scope that a test makes anew each time":
    "let h; beforeEach(() => { h = createScope(); }); afterEach(() => h.close()); it('stops', () => { spawn(h, () => h.cancel()); });",
  "a restartable job":
    "let current; export function restart(job) { current?.cancel(); current = createScope(); spawn(current, () => current.throwIfCancelled()); }",
  "a service whose worker knows its state only":
    "class Poller { #scope = createScope(); #state = { n: 0 }; start() { startPolling(this.#scope, this.#state); } async stop() { await this.#scope.close(); } }",
  "a service that clears its timer":
    "class Meter { #scope = createScope(); #timer = setInterval(() => this.read(), 1000); read() {} stop() { clearInterval(this.#timer); return this.#scope.close(); } }",
  "a service that removes its listener":
    'class Watcher { scope = createScope(); constructor() { process.on("exit", this.onExit); } onExit = () => {}; stop() { process.off("exit", this.onExit); } }',
  "a service that gets its scope":
    "class Worker { constructor(scope) { this.scope = scope; spawn(scope, () => this.run()); setInterval(() => this.run(), 10); } run() {} }",
  "a container that provides a scope":
    'container.register("scope", { useFactory: () => createScope(), dispose: (scope) => scope.close() });',
  "a factory that a container calls":
    "export const provider = { provide: 'queue', useFactory: (config) => selfCleaning((scope) => { const queue = new Queue(config); spawn(scope, (own) => queue.run(own)); return queue; }) };",
  "selfCleaning with a class":
    "export function createCache() { return selfCleaning((scope) => { const cache = new Map(); spawn(scope, async (own) => { for (;;) { await sleep(own, 1000); cache.clear(); } }); return cache; }); }",
  "a stream of a handle without a name":
    "export const lines = (path) => selfCleaning((scope) => new Tail(scope, path)).lines();",
  "an API of functions of a handle":
    "const cache = selfCleaning((scope) => ({ get() {}, set() {} })); export const { get, set } = cache;",
  "a function of a handle that is used and dropped":
    "export function once() { const { get } = selfCleaning(() => ({ get: () => 1 })); return get(); }",
  "a function of another object that is stored":
    "const list = []; export function add() { const { get } = make(); list.push(get); }",
  "a method of a handle that is stored, which is bound to nothing":
    "class Cache { get() {} } const list = []; export function add() { const cache = selfCleaning(() => new Cache()); const { get } = cache; list.push(get); }",
  "a handle in a registry, whose place it is":
    "const sessions = new Map(); export function open(id) { const h = createScope(); sessions.set(id, h); spawn(h, (scope) => serve(scope)); }",
  "a worker that another function makes":
    "function make() { return async (scope) => { for (;;) await sleep(scope, 10); }; } export function open() { const h = createScope(); spawn(h, make()); return { stop: () => h.close() }; }",
  "a sibling of a worker that is soon done":
    "export function load(url) { const h = createScope(); const result = spawn(h, async ({ signal }) => (await fetch(url, { signal })).json()); return { result, stop: () => h.cancel() }; }",
  "a timer that comes once":
    "export function late() { const h = createScope(); setTimeout(() => h.cancel(), 1000); return h; }",
  "a timer of another name":
    "export function f(setInterval) { const h = createScope(); setInterval(() => h.state, 10); return h; }",
  "an interval that is given back":
    "export function f() { const h = createScope(); return setInterval(() => h.state, 10); }",
  "a subscription that is kept":
    'import { bus } from "./bus.js"; export function f() { const h = createScope(); const subscription = bus.subscribe(() => h.state); return { h, subscription }; }',
  "a listener with somebody's signal":
    'export function f(signal) { const h = createScope(); window.addEventListener("blur", () => h.cancel(), { signal }); return h; }',
  "a context value of the view":
    'const key = createContextKey("db"); export function f() { const h = createScope(); h.set(key, connect(h.signal)); return h; }',
  "a set of something else":
    "const seen = new Map(); export function f(id) { const h = createScope(); seen.set(id, h); return h; }",
  "handles that are each other's peer, which are collected together":
    "export function pair() { const a = selfCleaning((s) => new Peer().start(s)); const b = selfCleaning((s) => new Peer().start(s)); a.peer = b; b.peer = a; }",
  "handles of a factory that are each other's peer, as well":
    'export function pair() { const make = (name) => selfCleaning((s) => new Peer().start(s), { name }); const a = make("a"), b = make("b"); a.peer = b; b.peer = a; }',
  "a handle that knows another":
    "export function f() { const a = selfCleaning(() => ({ peer: null })); const b = selfCleaning(() => ({ peer: null })); a.peer = b; return [a, b]; }",
  "retries and maps in a handle's scope":
    "export async function f(items) { const h = createScope(); const done = await map(h, items, (item, own) => retry(own, () => send(item))); return done; }",
};

const validTypes: Record<string, string> = {
  "a class with typed fields":
    'import type { Scope, ScopeHandle } from "bough";\nexport class Poller { readonly #scope: ScopeHandle = createScope(); private runs = 0; constructor(private readonly job: (scope: Scope) => Promise<void>) {} start(): void { const { job } = this; begin(this.#scope, job); } stop(): Promise<void> { return this.#scope.close(); } }\nfunction begin(scope: Scope, job: (scope: Scope) => Promise<void>): void { spawn(scope, async (own) => { for (;;) { await sleep(own, 1); await job(own); } }); }',
  "generics, satisfies and as":
    "export function run<T>(worker: (scope: unknown) => Promise<T>, options = {} satisfies object) { const h = createScope(options as never)!; return spawn(h, worker as never, { name: `${h.name}` }); }",
  "a type that is a handle's":
    "export function run() { const h = createScope(); type H = typeof h; spawn(h, (own) => own as unknown as H); return h; }",
  "a decorated service":
    "declare const Injectable: () => ClassDecorator; @Injectable() export class Service { private readonly scope = createScope(); onModuleDestroy(): Promise<void> { return this.scope.close(); } run(job: never) { return spawn(this.scope, job); } }",
  "an overloaded function given as worker":
    "function work(a: unknown): void; function work(a: unknown, b?: unknown): void {} export function run() { const h = createScope(); spawn(h, work); return () => h.close(); }",
};

const invalid: Record<string, readonly [message: string, code: string]> = {
  "a handler that is assigned to the window": [
    "listener",
    "export function track() { const h = createScope(); window.onunload = () => { h.cancel(); }; }",
  ],
  "a handler of a signal that lives on": [
    "listener",
    "const shutdown = new AbortController(); export function track() { const h = createScope(); shutdown.signal.onabort = () => h.cancel(); }",
  ],
  "a handler of the global object": [
    "listener",
    "export function listen() { const h = createScope(); globalThis.onmessage = function () { h.cancel(); }; }",
  ],
  "an object that handles events": [
    "listener",
    'export function track() { const h = createScope(); document.addEventListener("click", { handleEvent() { h.throwIfCancelled(); } }); }',
  ],
  "a loop of animation frames": [
    "timer",
    "export function draw() { const h = createScope(); function frame() { h.throwIfCancelled(); requestAnimationFrame(frame); } requestAnimationFrame(frame); }",
  ],
  "an interval that was imported under another name": [
    "timer",
    'import { setInterval as every } from "node:timers"; export function watch() { const h = createScope(); every(() => h.throwIfCancelled(), 1000); }',
  ],
  "a worker in a private arrow function of the class": [
    "holder",
    "export class Poller { #scope = createScope(); #run = async (own) => { for (;;) { await sleep(own, 1000); this.poll(); } }; constructor() { spawn(this.#scope, this.#run); } poll() {} }",
  ],
  "a worker in a field of the class": [
    "holder",
    "export class Feed { scope = createScope(); pull = async (own) => { await sleep(own, 10); this.done = true; }; start() { return spawn(this.scope, this.pull); } }",
  ],
  "bough loaded by require()": [
    "owner",
    'const b = require("bough"); function f() { const h = b.createScope(); b.spawn(h, async (own) => { await b.sleep(own, 1); h.cancel(); }); return h; }',
  ],
  "a function of bough that is a member of require()": [
    "owner",
    'const make = require("bough").createScope; const start = require("bough").spawn; function f() { const h = make(); start(h, () => h.cancel()); return h; }',
  ],
  "functions of bough out of require()": [
    "owner",
    'const { createScope: make, spawn: start } = require("bough"); function f() { const h = make(); start(h, () => h.cancel()); return h; }',
  ],
  "a service that listens to the process": [
    "listener",
    'class Service { #scope = createScope(); constructor() { process.on("SIGTERM", () => this.stop()); } stop() { return this.#scope.close(); } }',
  ],
  "a function that listens to the window": [
    "listener",
    'export function track() { const h = createScope(); window.addEventListener("blur", () => h.cancel()); return h; }',
  ],
  "a listener with the scope's own signal": [
    "listener",
    'export function track() { const h = createScope(); window.addEventListener("blur", () => h.cancel(), { signal: h.signal }); return h; }',
  ],
  "a listener of an imported bus": [
    "listener",
    'import { bus } from "./bus.js"; export function open() { const h = createScope(); bus.on("reload", () => { h.cancel("reload"); }); return h; }',
  ],
  "a listener of a module's emitter": [
    "listener",
    "const events = new EventEmitter(); export const open = () => { const h = createScope(); events.once('end', async () => { await h.close(); }); return h; };",
  ],
  "a listener of the standard input": [
    "listener",
    'export function open() { const h = createScope(); process.stdin.on("end", () => h.cancel()).resume(); return h; }',
  ],
  "a subscription that nobody keeps": [
    "listener",
    'import { changes$ } from "./store.js"; export function open() { const h = createScope(); changes$.subscribe((change) => spawn(h, () => apply(change))); return h; }',
  ],
  "a bound listener": [
    "listener",
    'export class Feed { scope = createScope(); constructor() { process.on("exit", this.stop.bind(this)); } stop() { this.scope.cancel(); } }',
  ],
  "a listener of a cache": [
    "listener",
    'export function createCache() { const cache = selfCleaning((scope) => new Cache(scope)); process.on("memory", () => cache.clear()); return cache; }',
  ],
  "an interval of a service": [
    "timer",
    "export class Meter { #scope = createScope(); constructor() { setInterval(() => this.read(), 1000).unref(); } read() {} }",
  ],
  "an interval of a field that nothing clears": [
    "timer",
    "export function meter() { const h = createScope(); const timer = setInterval(() => { if (h.cancelled) report(); }, 1000); timer.unref(); return h; }",
  ],
  "an interval of node:timers": [
    "timer",
    'import { setInterval } from "node:timers"; export function meter() { const h = createScope(); setInterval(() => h.throwIfCancelled(), 1000); return h; }',
  ],
  "an interval of the window": [
    "timer",
    "export function meter() { const h = createScope(); window.setInterval(() => h.throwIfCancelled(), 1000); return h; }",
  ],
  "an interval that the scope's end would clear": [
    "timer",
    "export function meter() { const h = createScope(); const timer = setInterval(() => h.throwIfCancelled(), 1000); h.onCancel(() => clearInterval(timer)); return h; }",
  ],
  "a timer that sets itself again": [
    "timer",
    "export function meter() { const h = createScope(); function tick() { report(h.state); setTimeout(tick, 1000); } tick(); return h; }",
  ],
  "a facade of closures": [
    "sibling",
    "export function createPoller(url) { const h = createScope(); let last; spawn(h, async (scope) => { for (;;) { await sleep(scope, 1000); last = await get(url); } }); return { get last() { return last; }, stop: () => h.close() }; }",
  ],
  "a stop function beside a worker": [
    "sibling",
    "export function poll(job) { const h = createScope(); spawn(h, async (scope) => { for await (const n of ticker(scope, 10)) job(n); }); return () => h.close(); }",
  ],
  "a stop function with a name": [
    "sibling",
    "export function poll(job) { const h = createScope(); const stop = () => { h.cancel(); }; supervise(h, async function work(scope) { while (!scope.cancelled) { await job(scope); } }); return stop; }",
  ],
  "a declaration beside a worker": [
    "sibling",
    "export function poll(job) { const h = createScope(); spawn(h, run); async function run(scope) { do { await job(scope); } while (true); } function stop() { return h.close(); } return { stop }; }",
  ],
  "a generator beside a closure": [
    "sibling",
    "export function poll(job) { const h = createScope(); spawn(h, function* (scope) { for (;;) yield* job(scope); }); return { state: () => h.state }; }",
  ],
  "a worker beside a closure of the constructor": [
    "sibling",
    "export class Poller { #scope = createScope(); constructor(job) { spawn(this.#scope, async (scope) => { for (;;) { await sleep(scope, 10); job(); } }); job.state = () => this.#scope.state; } }",
  ],
  "a cache whose method names it, beside its worker": [
    "sibling",
    "export function createCache() { const cache = selfCleaning((scope) => { const map = new Map(); spawn(scope, async (own) => { for (;;) { await sleep(own, 10); map.clear(); } }); return { get: (key) => map.get(key), reset: () => cache.get() }; }); return cache; }",
  ],
  "a worker that sleeps for long, by a function of its own": [
    "sibling",
    "const forever = (scope) => sleep(scope, 60 * 60 * 1000); export function open() { const h = createScope(); let n = 0; spawn(h, async (scope) => { await forever(scope); n += 1; }); return () => h.cancel(); }",
  ],
  "an interval beside a closure": [
    "sibling",
    "export function count() { const h = createScope(); let n = 0; setInterval(() => { n += 1; }, 1000); return { n: () => n, stop: () => h.close() }; }",
  ],
  "the handle as a context value": [
    "value",
    'const owner = createContextKey("owner"); export function open() { const h = createScope(); h.set(owner, h); return h; }',
  ],
  "an object that has it": [
    "value",
    'const app = createContextKey("app"); export function open(db) { const h = createScope(); h.set(app, { db, scope: h }); return h; }',
  ],
  "a function that uses it": [
    "value",
    'const stop = createContextKey("stop"); export function open() { const h = createScope(); h.set(stop, () => h.close()); return h; }',
  ],
  "this as a context value": [
    "value",
    'const app = createContextKey("app"); export class App { scope = createScope(); constructor() { this.scope.set(app, this); } }',
  ],
  "a function of a handle in a list": [
    "stored",
    "const getters = []; export function add() { const cache = selfCleaning((scope) => ({ get: () => 1 })); const { get } = cache; getters.push(get); }",
  ],
  "a function of a handle, renamed": [
    "stored",
    "const getters = new Map(); export function add(id) { const { get: read } = selfCleaning((scope) => { return { get() { return 1; } }; }); getters.set(id, read); }",
  ],
  "a function of a handle in a variable of the module": [
    "stored",
    "let current; export function use() { const cache = selfCleaning(() => { const inner = { get: () => 1 }; return inner; }); const get = cache.get; current = get; }",
  ],
  "a function of a handle on the window": [
    "stored",
    "export function expose() { const cache = selfCleaning(() => ({ dump: () => 1 })); const { dump } = cache; globalThis.dump = dump; }",
  ],
  "workers that mention each other's handle": [
    "mutual",
    "export function pair() { const left = createScope(); const right = createScope(); spawn(left, () => right.cancel()); spawn(right, () => left.cancel()); return [left, right]; }",
  ],
  "a listener of the scope's signal": [
    "owner",
    'export function open() { const h = createScope(); h.signal.addEventListener("abort", () => log(h.path)); return h; }',
  ],
  "a worker among others": [
    "owner",
    "export function open() { const h = createScope(); void all(h, [() => 1, async () => h.cancel()]); return h; }",
  ],
};

const invalidTypes: Record<string, string> = {
  "bough loaded by import = require()":
    'import b = require("bough"); export function f() { const h = b.createScope(); b.spawn(h, () => h.cancel()); return h; }',
  "a class with typed fields":
    'import type { ScopeHandle } from "bough";\nexport class Poller { private readonly scope: ScopeHandle = createScope({ name: "poller" } as const); private runs = 0; start(): void { spawn(this.scope, async (own): Promise<void> => { await sleep(own, 1); this.runs++; }); } }',
  "assertions around everything":
    "export function run() { const h = (createScope() as never)!; spawn(h as never, (() => (h as { cancel(): void }).cancel()) as never); return h; }",
  "a parameter property":
    "export class Feed { readonly scope = createScope(); constructor(private readonly url: string) { setInterval(() => void fetch(this.url), 1000); } }",
};

describe("the lint rule in code as people write it", () => {
  const messages = (code: string): string[] =>
    new Linter()
      .verify(imports + code, [plugin.configs.recommended])
      .map(({ messageId, message }) => messageId ?? message);

  // `await using` is newer than the parser's default on some versions.
  it.each(Object.entries(valid))("leaves alone: %s", (_, code) => {
    expect(messages(code)).toEqual([]);
  });

  it.each(Object.entries(invalid))("flags: %s", (_, [message, code]) => {
    expect(new Set(messages(code))).toEqual(new Set([message]));
  });

  it("says what keeps the handle, and where", () => {
    const code = (invalid["a facade of closures"] as readonly string[])[1] as string;
    const [problem] = new Linter().verify(imports + code, [plugin.configs.recommended]);
    expect(problem?.message).toBe(
      "This function makes h a variable that the function in line 2 keeps, too, since the functions made in one call share their variables: dropping it cancels nothing. Start the worker in a function of its own that gets the scope.",
    );
  });

  describe("in oxlint", () => {
    let folder: OxlintFolder;
    beforeAll(async () => void (folder = await oxlintFolder()));
    afterAll(() => folder.remove());

    it.each(["js", "ts"])(
      "flags the same in %s files, and no more",
      (extension) => {
        const types = extension === "ts";
        const bad = [
          ...Object.entries(invalid).map(([name, [, code]]) => [name, code] as const),
          ...(types ? Object.entries(invalidTypes) : []),
        ];
        const good = [...Object.entries(valid), ...(types ? Object.entries(validTypes) : [])];
        const flags = folder.flagged(
          [...bad, ...good].map(([, code]) => imports + code),
          extension,
        );
        const names = [...bad, ...good].map(([name]) => name);
        expect(names.filter((_, index) => flags[index])).toEqual(bad.map(([name]) => name));
      },
      60_000,
    );
  });
});
