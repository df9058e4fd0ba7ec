import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSync, Visitor } from "oxc-parser";
import { describe, expect, it, onTestFinished } from "vitest";
import { inlineCalls, readFunctions } from "../scripts/inline-state.mjs";

const src = fileURLToPath(new URL("../src", import.meta.url));

describe("inlineCalls(), a step of the build", () => {
  const functions = new Map([
    ["isSet", { parameters: ["node"], isTransition: false, body: "(node.flags & 8) !== 0" }],
    ["isSetTwice", { parameters: ["n"], isTransition: false, body: "(n.flags & 8) !== (n.flags & 4)" }],
    ["isEitherSet", { parameters: ["a", "b"], isTransition: false, body: "((a.flags | b.flags) & 8) !== 0" }],
    ["set", { parameters: ["node"], isTransition: true, body: "node.flags |= 8" }],
  ]);
  const head = `import { isSet, isSetTwice, isEitherSet, set as mark } from "../kernel/state.js"; `;
  const inline = (code: string) => inlineCalls("task/a.ts", head + code, functions).slice(head.length);

  it.each([
    ["a predicate", "if (isSet(node)) end();", "if (((node).flags & 8) !== 0) end();"],
    ["one of two nodes", "x = isEitherSet(c, p.q);", "x = (((c).flags | (p.q).flags) & 8) !== 0;"],
    ["a transition", "mark(this.#node);", "void (this.#node).flags |= 8;"],
    ["a transition after a line without a semicolon", "a()\nmark(n)", "a()\nvoid ((n).flags |= 8)"],
    [
      "a default, a field",
      "(a = isSet(b)) => 1; class A { c = isSet(this) }",
      "(a = ((b).flags & 8) !== 0) => 1; class A { c = ((this).flags & 8) !== 0 }",
    ],
    ["a call in a template", "'😀' + `${isSet(n)}`", "'😀' + `${((n).flags & 8) !== 0}`"],
    ["a path with a cast", "x = isSet((n.parent as Node)!);", "x = ((n.parent as Node)!.flags & 8) !== 0;"],
  ])("puts %s where it is called", (_, code, expected) => {
    expect(compact(inline(code))).toBe(compact(expected));
  });

  it.each([
    ["a transition whose value is used", "const change = () => mark(node);"],
    ["an argument that the body could evaluate twice", "isSet(next()); isSet(list[i++]); isSet(a?.b);"],
    ["a path that the body would evaluate twice", "x = isSetTwice(a.b);"],
    ["a spread argument, too few and too many", "x = [isSet(...nodes), isEitherSet(a), isSet(a, b)];"],
    ["an argument with a line comment", "x = isSet(node as // the parent\n Node);"],
    ["a start of a statement, whose parenthesis could continue the line before", "a()\nisSet(node) && b()"],
    ["a constructor, a tag, an optional call", "new isSet(node); isSet`a`; x = mark?.(node);"],
    ["a function that is passed on", "nodes.filter(isSet); export { isSet };"],
    ["a method of the same name", "other.isSet(node);"],
    ["a function of another file", `import { isLive } from "./live.js"; isLive(node);`],
    ["another file of the same name", `import { isSet as is } from "../flow/state.js"; x = is(node);`],
  ])("leaves %s as it is", (_, code) => {
    expect(inline(code)).toBe(code);
  });

  it("keeps the number of lines, so that source maps stay right", () => {
    const code = "if (\n  isSet(\n    node.parent as Node,\n  )\n)\n  end();";
    expect(inline(code).split("\n")).toHaveLength(code.split("\n").length);
    expect(inline(code)).not.toContain("isSet");
  });

  it.each([
    "const isSet = 1;",
    "const { a: isSet } = b;",
    "const [...isSet] = b;",
    "for (const [isSet] of b) c();",
    "function isSet() {}",
    "function f(isSet: boolean) {}",
    "function f({ isSet = 1 }) {}",
    "const f = (isSet = 1) => isSet;",
    "class A { f(...isSet) {} }",
    "class A { constructor(private isSet: boolean) {} }",
    "class isSet {}",
    "enum isSet {}",
    "try { a(); } catch (isSet) {}",
  ])("refuses a local variable that hides the function: %s", (code) => {
    expect(() => inline(code)).toThrow(
      "task/a.ts: rename the local isSet; it hides the function of state.ts",
    );
  });

  it.each([`import * as state from "../kernel/state.js";`, `import state from "../kernel/state.js";`])(
    "refuses an import of the whole file: %s",
    (code) => {
      expect(() => inline(code)).toThrow(
        "task/a.ts: import the functions of state.ts by their names, not as state",
      );
    },
  );
});

describe("readFunctions(), a step of the build", () => {
  it.each([
    ["another function", "node => isSet(node) && node.flags"],
    ["another property", "node => node.parent.flags"],
    ["another parameter", "({ flags }) => flags"],
    ["a variable that changes", "node => node.flags & mask"],
  ])("refuses a body with %s, which would mean something else elsewhere", (_, code) => {
    const folder = mkdtempSync(join(tmpdir(), "bough-state-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "state.js");
    writeFileSync(
      file,
      `let mask = 1;\nexport const setMask = (to) => { mask = to; };\nexport const isSet = (node) => (node.flags & 8) !== 0;\nexport const is = ${code};`,
    );
    expect(() => readFunctions(file)).toThrow(
      "state.js: is may use only numbers and the flags of its parameters",
    );
  });
});

describe("the built package", () => {
  it("calls no function of state.ts", () => {
    const functions = readFunctions(join(src, "kernel/state.ts"));
    expect(functions.get("isWindingUp")?.body).toMatch(/^\(node\.flags & \d+\) === 0 && /);
    const files = readdirSync(src, { recursive: true, encoding: "utf8" });
    const left = files.flatMap((file) => {
      const text = file.endsWith(".ts") ? readFileSync(join(src, file), "utf8") : "";
      return text.includes("/state.js") ? callsOf(file, inlineCalls(file, text, functions)) : [];
    });
    expect(left).toEqual([]);
  });
});

/** The text without spaces and without parentheses, which the printer of the bundler puts right. */
function compact(code: string): string {
  return code.replace(/[\s()]/g, "");
}

/** The functions of state.ts that the text calls. */
function callsOf(file: string, text: string): string[] {
  const functions = new Set<string>();
  const calls: string[] = [];
  const { program } = parseSync(file, text);
  new Visitor({
    ImportDeclaration({ source, specifiers }) {
      if (source.value.endsWith("/state.js")) for (const { local } of specifiers) functions.add(local.name);
    },
    CallExpression({ callee }) {
      if (callee.type === "Identifier" && functions.has(callee.name)) calls.push(`${file}: ${callee.name}`);
    },
  }).visit(program);
  return calls;
}
