import { Linter, RuleTester } from "eslint";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { oxlintFolder, type OxlintFolder } from "../../test/support/oxlint.js";
import plugin from "./index.js";

RuleTester.describe = describe;
RuleTester.it = it;

const imports = 'import { createScope, selfCleaning, spawn, supervise } from "bough";\n';
const wrap = (code: string): string => imports + code;
const owner = [{ messageId: "owner" }];
const holder = [{ messageId: "holder" }];

const valid = {
  "a worker that uses the scope it gets": "const h = createScope(); spawn(h, (scope) => scope.cancel());",
  "a parameter that hides the handle": "const h = createScope(); spawn(h, (h) => h.cancel());",
  "a function of its own outside":
    "const h = createScope(); function work(scope) { scope.cancel(); } spawn(h, work);",
  "another handle": "const a = createScope(); const b = createScope(); spawn(a, () => b.cancel());",
  "await using": "async function f() { await using h = createScope(); spawn(h, () => h.cancel()); }",
  "this in a class without the handle": "class A { run(h) { spawn(h, () => this.tick()); } tick() {} }",
  "this of a class, with a handle of a function":
    "class A { run() { const h = createScope(); spawn(h, () => this.tick()); return h; } tick() {} }",
  "a worker in a class that knows its state only":
    "class A { #scope = createScope(); #state = { n: 0 }; constructor() { const state = this.#state; spawn(this.#scope, () => { state.n++; }); } }",
  "a plain function in a worker has a this of its own":
    "class A { #scope = createScope(); go() { spawn(this.#scope, function () { return this; }); } }",
  "a class in a worker has a this of its own":
    "class A { #scope = createScope(); go() { spawn(this.#scope, () => class { x = this; }); } }",
  "selfCleaning with a parent, whose workers know the inner object":
    "const h = createScope(); const cache = selfCleaning(h, (scope) => { const inner = {}; spawn(scope, () => inner.x); return inner; }, { name: 'c' });",
  "a method of a child that mentions the owner of the parent":
    "const h = createScope(); const cache = selfCleaning(h, (scope) => ({ stop: () => h.cancel() }));",
  "selfCleaning whose workers know the inner object":
    "const cache = selfCleaning((scope) => { const inner = {}; spawn(scope, () => inner.x); return inner; });",
  "a static field": "class A { static scope = createScope(); static { spawn(A.scope, () => 1); } }",
  "a listener of something else": "const h = createScope(); button.onCancel(() => h.cancel());",
  "a worker that the enclosing function was given":
    "function run(worker) { const h = createScope(); spawn(h, worker); return h; }",
  "a parent that the enclosing function was given":
    "const run = async (scope) => { const own = createScope(scope); spawn(own, async () => {}); await own.join(); };",
  "options that the enclosing function was given":
    "function run(options) { const h = createScope(options); return h; }",
  "a worker given in an object, in an array, or with a default":
    "function run({ worker, onOrphan }, [other], third = () => 1) { const h = createScope({ onOrphan }); spawn(h, worker); spawn(h, other); spawn(h, third); return h; }",
  "a cleanup that the enclosing method was given":
    "class A { run(cleanup) { const h = createScope(); h.defer(cleanup); return h; } }",
  "a worker given to a builder":
    "function run(worker) { const cache = selfCleaning((scope) => { spawn(scope, worker); return {}; }); return cache; }",
  "a builder that the enclosing function was given":
    "function run(build) { const cache = selfCleaning(build); return cache.x; }",
  "the enclosing function as worker, which has another handle each time":
    "function run() { const h = createScope(); spawn(h, run); return h; }",
  "the enclosing function expression":
    "const f = function run() { const h = createScope(); spawn(h, run); return h; };",
  "a worker that is set to another function":
    "const h = createScope(); let work = () => h.cancel(); work = other; spawn(h, work);",
  "a declaration that is set to another function":
    "const h = createScope(); function work() { h.cancel(); } work = other; spawn(h, work);",
  "a worker out of a call or a pattern":
    "const h = createScope(); const { work } = make(() => h.cancel()); const [task] = [() => h.x]; spawn(h, work); spawn(h, task); spawn(h, make(() => 1));",
  "a worker that a handler of errors gets":
    "try { go(); } catch (work) { const h = createScope(); spawn(h, work); }",
  "an object that held the handle once":
    "function f() { const h = createScope(); const state = { h }; spawn(h, async () => { state.h; }); state.h = undefined; }",
  "an object whose field is deleted":
    "function f() { const h = createScope(); const state = { h }; spawn(h, async () => { state.h; }); delete state.h; return h; }",
  "an object made in the worker, and one that knows a value of the handle only":
    "function f() { const h = createScope(); const state = { name: h.name }; spawn(h, (scope) => { const own = { scope }; return [own, state]; }); return h; }",
  "another variable for another handle":
    "function f() { const a = createScope(); const b = createScope(); const other = { b }; spawn(a, () => other.b.cancel()); return [a, b]; }",
  "a handle that is let go": "let h = createScope(); spawn(h, () => h?.cancel()); h = undefined;",
  "a function called spawn that hides the import":
    "function f(spawn) { const h = createScope(); spawn(h, () => h.cancel()); }",
  "a function called createScope that hides the import":
    "function f(createScope) { const h = createScope(); spawn(h, () => h.cancel()); }",
  "a bound function that knows the signal only":
    "const h = createScope(); spawn(h, work.bind(undefined, h.signal));",
  "a method bound to the state":
    "class A { #scope = createScope(); state = {}; go() { spawn(this.#scope, this.tick.bind(this.state)); } tick() {} }",
  "the name of a handle as an option": "const h = createScope(); spawn(h, () => 1, { name: h.name });",
  "spawn with what is no owner": "function f(scope) { spawn(scope, () => scope.cancel()); }",
} as const;

const invalid: Record<string, readonly [code: string, errors: object[]]> = {
  "a worker that mentions the handle": ["const h = createScope(); spawn(h, () => h.cancel());", owner],
  "through an object that holds the handle": [
    "function f() { const h = createScope(); const state = { h, n: 0 }; spawn(h, async () => { state.n += state.h.errors.length; }); return state; }",
    owner,
  ],
  "through an array, and through another variable": [
    "function f() { const h = createScope(); const list = [h]; const same = h; spawn(h, () => list.length); h.defer(() => same.name); return list; }",
    [...owner, ...owner],
  ],
  "deeper in it": [
    "const h = createScope(); spawn(h, async () => { setTimeout(() => h.close(), 1); });",
    owner,
  ],
  "through a name": ["const h = createScope(); const work = () => h.cancel(); spawn(h, work);", owner],
  "through a declaration": [
    "const h = createScope(); spawn(h, work); function work() { h.cancel(); }",
    owner,
  ],
  "assigned later": ["let h; h = createScope(); spawn(h, () => h.cancel());", owner],
  "assigned later, after undefined": [
    "let h = undefined; h = createScope(); spawn(h, () => h.cancel());",
    owner,
  ],
  "in an array of workers": ["const h = createScope(); supervise(h, [() => 1, () => h.cancel()]);", owner],
  "an argument that is bound": ["const h = createScope(); spawn(h, work.bind(undefined, h));", owner],
  "another combinator of bough": ["const h = createScope(); supervise(h, () => h.cancel());", owner],
  "a cleanup": ["const h = createScope(); h.defer(() => h.state);", owner],
  "a callback": ["const h = createScope(); h.onCancel(() => console.log(h.path));", owner],
  "an option": ["const h = createScope({ onOrphan: () => console.log(h.path) });", owner],
  "a method as option": ["const h = createScope({ onError() { h.cancel(); } });", owner],
  "this that holds the handle, in a field": [
    "class A { #scope = createScope(); start() { spawn(this.#scope, () => this.tick()); } tick() {} }",
    holder,
  ],
  "this that holds the handle, from the constructor": [
    "class A { constructor() { this.#scope = createScope(); spawn(this.#scope, () => this.tick()); } #scope; tick() {} }",
    holder,
  ],
  "this that gets the handle from a variable": [
    "class A { constructor() { const h = createScope(); spawn(h, async () => { this.tick(); }); this.scope = h; } tick() {} }",
    holder,
  ],
  "a bound method": [
    "class A { scope = createScope(); start() { spawn(this.scope, this.tick.bind(this)); } tick() {} }",
    holder,
  ],
  "an alias of this": [
    "class A { scope = createScope(); start() { const self = this; spawn(this.scope, () => self.tick()); } tick() {} }",
    [{ messageId: "owner" }],
  ],
  "a builder that mentions what it builds": [
    "const cache = selfCleaning((scope) => { spawn(scope, () => cache.evict()); return {}; });",
    owner,
  ],
  "a worker of a child whose parent is given that mentions its handle": [
    "const cache = selfCleaning(server, (scope) => { spawn(scope, () => cache.evict()); return {}; });",
    owner,
  ],
  "a worker of a child that mentions the owner of the parent": [
    "const h = createScope(); selfCleaning(h, (scope) => { spawn(scope, () => h.cancel()); return {}; }, { name: 'c' });",
    owner,
  ],
  "a builder that mentions the this which holds it": [
    "class A { #cache = selfCleaning((scope) => { spawn(scope, () => this.evict()); return {}; }); evict() {} }",
    holder,
  ],
};

new RuleTester().run("no-owner-in-worker", plugin.rules["no-owner-in-worker"] as never, {
  valid: [
    ...Object.entries(valid).map(([name, code]) => ({ name, code: wrap(code) })),
    {
      name: "another spawn",
      code: 'import { spawn } from "node:child_process"; const h = createScope(); spawn(h, () => h);',
    },
  ],
  invalid: [
    ...Object.entries(invalid).map(([name, [code, errors]]) => ({ name, code: wrap(code), errors })),
    {
      name: "under another name",
      code: 'import { createScope as make, spawn as go } from "bough"; const h = make(); go(h, () => h.cancel());',
      errors: owner,
    },
    {
      name: "as a namespace",
      code: 'import * as b from "bough"; const h = b.createScope(); b.spawn(h, () => h.cancel());',
      errors: owner,
    },
    {
      name: "from a module that the options name",
      code: 'import { createScope, spawn } from "#runtime"; const h = createScope(); spawn(h, () => h.cancel());',
      options: [{ modules: ["#runtime"] }],
      errors: owner,
    },
  ],
});

describe("bough/eslint", () => {
  it("has a recommended configuration", () => {
    const messages = new Linter().verify(wrap(invalid["a cleanup"]![0]), [plugin.configs.recommended]);
    expect(messages.map(({ ruleId }) => ruleId)).toEqual(["bough/no-owner-in-worker"]);
  });
});

describe("bough/eslint in oxlint", () => {
  let folder: OxlintFolder;
  beforeAll(async () => void (folder = await oxlintFolder()));
  afterAll(() => folder.remove());

  const flagged = (codes: readonly string[], extension: string): boolean[] =>
    folder.flagged(codes.map(wrap), extension);

  it.each(["js", "ts"])(
    "flags in %s files exactly the expected lines",
    (extension) => {
      const bad = Object.values(invalid).map(([code]) => code);
      const good = Object.values(valid);
      expect(flagged([...bad, ...good], extension)).toEqual([
        ...bad.map(() => true),
        ...good.map(() => false),
      ]);
    },
    30_000,
  );

  it("leaves a type query of TypeScript alone, which reads nothing", () => {
    const code =
      "const h = createScope(); spawn(h, (own: typeof h) => own); spawn(h, <any>(() => h.cancel()));";
    expect(flagged([code.replace(/ spawn\(h, <any>.*/, ""), code], "ts")).toEqual([false, true]);
  }, 30_000);
});
