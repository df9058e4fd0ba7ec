import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSync, Visitor } from "oxc-parser";
import { describe, expect, it } from "vitest";
import { inlineCalls, readFunctions } from "../scripts/inline-state.mjs";

const src = fileURLToPath(new URL("../src", import.meta.url));

describe("inlineCalls(), a step of the build", () => {
  const functions = new Map([
    ["isSet", { parameters: ["node"], isTransition: false, body: "(node.flags & 8) !== 0" }],
    ["isEitherSet", { parameters: ["a", "b"], isTransition: false, body: "((a.flags | b.flags) & 8) !== 0" }],
    ["set", { parameters: ["node"], isTransition: true, body: "node.flags |= 8" }],
  ]);
  const head = `import { isSet, isEitherSet, set as mark } from "../kernel/state.js"; `;
  const inline = (code: string) => inlineCalls("task/a.ts", head + code, functions).slice(head.length);

  it.each([
    ["a predicate", "if (isSet(node)) end();", "if (((node).flags & 8) !== 0) end();"],
    ["one of two nodes", "x = isEitherSet(c, p.q);", "x = (((c).flags | (p.q).flags) & 8) !== 0;"],
    ["a transition", "mark(this.#node);", "(this.#node).flags |= 8;"],
    ["a path with a cast", "x = isSet((n.parent as Node)!);", "x = ((n.parent as Node)!.flags & 8) !== 0;"],
  ])("puts %s where it is called", (_, code, expected) => {
    expect(compact(inline(code))).toBe(compact(expected));
  });

  it.each([
    ["a transition whose value is used", "const change = () => mark(node);"],
    ["an argument that the body could evaluate twice", "isSet(next()); isSet(list[i++]); isSet(a?.b);"],
    ["a function that is passed on", "nodes.filter(isSet);"],
    ["a method of the same name", "other.isSet(node);"],
    ["a function of another file", `import { isLive } from "./live.js"; isLive(node);`],
  ])("leaves %s as it is", (_, code) => {
    expect(inline(code)).toBe(code);
  });

  it("keeps the number of lines, so that source maps stay right", () => {
    const code = "if (\n  isSet(\n    node.parent as Node,\n  )\n)\n  end();";
    expect(inline(code).split("\n")).toHaveLength(code.split("\n").length);
    expect(inline(code)).not.toContain("isSet");
  });

  it.each(["const isSet = 1;", "function f(isSet: boolean) {}", "const f = (isSet: boolean) => isSet;"])(
    "refuses a local variable that hides the function: %s",
    (code) => {
      expect(() => inline(code)).toThrow(
        "task/a.ts: rename the local isSet; it hides the function of state.ts",
      );
    },
  );
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
