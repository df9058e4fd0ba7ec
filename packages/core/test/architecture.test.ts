import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findBreaches, type Sources } from "./support/architecture.js";

const src = new URL("../src/", import.meta.url).pathname;

function readSources(): Sources {
  const paths = readdirSync(src, { recursive: true, encoding: "utf8" }).map((path) =>
    path.replaceAll("\\", "/"),
  );
  const sources = paths.filter((path) => path.endsWith(".ts") && !path.endsWith(".test.ts"));
  return new Map(sources.map((path) => [path, readFileSync(join(src, path), "utf8")]));
}

describe("the sources of bough", () => {
  it("break no rule of the architecture", () => {
    expect(findBreaches(readSources())).toEqual([]);
  });

  it("store an interrupted step by assignments, because there is no room for a call right after a stack overflow", () => {
    const stored = [...readSources()].filter(([, text]) => /\binterrupted\.wake\(undefined\)/.test(text));
    expect(stored.map(([path]) => path)).toContain("task/child.ts");
    const calls = stored.filter(([, text]) => /^[^*\n]*\bsteps\.(push|unshift|concat)\(/m.test(text));
    expect(calls.map(([path]) => path)).toEqual([]);
  });

  it("have a public entry and a kernel, so the check above has read the right folder", () => {
    const paths = [...readSources().keys()];
    expect(paths).toContain("index.ts");
    expect(paths.some((path) => path.startsWith("kernel/"))).toBe(true);
  });
});

describe("findBreaches()", () => {
  const check = (files: Record<string, string>) => findBreaches(new Map(Object.entries(files)));

  it("throws when it sees no files", () => {
    expect(() => check({})).toThrow("No source files");
  });

  it("accepts imports that point downwards, that stay in the folder, or that lead to a package of the folder", () => {
    const files = {
      "errors/a.ts": "export const a = 1;\n",
      "kernel/b.ts": 'import { a } from "../errors/a.js";\nexport const b = a;\n',
      "task/c.ts":
        'import { run } from "effection";\nimport { b } from "../kernel/b.js";\nexport const c = [b, run];\n',
      "index.ts": 'export { c } from "./task/c.js";\n',
      "http/index.ts": 'import "node:http";\nimport { c } from "../index.js";\nexport const d = c;\n',
      "express/index.ts": 'export { d } from "../http/index.js";\n',
    };
    expect(check(files)).toEqual([]);
  });

  const task = "export type T = 1;\nexport const t = 1;\n";
  it.each([
    [
      "an import upwards",
      { "kernel/a.ts": 'import { t } from "../task/t.js";\nt;', "task/t.ts": task },
      "imports upwards, from task/t.ts",
    ],
    [
      "a type import upwards",
      { "kernel/a.ts": 'import type { T } from "../task/t.js";\nexport type U = T;', "task/t.ts": task },
      "imports upwards",
    ],
    [
      "an import() upwards",
      { "kernel/a.ts": 'await import("../task/t.js");', "task/t.ts": task },
      "imports upwards",
    ],
    [
      "an import type upwards",
      { "kernel/a.ts": 'export type U = import("../task/t.js").T;', "task/t.ts": task },
      "imports upwards",
    ],
    [
      "a re-export upwards",
      { "errors/a.ts": 'export { t } from "../task/t.js";', "task/t.ts": task },
      "imports upwards",
    ],
    [
      "an entry that is not above a layer",
      { "flow/a.ts": 'import { t } from "../index.js";\nt;', "index.ts": task },
      "imports upwards, from index.ts",
    ],
    [
      "a re-export of everything upwards",
      { "errors/a.ts": 'export * from "../task/t.js";', "task/t.ts": task },
      "imports upwards",
    ],
    [
      "an import() upwards by a template",
      { "kernel/a.ts": "await import(`../task/t.js`);", "task/t.ts": task },
      "imports upwards",
    ],
    [
      "an import() of a computed path",
      { "kernel/a.ts": 'await import("../task/" + "t.js");' },
      "only the run knows",
    ],
    [
      "an import = upwards",
      { "kernel/a.ts": 'import t = require("../task/t.js");\nt;', "task/t.ts": task },
      "imports upwards",
    ],
    [
      "a require() upwards",
      { "kernel/a.ts": 'declare const require: any;\nrequire("../task/t.js");', "task/t.ts": task },
      "imports upwards",
    ],
    [
      "the type of a module upwards",
      { "kernel/a.ts": 'export type U = typeof import("../task/t.js");', "task/t.ts": task },
      "imports upwards",
    ],
    [
      "an addition to a module upwards",
      { "kernel/a.ts": 'declare module "../task/t.js" {}\nexport {};', "task/t.ts": task },
      "imports upwards",
    ],
    [
      "an import upwards through an index",
      { "kernel/a.ts": 'import { t } from "../inspect/index.js";\nt;', "inspect/index.ts": task },
      "imports upwards, from inspect/index.ts",
    ],
    [
      "a reference to a file",
      { "kernel/a.ts": '/// <reference path="../task/t.ts" />\nexport const a = 1;' },
      "reference directive",
    ],
    [
      "an import upwards through the package's own name",
      { "kernel/a.ts": 'import { spawn } from "bough";\nspawn;' },
      "imports its own package",
    ],
    [
      "a type of an entry by the package's own name",
      { "http/a.ts": 'export type A = import("bough/fastify").A;' },
      "imports its own package",
    ],
    [
      "an integration that http knows",
      { "http/a.ts": 'import { t } from "../express/t.js";\nt;', "express/t.ts": task },
      "imports upwards, from express/t.ts",
    ],
    [
      "an integration that knows another",
      { "fastify/a.ts": 'import { t } from "../express/t.js";\nt;', "express/t.ts": task },
      "imports sideways, from express/t.ts",
    ],
    [
      "a framework below its integration",
      { "http/a.ts": 'import type { FastifyInstance } from "fastify";\nexport type A = FastifyInstance;' },
      "imports fastify; only the folders",
    ],
    [
      "a path of a package below its integration",
      { "http/a.ts": 'import "@nestjs/core/helpers/index.js";' },
      "imports @nestjs/core; only",
    ],
    [
      "a package that no folder may import",
      { "kernel/a.ts": 'import "left-pad";' },
      "imports left-pad; only",
    ],
    ["an alias of package.json", { "kernel/a.ts": 'import "#task/t";' }, "imports #task; only"],
    ["an import that leads nowhere", { "kernel/a.ts": 'import "./gone.js";' }, "not a source file"],
    ["an import without its .js", { "kernel/a.ts": 'import "./b";', "kernel/b.ts": "" }, "not a source file"],
    ["a folder without a layer", { "utils/a.ts": "" }, "belongs to no layer"],
    ["a file outside the layers", { "helpers.ts": "" }, "only index.ts stands outside"],
    [
      "a node: import in the core",
      { "flow/a.ts": 'import { on } from "node:events";\non;' },
      "imports node:events",
    ],
    ["a node: import() in the core", { "flow/a.ts": "await import(`node:events`);" }, "imports node:events"],
    [
      "a node module without its prefix",
      { "resources/a.ts": 'import "fs/promises";' },
      "imports fs/promises",
    ],
    ["a node: import in the root entry", { "index.ts": 'import "node:fs";' }, "imports node:fs"],
    ["a default export", { "flow/a.ts": "export default 1;" }, "default export"],
    ["a renamed default export", { "flow/a.ts": "const a = 1;\nexport { a as default };" }, "default export"],
    ["export =", { "flow/a.ts": "const a = 1;\nexport = a;" }, "default export"],
    ["an enum", { "flow/a.ts": "export enum Colour { red }" }, "declares the enum Colour"],
    [
      "a const enum inside a function",
      { "flow/a.ts": "export function f() { const enum Local { a } return Local.a; }" },
      "declares the enum Local",
    ],
    ["an I prefix", { "flow/a.ts": "export interface IScope {}" }, "interface IScope"],
    [
      "export * in an index",
      { "index.ts": 'export * from "./task/t.js";', "task/t.ts": task },
      "uses export *",
    ],
    [
      "export * in another file",
      { "kernel/a.ts": 'export * from "./t.js";', "kernel/t.ts": task },
      "uses export *",
    ],
    ["import *", { "kernel/a.ts": 'import * as t from "./t.js";\nt;', "kernel/t.ts": task }, "uses import *"],
    ["a file that is too long", { "flow/a.ts": "export const a = 1;\n".repeat(401) }, "has 401 lines"],
    [
      "the bits of a node above the kernel",
      { "http/a.ts": "export const a = (node: any) => node.flags & 1;" },
      "reads the bits",
    ],
    [
      "the bits of a node in another file of the kernel",
      { "kernel/lifecycle.ts": "export const a = (node: any) => (node.flags |= 1);" },
      "reads the bits",
    ],
    [
      "the bits of a node as a variable",
      { "kernel/tree.ts": "export const a = ({ flags }: any) => flags & 1;" },
      "reads the bits",
    ],
    [
      "the bits of a node by the field's name in quotes",
      { "kernel/tree.ts": 'export const a = (node: any) => node["flags"];' },
      "reads the bits",
    ],
    [
      "the bits of a node by a template",
      { "kernel/tree.ts": "export const a = (node: any) => node[`flags`];" },
      "reads the bits",
    ],
    [
      "the bits of a node by reflection",
      { "kernel/tree.ts": 'export const a = (node: any) => Reflect.get(node, "flags");' },
      "reads the bits",
    ],
    [
      "a bit for other files under another name",
      { "kernel/state.ts": "const CLOSED = 8;\nexport const closed = CLOSED;" },
      "exports a bit",
    ],
    [
      "bits for other files as an object",
      { "kernel/state.ts": "const CLOSED = 8;\nexport const bits = { CLOSED };" },
      "exports a bit",
    ],
    ["a bit for other files", { "kernel/state.ts": "export const CLOSED = 8;" }, "exports a bit"],
    [
      "a bit for other files by a list of names",
      { "kernel/state.ts": "const CLOSED = 8;\nexport { CLOSED as closed };" },
      "exports a bit",
    ],
    [
      "the bits of another node in the class of nodes",
      { "kernel/node.ts": "export const a = (parent: any) => parent.flags & 1;" },
      "reads the bits",
    ],
    [
      "a node that is made beside task/child.ts",
      { "flow/a.ts": "declare const ScopeView: any;\nexport const a = new ScopeView(undefined, 'a', 0);" },
      "makes a node of the tree",
    ],
    [
      "another name for the class of nodes",
      {
        "flow/a.ts": 'import { ScopeView as View } from "../kernel/scope-view.js";\nnew View();',
        "kernel/scope-view.ts": "export class ScopeView {}",
      },
      "gives ScopeView another name",
    ],
    [
      "another name for the class of nodes in a re-export",
      {
        "kernel/a.ts": 'export { ScopeNode as View } from "./node.js";',
        "kernel/node.ts": "export class ScopeNode {}",
      },
      "gives ScopeNode another name",
    ],
    [
      "the class of nodes as a variable",
      { "flow/a.ts": "declare const ScopeView: any;\nconst View = ScopeView;\nnew View();" },
      "gives ScopeView another name",
    ],
    [
      "a second class of nodes",
      { "http/a.ts": "declare const ScopeNode: any;\nexport class Request extends ScopeNode {}" },
      "declares a second class of nodes",
    ],
    [
      "a node that is put into the tree beside task/child.ts",
      {
        "flow/a.ts": 'import { link } from "../kernel/tree.js";\nlink;',
        "kernel/tree.ts": "export function link() {}",
      },
      "imports link, which only task/child.ts calls",
    ],
    [
      "a re-export of the function that adds a node to the tree",
      { "kernel/a.ts": 'export { link } from "./tree.js";', "kernel/tree.ts": "export function link() {}" },
      "imports link, which only task/child.ts calls",
    ],
    [
      "a node that is taken out of the tree elsewhere",
      {
        "kernel/a.ts": 'import { nextInSubtree, unlink as out } from "./tree.js";\n[nextInSubtree, out];',
        "kernel/tree.ts": "export function unlink() {}\nexport function nextInSubtree() {}",
      },
      "imports unlink, which only kernel/lifecycle.ts calls",
    ],
    ["a timer of the platform's", { "flow/a.ts": "setTimeout(() => {}, 1);" }, "uses setTimeout"],
    ["a timer through globalThis", { "flow/a.ts": "globalThis.setTimeout(() => {}, 1);" }, "setTimeout"],
    [
      "a global taken apart",
      { "flow/a.ts": "export const { performance: p } = globalThis;\np.now();" },
      "globalThis.performance",
    ],
    ["a microtask that is faked", { "http/a.ts": "queueMicrotask(() => {});" }, "uses queueMicrotask"],
    ["a tick that is faked", { "http/a.ts": "process.nextTick(() => {});" }, "uses process.nextTick"],
    ["the calendar", { "inspect/a.ts": "export const a = () => Date.now();" }, "uses Date.now"],
    ["a Date that is now", { "inspect/a.ts": "export const a = () => new Date();" }, "uses Date()"],
    [
      "the timers of a module",
      { "http/a.ts": 'import "node:timers/promises";' },
      "uses node:timers/promises",
    ],
    ["a file that does not parse", { "flow/a.ts": "export const = 1;" }, "does not parse"],
  ])("reports %s", (_, files, breach) => {
    expect(check(files as unknown as Record<string, string>).join("\n")).toContain(breach);
  });

  it("reports every file of a cycle of run-time imports", () => {
    const files = {
      "kernel/a.ts": 'import { b } from "./b.js";\nexport const a = () => b;\n',
      "kernel/b.ts": 'import { c } from "./c.js";\nexport const b = () => c;\n',
      "kernel/c.ts": 'import { a } from "./a.js";\nexport const c = () => a;\n',
    };
    expect(check(files)).toEqual(["import cycle: kernel/a.ts → kernel/b.ts → kernel/c.ts → kernel/a.ts"]);
  });

  it.each([
    ["export *", 'export * from "./b.js";', 'export * from "./a.js";'],
    [
      "import()",
      'export const a = () => import("./b.js");',
      'import { a } from "./a.js";\nexport const b = a;',
    ],
    [
      "the type import()",
      'export type A = import("./b.js").B;',
      'import type { A } from "./a.js";\nexport type B = A | 1;',
    ],
    [
      "import type",
      'import type { B } from "./b.js";\nexport type A = B;',
      'import type { A } from "./a.js";\nexport type B = A | 1;',
    ],
    ["require()", 'declare const require: any;\nrequire("./b.js");', 'import "./a.js";'],
  ])("reports a cycle that is closed by %s", (_, a, b) => {
    expect(check({ "flow/a.ts": a, "flow/b.ts": b })).toContain(
      "import cycle: flow/a.ts → flow/b.ts → flow/a.ts",
    );
  });

  it("reports a file that imports itself", () => {
    const files = {
      "flow/a.ts": 'import type { A } from "./a.js";\nexport type B = A;\nexport type A = 1;\n',
    };
    expect(check(files)).toEqual(["import cycle: flow/a.ts → flow/a.ts"]);
  });

  it("reports a cycle that only types close", () => {
    const files = {
      "flow/a.ts": 'import { b } from "./time/b.js";\nexport type A = typeof b;\n',
      "flow/time/b.ts": 'import type { A } from "../a.js";\nexport const b: A | 1 = 1;\n',
    };
    expect(check(files)).toEqual(["import cycle: flow/a.ts → flow/time/b.ts → flow/a.ts"]);
  });

  it("accepts the names of globals in types and members, other dates, and the files that may use them", () => {
    const files = {
      "flow/a.ts":
        "export type T = ReturnType<typeof setTimeout>;\nexport const a = (x: any) => [x.setTimeout, { performance: 1 }, new Date(5)];\n",
      "kernel/platform.ts": "export const now = () => [Date.now(), performance.now()];\n",
    };
    expect(check(files)).toEqual([]);
  });

  it("accepts 400 lines, interfaces like Iterable, and the default exports that a host loads", () => {
    const files = {
      "flow/a.ts": "export const a = 1;\n"
        .repeat(400)
        .replace(/const a/g, () => `const a${Math.random().toString(36).slice(2)}`),
      "flow/b.ts": "export interface Iterator2 {}\nexport interface IO {}\n",
      "fastify/index.ts": "export default 1;\n",
    };
    expect(check(files)).toEqual([]);
  });
});
