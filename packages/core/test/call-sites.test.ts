import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nodes } from "./support/nodes.js";
import { execute } from "./support/process.js";

const src = fileURLToPath(new URL("../src", import.meta.url));

/**
 * Each public function that starts work, called once. The call stands right behind its mark, a text that every bundler
 * keeps: so its line and column can be found in whatever file is run.
 */
const calls: Readonly<Record<string, string>> = {
  spawn: "spawn(root, long)",
  "spawn, waiting for its turn": "spawn(narrow(root), long)",
  withScope: "withScope(root, long)",
  "withScope with options": `withScope(root, { name: "named" }, long)`,
  "withScope without a parent": "withScope(long)",
  createScope: "createScope(root)",
  "createScope without a parent": "createScope()",
  detach: "detach(root, root, long)",
  shield: "shield(root, { timeout: 60_000 }, long)",
  moveOnAfter: "moveOnAfter(root, { timeout: 60_000 }, long)",
  cancellable: "cancellable(root, () => new Promise(() => {}), () => {})",
  retry: "retry(root, long)",
  "retry, the second attempt": "retry(root, failOnce(), { minDelay: 0 })",
  supervise: "supervise(root, long)",
  "supervise, the second run": "supervise(root, failOnce(), { minDelay: 0 })",
  start: "start(root, long)",
  all: "all(root, [long, long])",
  allSettled: "allSettled(root, [long, long])",
  any: "any(root, [long, long])",
  race: "race(root, [long, long])",
  map: `map(root, ["a", "b"], (_, task) => long(task))`,
  "map of what comes later": `map(root, late(), (_, task) => long(task))`,
  stream: `stream(root, ["a", "b"], (_, task) => long(task), { concurrency: 2 })`,
  iterate: "iterate(root, late(true))",
  pipe: "pipe(root, late(true), new WritableStream())",
  events: `events(root, new EventTarget(), "tick")`,
  selfCleaning: "selfCleaning(() => ({ get: () => 1 }))",
  "selfCleaning with a parent": "selfCleaning(root, () => ({ get: () => 1 }))",
  effectionScope: "effectionScope(root)",
  useOperation: "useOperation(root, suspend)",
  useBoughScope: "useBoughScope()",
  main: "main(long)",
  serverScope: "serverScope(createServer())",
  requestScope: "requestScope(request, response)",
};

const program = `
import { createServer, get } from "node:http";
import * as bough from "./bough.mjs";
import {
  all, allSettled, any, cancellable, close, createScope, detach, effectionScope, events, iterate, main, map,
  moveOnAfter, pipe, race, requestScope,
  retry, runEffection, selfCleaning, serverScope, setTracing, shield, sleep, snapshot, spawn, start, stream, supervise,
  suspend, useBoughScope, useOperation, withScope,
} from "./bough.mjs";

setTracing(true);
const kept = [];
const long = (scope) => sleep(scope, 60_000);
function failOnce() {
  let calls = 0;
  return (scope) => (calls++ === 0 ? Promise.reject(new Error("once")) : long(scope));
}
async function* late(isSilent) {
  await 0;
  if (isSilent) await new Promise(() => {});
  yield "a";
  yield "b";
}
function narrow(root) {
  const scope = createScope(root, { name: "narrow", concurrency: 1 });
  spawn(scope, long, { name: "first" });
  kept.push(scope);
  return scope;
}
/** Keeps what a call has returned, and begins what begins later. */
function mark(name, result) {
  kept.push(name, result);
  if (typeof result?.then === "function") result.then(undefined, () => {});
  if (typeof result?.next === "function") result.next().catch(() => {});
  if (name === "@@useBoughScope") void runEffection(function* () { yield* result; yield* suspend(); });
}
/** Makes a request, for which \`call\` makes a scope. */
function onRequest(call) {
  return new Promise((resolve) => {
    const server = createServer((request, response) => resolve(call(request, response)));
    kept.push(server);
    server.listen(0, "127.0.0.1", () => get({ port: server.address().port, host: "127.0.0.1" }).on("error", () => {}));
  });
}
const calls = {
${Object.entries(calls)
  .map(([name, call]) => {
    const marked = `mark(${JSON.stringify(`@@${name}`)}, ${call})`;
    const run =
      name === "requestScope" ? `() => onRequest((request, response) => ${marked})` : `(root) => ${marked}`;
    return `  ${JSON.stringify(name)}: ${run},`;
  })
  .join("\n")}
};
const sites = {};
const collect = ({ name, spawnedAt, children }) =>
  name === "narrow" || name === "first" ? children.flatMap(collect) : [[name, spawnedAt], ...children.flatMap(collect)];
for (const [name, call] of Object.entries(calls)) {
  const root = createScope({ name: "root" });
  kept.push(root);
  const before = snapshot().children.length;
  await call(root);
  await new Promise((resolve) => setTimeout(resolve, 20));
  sites[name] = [...snapshot(root).children, ...snapshot().children.slice(before)].flatMap(collect);
}
console.log(JSON.stringify(sites));
process.exit();
`;

/** How many scopes and tasks there are at least, the ones inside included. */
const parts: Readonly<Record<string, number>> = {
  retry: 2,
  "retry, the second attempt": 2,
  supervise: 2,
  "supervise, the second run": 2,
  start: 2,
  all: 3,
  allSettled: 3,
  any: 3,
  race: 3,
  map: 3,
  "map of what comes later": 3,
  stream: 4,
  iterate: 2,
  pipe: 4,
  requestScope: 2,
};

/** Those whose scope has the name of the function. */
const named = new Set([
  "retry",
  "all",
  "allSettled",
  "any",
  "race",
  "map",
  "stream",
  "pipe",
  "events",
  "effectionScope",
]);

let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "bough-sites-"));
  const paths = [".", "effection", "http", "inspect", "process", "streams"];
  const contents = [
    ...paths.map((path) => `export * from "./${path}/index.ts";`),
    `export { run as runEffection, suspend } from "effection";`,
  ].join("\n");
  const options = {
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    logLevel: "silent",
  } as const;
  await build({
    ...options,
    stdin: { contents, resolveDir: src, loader: "ts" },
    outfile: join(folder, "bough.mjs"),
  });
  const user = join(folder, "user.mjs");
  writeFileSync(user, program);
  await build({ ...options, entryPoints: [user], outfile: join(folder, "bundled.mjs") });
  const minified = { ...options, entryPoints: [user], minify: true };
  await build({ ...minified, outfile: join(folder, "minified.mjs") });
  await build({ ...minified, outfile: join(folder, "mapped.mjs"), sourcemap: true });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Where the marked call stands in `text`: `line:column`, as in a stack. */
function positionOf(name: string, text: string): string {
  const found = new RegExp(`[\`"']@@${name}[\`"'],\\s*`).exec(text);
  expect(found, `the mark of ${name}`).not.toBeNull();
  const before = text.slice(0, (found?.index ?? 0) + (found?.[0].length ?? 0)).split("\n");
  return `${before.length}:${(before.at(-1) ?? "").length + 1}`;
}

describe.each(nodes())("rule 26: on $label, a call site is the user's line and column", ({ path }) => {
  it.skipIf(path === undefined).each([
    { file: "user.mjs", origin: "user.mjs", flags: [] },
    { file: "bundled.mjs", origin: "bundled.mjs", flags: [] },
    { file: "minified.mjs", origin: "minified.mjs", flags: [] },
    { file: "mapped.mjs", origin: "user.mjs", flags: ["--enable-source-maps"] },
  ])(
    "of every function that starts work, for all that it starts, in $file",
    async ({ file, origin, flags }) => {
      const { code, stdout, output } = await execute(path as string, [...flags, join(folder, file)], folder);
      expect({ code, output }).toMatchObject({ code: 0 });
      const sites = JSON.parse(stdout) as Record<string, [string, string?][]>;
      const text = readFileSync(join(folder, origin), "utf8");
      const seen: Record<string, object> = {};
      const expected: Record<string, object> = {};
      for (const name of Object.keys(calls)) {
        const found = sites[name] ?? [];
        const ends = found.map(([, site]) => /([^/]+:\d+:\d+)\)?$/.exec(String(site))?.[1] ?? "none");
        const isWhole = found.length >= (parts[name] ?? 1);
        seen[name] = { sites: [...new Set(ends)], isWhole, name: named.has(name) ? found[0]?.[0] : name };
        // By name as the function is, not as a bundler calls it.
        expected[name] = { sites: [`${origin}:${positionOf(name, text)}`], isWhole: true, name };
      }
      expect(seen).toEqual(expected);
    },
  );
});
