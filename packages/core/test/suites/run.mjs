// Runs Fastify's or Express's own test suite with something of ours mounted in every app, and compares test by test
// with the same suite where what is mounted does nothing. See docs/maintainers/http-suites.md.
//
//     node test/suites/run.mjs fastify /tmp/suites/fastify [--mount=nothing --mount=bough] [--runs=1] [--only=close]

/* oxlint-disable no-console -- a command: that is where its results go */

import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    mount: { type: "string", multiple: true, default: ["none", "nothing", "bough"] },
    runs: { type: "string", default: "1" },
    only: { type: "string", default: "" },
  },
});
const [suite, folder] = positionals;
if ((suite !== "fastify" && suite !== "express") || folder === undefined)
  throw new TypeError("usage: run.mjs <fastify|express> <folder of the unpacked and installed framework>");
const root = resolve(folder);
const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const mains = { fastify: "fastify.js", express: "lib/express.js" };

/** Calls `add(test, outcome, message)` for each test of one run. */
const runners = {
  fastify(env, add) {
    const files = readdirSync(join(root, "test"), { recursive: true })
      .filter((file) => /\.test\.m?js$/.test(file) && file.includes(values.only))
      .map((file) => join("test", file));
    const args = [
      "--test",
      "--test-concurrency=1",
      "--test-timeout=60000",
      `--test-reporter=${here("reporter.mjs")}`,
    ];
    const { stdout } = run([...args, ...files.toSorted()], env);
    const path = [];
    const events = stdout.split("\n").filter((line) => line.startsWith('{"name"'));
    for (const { name, nesting, file, skipped, passed, message } of events.map((line) => JSON.parse(line))) {
      path.length = nesting;
      add(
        `${relative(root, file ?? name)} ${nesting} ${name}`,
        skipped ? "skipped" : passed ? "passed" : "failed",
        message,
      );
    }
  },
  express(env, add) {
    const mocha = [
      "node_modules/mocha/bin/_mocha",
      "--require",
      "test/support/env",
      "--check-leaks",
      "--reporter",
      "json",
    ];
    const only = values.only === "" ? [] : ["--grep", values.only];
    const { stdout } = run([...mocha, ...only, "test/", "test/acceptance/"], env);
    const { passes, failures, pending } = JSON.parse(stdout.slice(stdout.indexOf('{\n  "stats"')));
    for (const { fullTitle } of passes) add(fullTitle, "passed");
    for (const { fullTitle } of pending) add(fullTitle, "skipped");
    for (const { fullTitle, err } of failures) add(fullTitle, "failed", err.stack);
  },
};

function run(args, env) {
  const { NODE_OPTIONS = "", ...rest } = process.env;
  return spawnSync(process.execPath, args, {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 1e9,
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...rest, ...env, NODE_OPTIONS: `${NODE_OPTIONS} --import=${here("mount.mjs")}` },
  });
}

/** The outcomes of each test in all runs with `mount`: names need not be unique, so they are counted. */
function outcomesWith(mount) {
  const env = { BOUGH_SUITE: suite, BOUGH_MAIN: join(root, mains[suite]), BOUGH_MOUNT: mount };
  const tests = {};
  for (let count = 0; count < Number(values.runs); count++) {
    const seen = new Map();
    runners[suite](env, (name, outcome, message) => {
      const nth = (seen.get(name) ?? 0) + 1;
      seen.set(name, nth);
      const test = (tests[nth === 1 ? name : `${name} (${nth})`] ??= { passed: 0, skipped: 0, failed: 0 });
      test[outcome] += 1;
      if (outcome === "failed") test.message = message;
    });
  }
  return tests;
}

const results = new Map();
const kept = join(root, ".bough-suites");
mkdirSync(kept, { recursive: true });
for (const mount of values.mount) {
  const began = Date.now();
  const tests = outcomesWith(mount);
  results.set(mount, tests);
  const all = Object.values(tests);
  const failed = Object.entries(tests).filter(([, test]) => test.failed > 0);
  writeFileSync(join(kept, `${mount}.json`), JSON.stringify(tests, null, 1));
  console.log(
    `${mount}: ${all.length} tests, ${failed.length} failed, ${Math.round((Date.now() - began) / 1000)} s`,
  );
  for (const [name, { failed: times }] of failed)
    console.log(`    ${name}${times > 1 ? ` (${times} times)` : ""}`);
}

/** Passes, skips and failures are the same. */
function isSame(a, b) {
  return a !== undefined && b !== undefined && a.failed > 0 === b.failed > 0 && a.skipped === b.skipped;
}

const nothing = results.get("nothing");
for (const [mount, tests] of nothing === undefined ? [] : results) {
  if (mount === "none" || mount === "nothing") continue;
  const names = new Set([...Object.keys(nothing), ...Object.keys(tests)]);
  const different = [...names].filter((name) => !isSame(nothing[name], tests[name]));
  console.log(`${mount}: ${different.length} tests differ from those with nothing`);
  for (const name of different) console.log(`    ${name}\n        ${tests[name]?.message ?? "did not fail"}`);
  if (different.length > 0) process.exitCode = 1;
}
