// Puts the functions of `kernel/state.ts` where they are called, as the bundler does with constants. V8 inlines only so many
// bytecodes into one function: with a call for each test, `spawn` and join take up to 1.23 times as long (see
// docs/maintainers/performance.md). No line is added or removed, so source maps stay right.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
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

/**
 * The arrow functions of a file whose bodies are expressions, with numbers in place of the file's constants.
 *
 * @throws {Error} If a body needs more than the flags of its parameters: it could not be put elsewhere.
 */
export function readFunctions(file) {
  const options = { entryPoints: [file], bundle: true, format: "esm", minifySyntax: true, write: false };
  const { text } = buildSync(options).outputFiles[0];
  const functions = new Map();
  visit("state.js", text, {
    VariableDeclarator({ id, init }) {
      if (init?.type !== "ArrowFunctionExpression" || init.body.type === "BlockStatement") return;
      const parameters = init.params.map(({ name }) => name);
      const body = text.slice(init.body.start, init.body.end);
      const rest = body.replace(flagsOf, (flags, name) => (parameters.includes(name) ? "0" : flags));
      if (!/^(\d+(e\d+)?|[\s()&|^~!=<>?:-])+$/.test(rest))
        throw new Error(`${file}: ${id.name} may use only numbers and the flags of its parameters: ${body}`);
      functions.set(id.name, { parameters, isTransition: init.body.type === "AssignmentExpression", body });
    },
  });
  return functions;
}

/** Replaces the calls of `functions` in the text of the file `path` by their bodies. */
export function inlineCalls(path, text, functions) {
  const imported = new Map();
  const statements = new Set();
  const statementStarts = new Set();
  const calls = [];
  const bindings = [];
  const declare = ({ id, param, params = [] }) => bindings.push(id, param, ...params);
  visit(path, text, {
    ImportDeclaration({ source, specifiers }) {
      if (!isState(join(dirname(path), source.value))) return;
      for (const { type, imported: name, local } of specifiers) {
        if (type !== "ImportSpecifier")
          throw new Error(`${path}: import the functions of state.ts by their names, not as ${local.name}`);
        imported.set(local.name, functions.get(name.name));
      }
    },
    ExpressionStatement({ expression, start }) {
      statements.add(expression);
      statementStarts.add(start);
    },
    CallExpression: (call) => calls.push(call),
    VariableDeclarator: declare,
    FunctionDeclaration: declare,
    FunctionExpression: declare,
    ArrowFunctionExpression: declare,
    ClassDeclaration: declare,
    ClassExpression: declare,
    CatchClause: declare,
    TSEnumDeclaration: declare,
    TSModuleDeclaration: declare,
  });
  for (const name of bindings.flatMap(namesIn)) {
    if (imported.has(name))
      throw new Error(`${path}: rename the local ${name}; it hides the function of state.ts`);
  }
  const edits = calls.flatMap((call) => {
    const called = call.callee.type === "Identifier" ? imported.get(call.callee.name) : undefined;
    if (called === undefined || !canInline(called, call, text)) return [];
    const isStatement = statements.has(call);
    // The value of a transition is undefined, and that of its body is not.
    if (called.isTransition && !isStatement) return [];
    // With a parenthesis in front, the statement could continue a line before it that has no semicolon.
    if (!isStatement && statementStarts.has(call.start)) return [];
    const lines = text.slice(call.start, call.end).replace(/[^\n]/g, "");
    const body = `${isStatement ? "void " : ""}(${bodyOf(called, call, text)})${lines}`;
    return [{ start: call.start, end: call.end, text: body }];
  });
  let result = "";
  let at = 0;
  for (const edit of edits.sort((a, b) => a.start - b.start)) {
    result += text.slice(at, edit.start) + edit.text;
    at = edit.end;
  }
  return result + text.slice(at);
}

const flagsOf = /\b(\w+)\.flags\b/g;

function isState(file) {
  return /(^|[\\/])kernel[\\/]state\.js$/.test(file);
}

/** Whether the arguments can stand in the body: they are paths, and the body reads only variables twice. */
function canInline({ parameters, body }, call, text) {
  if (call.arguments.length !== parameters.length) return false;
  return call.arguments.every((argument, index) => {
    if (!isPath(argument) || text.slice(argument.start, argument.end).includes("//")) return false;
    const reads = [...body.matchAll(flagsOf)].filter(([, name]) => name === parameters[index]);
    return reads.length === 1 || isVariable(argument);
  });
}

function bodyOf({ parameters, body }, call, text) {
  return body.replace(flagsOf, (_, name) => {
    const argument = call.arguments[parameters.indexOf(name)];
    return `(${text.slice(argument.start, argument.end).replace(/[\r\n]+/g, " ")}).flags`;
  });
}

/** Whether it is a name or a path such as `this.node`. */
function isPath(node) {
  if (node.type === "MemberExpression") return !node.computed && !node.optional && isPath(node.object);
  if (node.type === "TSAsExpression" || node.type === "TSNonNullExpression") return isPath(node.expression);
  return isVariable(node);
}

function isVariable(node) {
  if (node.type === "TSAsExpression" || node.type === "TSNonNullExpression")
    return isVariable(node.expression);
  return node.type === "ThisExpression" || node.type === "Identifier";
}

/** The names that a declaration or a pattern introduces. */
function namesIn(pattern) {
  if (pattern === undefined || pattern === null) return [];
  if (pattern.type === "Identifier") return [pattern.name];
  const { value, argument, left, parameter, elements = [], properties = [] } = pattern;
  return [value, argument, left, parameter, ...elements, ...properties].flatMap(namesIn);
}

function visit(path, text, visitor) {
  const { program, errors } = parseSync(path, text, { preserveParens: false });
  if (errors.length > 0) throw new Error(`${path}: ${errors[0].message}`);
  new Visitor(visitor).visit(program);
}
