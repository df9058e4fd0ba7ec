// The one script behind `npm start` and `npm test`: with nothing but Node and npm it sets the workspace up
// (pnpm through npx, install, build), then runs what was asked for. What is up to date is not done again.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { failureLines } from "./test-report.mjs";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const core = join(root, "packages/core");
const examples = join(root, "packages/examples");
const cookbook = join(root, "packages/cookbook");
const cache = join(root, "node_modules/.cache/bough");

const manifestOf = (folder) => JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
const pnpm = `npx -y ${manifestOf(root).packageManager}`;

const started = Date.now();
const seconds = (since) => `${((Date.now() - since) / 1000).toFixed(1)} s`;
const say = (line) => console.log(`[bough +${seconds(started)}] ${line}`);

// ── Child processes ──────────────────────────────────────────────────────────────────────────────────────

const running = new Set();
let stopped = false;
/** The signal that a child died of, if any. */
let diedOf;

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    stopped = true;
    // A terminal sends Ctrl-C to the whole group, so the child has it: a second one would force its exit.
    if (signal === "SIGINT" && process.stdin.isTTY) return;
    for (const child of running) child.kill(signal);
  });
}

/** Runs `command` in a shell, with the tools of `folder` and of the root on the PATH; resolves with its exit code. */
function execute(command, { folder = root, env = {}, buffered = false } = {}) {
  if (stopped) return Promise.resolve({ code: 1, output: "" });
  const tools = [folder, root].map((place) => join(place, "node_modules/.bin"));
  // A shell that stays between would take the signals meant for the command, and leave it running.
  const single = process.platform !== "win32" && !/[&|;]/.test(command);
  const child = spawn(single ? `exec ${command}` : command, {
    cwd: folder,
    shell: true,
    stdio: buffered ? ["ignore", "pipe", "pipe"] : "inherit",
    env: { ...process.env, ...env, PATH: [...tools, process.env.PATH].join(delimiter) },
  });
  running.add(child);
  let output = "";
  child.stdout?.on("data", (chunk) => (output += chunk));
  child.stderr?.on("data", (chunk) => (output += chunk));
  return new Promise((settle) => {
    const done = (code, signal) => {
      running.delete(child);
      if (signal) diedOf ??= signal;
      settle({ code: code ?? 128 + constants.signals[signal], output });
    };
    child.on("error", (error) => {
      output += `${error.message}\n`;
      done(127);
    });
    child.on("close", done);
  });
}

/** The script of that name in the package.json of `folder`; the arguments are appended to it. */
const script = (folder, name, args = "") => [`${manifestOf(folder).scripts[name]} ${args}`.trim(), folder];

/** Says what it does, how long it took, and now and then that it is still at it. */
async function step(title, work) {
  const since = Date.now();
  say(`${title} …`);
  const heartbeat = setInterval(() => say(`${title}: still at it after ${seconds(since)}`), 10_000);
  try {
    return await work((verdict) => say(`${title}: ${verdict} in ${seconds(since)}`));
  } finally {
    clearInterval(heartbeat);
  }
}

/** A step that is one command: true when it succeeded. Its output is shown whole at its end, if it has any. */
function gate(title, [command, folder]) {
  return step(title, async (report) => {
    const { code, output } = await execute(command, { folder, buffered: true });
    report(code === 0 ? "ok" : `FAILED (exit code ${code})`);
    if (code !== 0) process.stdout.write(`${output.trimEnd()}\n`);
    return code === 0;
  });
}

// ── Set-up: install and build, each only when something changed ──────────────────────────────────────────

function filesBelow(path) {
  if (!existsSync(path)) return [];
  return readdirSync(path, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

function hashOf(files) {
  const hash = createHash("sha256").update(process.version);
  for (const file of [...files].sort()) {
    if (existsSync(file)) hash.update(`\0${relative(root, file)}\0`).update(readFileSync(file));
  }
  return hash.digest("hex");
}

/** Runs `work` unless the stamp of that name says that it succeeded with these very files. */
async function unlessUnchanged(name, files, result, work) {
  const stamp = join(cache, `${name}.sha256`);
  const hash = hashOf(files);
  if (existsSync(result) && existsSync(stamp) && readFileSync(stamp, "utf8") === hash) return true;
  rmSync(stamp, { force: true });
  if (!(await work())) return false;
  mkdirSync(cache, { recursive: true });
  writeFileSync(stamp, hash);
  return true;
}

function install() {
  const files = ["pnpm-lock.yaml", "pnpm-workspace.yaml", "package.json"].map((name) => join(root, name));
  files.push(...[core, examples, cookbook].map((folder) => join(folder, "package.json")));
  return unlessUnchanged("install", files, join(root, "node_modules/.modules.yaml"), () =>
    step("installing the dependencies with pnpm (the first time takes a while)", async (report) => {
      // CI: pnpm must not ask whether it may replace a node_modules that another tool made.
      const { code } = await execute(`${pnpm} install --frozen-lockfile`, { env: { CI: "true" } });
      report(code === 0 ? "ok" : `FAILED (exit code ${code})`);
      return code === 0;
    }),
  );
}

function build() {
  const files = filesBelow(join(core, "src")).filter((file) => !file.endsWith(".test.ts"));
  files.push(...["package.json", "tsup.config.ts", "tsconfig.build.json"].map((name) => join(core, name)));
  files.push(join(root, "tsconfig.base.json"), join(root, "pnpm-lock.yaml"));
  return unlessUnchanged("build", files, join(core, "dist/index.d.ts"), () =>
    gate("building bough", script(core, "build")),
  );
}

// ── The commands ─────────────────────────────────────────────────────────────────────────────────────────

const typechecks = [
  ["checking the types of bough", script(core, "typecheck")],
  ["checking the types of the examples", script(examples, "typecheck")],
  ["checking the types of the cookbook", script(cookbook, "typecheck")],
];

/** Runs the gates two at a time, as many as the smallest machine has cores; resolves with the titles of those that failed. */
async function gates(list) {
  const failed = [];
  const queue = list.values();
  const worker = async () => {
    for (const [title, command] of queue) if (!(await gate(title, command))) failed.push(title);
  };
  await Promise.all([worker(), worker()]);
  return failed;
}

/** One vitest run; what it counted and what failed comes from a report of its own. */
async function suite(title, folder, name) {
  const report = join(cache, `${manifestOf(folder).name}-tests.json`);
  mkdirSync(cache, { recursive: true });
  rmSync(report, { force: true });
  const reporters = `--reporter=default --reporter="${join(root, "scripts/test-report.mjs")}"`;
  const [command] = script(folder, name, reporters);
  const { code } = await step(title, async (verdict) => {
    const result = await execute(command, { folder, env: { BOUGH_TEST_REPORT: report } });
    verdict(result.code === 0 ? "ok" : `FAILED (exit code ${result.code})`);
    return result;
  });
  // A crash, a suite that did not run: no report.
  const totals = existsSync(report)
    ? JSON.parse(readFileSync(report, "utf8"))
    : { passed: 0, failed: 0, skipped: 0, failures: [] };
  // And vitest may fail without a failed test, for example when it does not come to its end.
  if (code !== 0 && totals.failed === 0) totals.failed = 1;
  return { code, ...totals };
}

async function test() {
  const failed = [];
  const built = await build();
  if (!built) failed.push("building bough");
  failed.push(
    ...(await gates([
      ["checking the format", script(root, "gate:format")],
      ["linting", script(root, "gate:lint")],
      ...(built ? typechecks : typechecks.slice(0, 1)),
    ])),
  );
  const totals = { passed: 0, failed: 0, skipped: 0 };
  const details = {};
  // Without a build, what needs one would only repeat that in many words.
  const suites = [["testing bough", core, built ? "test:all" : "test"]];
  if (built) suites.push(["testing the examples", examples, "test:all"]);
  if (built) suites.push(["testing the cookbook", cookbook, "test:all"]);
  for (const [title, folder, name] of suites) {
    const result = await suite(title, folder, name);
    for (const key of Object.keys(totals)) totals[key] += result[key];
    if (result.code !== 0) failed.push(title);
    details[title] = failureLines(result.failures);
  }
  totals.failed += failed.filter((title) => !title.startsWith("testing")).length;
  for (const title of failed) {
    say(`FAILED: ${title}`);
    for (const line of details[title] ?? []) console.log(line);
  }
  say(failed.length === 0 ? "all gates and tests passed" : `${failed.length} step(s) failed`);
  const skipped = totals.skipped === 0 ? "" : `, ${totals.skipped} skipped`;
  // The last line of the run is for machines. A gate that failed counts as one failure.
  console.log(`${totals.passed} passed, ${totals.failed} failed${skipped}`);
  return failed.length === 0;
}

async function passOn(folder, name) {
  const [command] = script(folder, name, process.argv.slice(3).join(" "));
  const { code } = await execute(command, { folder });
  process.exitCode = code;
  return code === 0;
}

const commands = {
  start: async () => (await build()) && passOn(examples, "start"),
  bench: async () => (await build()) && passOn(core, "bench"),
  test,
  build,
  typecheck: async () => (await build()) && (await gates(typechecks)).length === 0,
  lint: () => passOn(root, "gate:lint"),
  format: () => passOn(root, "fix:format"),
};

const command = commands[process.argv[2]];
if (!command) {
  console.error(`usage: node scripts/run.mjs ${Object.keys(commands).join("|")}`);
  process.exit(2);
}
const succeeded = (await install()) && (await command());
if (stopped && diedOf) {
  // Die as the child did, so that the shell knows.
  process.removeAllListeners(diedOf);
  process.kill(process.pid, diedOf);
} else if (!succeeded) {
  process.exitCode ||= 1;
}
