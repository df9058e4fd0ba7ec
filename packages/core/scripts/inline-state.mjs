// Puts the functions of `kernel/state.ts` where they are called, as the bundler does with constants. V8 inlines only so many
// bytecodes into one function: with a call for each test, `spawn` and join take up to 1.23 times as long (see
// docs/maintainers/performance.md). No line is added or removed, so source maps stay right.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { parseSync, Visitor } from "oxc-parser";

const stateFile = fileURLToPath(new URL("../src/kernel/state.ts", import.meta.url));

export const inlineState = {
  name: "inline-state",
  setup(build) {
    const functions = readFunctions(stateFile);
    build.onLoad({ filter: /[\\/]src[\\/].*\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, "utf8");
      return text.includes("/state.js")
        ? { contents: inlineCalls(path, text, functions), loader: "ts" }
        : undefined;
    });
  },
};

/** The arrow functions of a file whose bodies are expressions, with numbers in place of the file's constants. */
export function readFunctions(file) {
  const options = { entryPoints: [file], bundle: true, format: "esm", minifySyntax: true, write: false };
  const { text } = buildSync(options).outputFiles[0];
  const functions = new Map();
  visit("state.js", text, {
    VariableDeclarator({ id, init }) {
      if (init?.type !== "ArrowFunctionExpression" || init.body.type === "BlockStatement") return;
      const parameters = init.params.map(({ name }) => name);
      const isTransition = init.body.type === "AssignmentExpression";
      functions.set(id.name, { parameters, isTransition, body: text.slice(init.body.start, init.body.end) });
    },
  });
  return functions;
}

/** Replaces the calls of `functions` in the text of the file `path` by their bodies. */
export function inlineCalls(path, text, functions) {
  const imported = new Map();
  const statements = new Set();
  const calls = [];
  const bindings = [];
  visit(path, text, {
    ImportDeclaration({ source, specifiers }) {
      if (!source.value.endsWith("/state.js")) return;
      for (const { imported: name, local } of specifiers) imported.set(local.name, functions.get(name.name));
    },
    ExpressionStatement: ({ expression }) => statements.add(expression),
    CallExpression: (call) => calls.push(call),
    VariableDeclarator: ({ id }) => bindings.push(id),
    FunctionDeclaration: ({ id, params }) => bindings.push(id, ...params),
    FunctionExpression: ({ id, params }) => bindings.push(id, ...params),
    ArrowFunctionExpression: ({ params }) => bindings.push(...params),
  });
  for (const binding of bindings) {
    const name = binding?.name;
    if (imported.has(name))
      throw new Error(`${path}: rename the local ${name}; it hides the function of state.ts`);
  }
  const edits = calls.flatMap((call) => {
    const called = call.callee.type === "Identifier" ? imported.get(call.callee.name) : undefined;
    if (called === undefined) return [];
    // The value of a transition is undefined, and that of its body is not.
    if (called.isTransition && !statements.has(call)) return [];
    // The body may evaluate an argument twice.
    if (!call.arguments.every(isPath)) return [];
    const lines = text.slice(call.start, call.end).replace(/[^\n]/g, "");
    return [{ start: call.start, end: call.end, text: `(${bodyOf(called, call, text)})${lines}` }];
  });
  let result = "";
  let at = 0;
  for (const edit of edits.sort((a, b) => a.start - b.start)) {
    result += text.slice(at, edit.start) + edit.text;
    at = edit.end;
  }
  return result + text.slice(at);
}

function bodyOf({ parameters, body }, call, text) {
  return body.replace(/\b\w+(?=\.flags\b)/g, (name) => {
    const argument = call.arguments[parameters.indexOf(name)];
    return `(${text.slice(argument.start, argument.end).replaceAll("\n", " ")})`;
  });
}

/** Whether it is a name or a path such as `this.node`, which has the same value each time. */
function isPath(node) {
  if (node.type === "ThisExpression" || node.type === "Identifier") return true;
  if (node.type === "MemberExpression") return !node.computed && !node.optional && isPath(node.object);
  return (node.type === "TSAsExpression" || node.type === "TSNonNullExpression") && isPath(node.expression);
}

function visit(path, text, visitor) {
  const { program, errors } = parseSync(path, text, { preserveParens: false });
  if (errors.length > 0) throw new Error(`${path}: ${errors[0].message}`);
  new Visitor(visitor).visit(program);
}
