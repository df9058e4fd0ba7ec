import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, it } from "vitest";
import { RawConnection } from "./support/http-clients.js";
import { anywhere, runtimeBinary } from "./support/runtimes.js";
import { freePort, launch, startWorkerd } from "./support/web-hosts.js";

// The programs of docs/web.md for each host, as they stand there: each answers, and ends when it is told to. The first line
// of a block names its host.

const core = fileURLToPath(new URL("..", import.meta.url));
const text = readFileSync(new URL("../../../docs/web.md", import.meta.url), "utf8");

interface Program {
  readonly host: string;
  readonly code: string;
  readonly line: number;
}

const programs: Program[] = [...text.matchAll(/```js\n\/\/ (\S+)\n(.*?)```/gs)].map((match) => ({
  host: match[1] ?? "",
  code: match[2] ?? "",
  line: text.slice(0, match.index).split("\n").length,
}));

const commands: Readonly<Record<string, readonly (string | undefined)[]>> = {
  bun: [runtimeBinary("bun")],
  deno: [runtimeBinary("deno"), "run", "-A"],
  "node-server": [process.execPath],
  srvx: [process.execPath],
  workerd: [runtimeBinary("workerd")],
};

let folder = "";
beforeAll(() => void (folder = mkdtempSync(join(core, "node_modules/.web-docs-"))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function bundle({ code, line }: Program): Promise<string> {
  const source = join(folder, `${line}.js`);
  writeFileSync(source, code);
  const outfile = join(folder, `${line}.mjs`);
  await build({
    ...anywhere,
    entryPoints: [source],
    outfile,
    conditions: ["node"],
    alias: { "bough/web": join(core, "src/web/index.ts"), bough: join(core, "src/index.ts") },
  });
  return outfile;
}

/** The answer to a GET, as soon as the server listens. */
async function ask(port: number, isOver: () => boolean, path: string): Promise<string | undefined> {
  while (!isOver()) {
    const connection = new RawConnection(port);
    const answer = await connection.request({ path }).answer;
    connection.socket.destroy();
    if (answer !== undefined) return `${answer.status} ${answer.body}`;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return undefined;
}

interface Played {
  readonly answer: string | undefined;
  /** The exit code and the signal. */
  readonly ending: unknown[];
  /** Without what hosts say of themselves. */
  readonly printed: readonly string[];
}

/** Starts a server, asks it once, and tells it to end. */
async function play(command: string, args: readonly string[], path = "/"): Promise<Played> {
  const port = await freePort();
  const { child, output, closed } = launch(command, args, { PORT: String(port) });
  const answer = await ask(port, () => child.exitCode !== null, path);
  child.kill("SIGTERM");
  const ending = await closed;
  const printed = output()
    .split("\n")
    .filter((line) => line !== "" && !/Listening on|legacy behavior/.test(line));
  return { answer, ending, printed };
}

/** A worker is not told to end. */
async function playWorker(script: string): Promise<Played> {
  const worker = await startWorkerd(script, "hono");
  const answer = await ask(worker.port, () => false, "/");
  await worker.stop();
  return { answer, ending: [0, null], printed: [] };
}

it("docs/web.md has a program for every host", () => {
  const hosts = new Set(programs.map(({ host }) => host));
  expect([...hosts]).toEqual(expect.arrayContaining(Object.keys(commands)));
});

for (const program of programs.filter(({ host }) => host in commands)) {
  const [command, ...args] = commands[program.host] ?? [];
  const hint = command === undefined ? " (set BOUGH_ALL_NODES=1 to install it)" : "";
  it.skipIf(command === undefined)(
    `the program at docs/web.md:${program.line} answers, and ends when it is told to: ${program.host}${hint}`,
    async () => {
      const script = await bundle(program);
      const outcome = await (program.host === "workerd"
        ? playWorker(script)
        : play(command as string, [...(args as string[]), script]));
      expect(outcome).toEqual({ answer: "200 hello", ending: [0, null], printed: [] });
    },
  );
}

// A handler may throw an error that has a status. Hono and h3 respond with that status, and print nothing.
const ownErrors: Readonly<Record<string, string>> = {
  "new Hono(": 'throw new HTTPException(404, { message: "no such price" })',
  "new H3(": 'throw new HTTPError({ status: 404, message: "no such price", cause: new Error("no row") })',
};

for (const { host, code, line } of programs.filter(({ code: at }) => at.includes("onError")))
  it(`the onError at docs/web.md:${line} leaves errors of the framework's own to it: ${host}`, async () => {
    const thrown = Object.entries(ownErrors).find(([made]) => code.includes(made))?.[1];
    const route = `\napp.get("/api/missing", () => { ${thrown}; });\napp.get(`;
    const withRoute = code.replace("\napp.get(", route).replace("{ H3 }", "{ H3, HTTPError }");
    const script = await bundle({ host, code: withRoute, line: line + 10_000 });
    const { answer, printed } = await play(process.execPath, [script], "/api/missing");
    expect(answer).toMatch(/^404 .*no such price/s);
    expect(printed).toEqual([]);
  });
