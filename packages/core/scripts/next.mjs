// Runs the route handlers of docs/web.md in a real Next.js, with some more that clients leave, and prints what became of
// each: `npm run test:next`. Installs Next.js on the first run. Needs a build.

import { execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const core = fileURLToPath(new URL("..", import.meta.url));
const cache = join(core, "../../node_modules/.cache/bough/next");
const next = join(cache, "node_modules/.bin/next");

if (!existsSync(join(core, "dist/web/index.js"))) throw new Error("build first: npm run build");
if (!existsSync(next)) {
  console.log("installing Next.js …");
  mkdirSync(cache, { recursive: true });
  const packages = ["next@16", "react@19", "react-dom@19"];
  execFileSync("npm", ["install", "--no-audit", "--no-fund", "--silent", "--prefix", cache, ...packages]);
}

const app = mkdtempSync(join(cache, "app-"));
const write = (path, code) => {
  mkdirSync(dirname(join(app, path)), { recursive: true });
  writeFileSync(join(app, path), code);
};
const docs = readFileSync(join(core, "../../docs/web.md"), "utf8");
for (const [, path, code] of docs.matchAll(/```js\n\/\/ next: (\S+)\n(.*?)```/gs)) write(path, code);

const kinds = `globalThis.kinds ??= {};
const watch = (name, scope) => scope.onCancel(({ kind }) => { globalThis.kinds[name] = kind; });`;
const scenes = {
  hang: `watch("hang", scope); await sleep(scope, 60_000); return new Response("never");`,
  late: `watch("late", scope); requestScope(request, { timeout: 20 }); await sleep(scope, 60_000); return new Response("never");`,
  fail: `watch("fail", scope); throw new Error("planted");`,
  stream: `watch("stream", scope); let left = 3;
    return new Response(new ReadableStream({ async pull(c) { await sleep(scope, 5); if (left-- > 0) c.enqueue(new TextEncoder().encode("a")); else c.close(); } }));`,
  idle: `watch("idle", scope); let left = 1;
    return new Response(new ReadableStream({ async pull(c) { if (left-- > 0) c.enqueue(new TextEncoder().encode("a")); else await sleep(scope, 60_000); } }));`,
};
for (const [name, body] of Object.entries(scenes))
  write(
    `app/${name}/route.js`,
    `import { sleep } from "bough";
import { requestScope } from "bough/web";
import { route } from "../bough.js";
${kinds}
export const dynamic = "force-dynamic";
export const GET = route("GET /${name}", async (request, scope) => { ${body} });
`,
  );
write(
  "app/kinds/route.js",
  `export const dynamic = "force-dynamic";
export const GET = () => Response.json(globalThis.kinds ?? {});
`,
);
write("package.json", JSON.stringify({ private: true, type: "module" }));
write("next.config.js", `export default { outputFileTracingRoot: ${JSON.stringify(cache)} };\n`);
// A copy, as it would be installed: Next.js does not follow links out of its folder.
const installed = join(cache, "node_modules/bough");
rmSync(installed, { recursive: true, force: true });
cpSync(join(core, "dist"), join(installed, "dist"), { recursive: true });
cpSync(join(core, "package.json"), join(installed, "package.json"));

const port = await new Promise((resolve) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});

let failures = 0;
const rows = [];
const check = (what, got, wanted) => {
  const isRight = JSON.stringify(got) === JSON.stringify(wanted);
  if (!isRight) failures += 1;
  rows.push({ what, got: JSON.stringify(got), wanted: JSON.stringify(wanted), right: isRight });
};

/** Sends a request; with `leave`, goes away when that says so. */
function get(path, leave) {
  return new Promise((resolve) => {
    const request = http.get({ host: "127.0.0.1", port, path, agent: false }, (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text += chunk;
        if (leave === "in the body") request.destroy();
      });
      response.on("error", () => resolve([0]));
      response.on("end", () => resolve([response.statusCode, text]));
    });
    request.on("error", () => resolve([0]));
    if (leave === "before") setTimeout(() => request.destroy(), 500);
  });
}

const kindOf = async (name) => {
  for (let tries = 0; tries < 100; tries++) {
    const [, text] = await get("/kinds");
    const kind = JSON.parse(text ?? "{}")[name];
    if (kind !== undefined) return kind;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return null;
};

const env = { ...process.env, NEXT_TELEMETRY_DISABLED: "1", NO_COLOR: "1" };
let server;
let output = "";
try {
  execFileSync(next, ["build"], { cwd: app, stdio: "pipe", env });
  server = spawn(
    process.execPath,
    [join(cache, "node_modules/next/dist/bin/next"), "start", "-p", port, "-H", "127.0.0.1"],
    {
      cwd: app,
      env,
    },
  );
  for (const stream of [server.stdout, server.stderr]) stream.on("data", (chunk) => (output += chunk));
  while ((await get("/kinds"))[0] !== 200) await new Promise((resolve) => setTimeout(resolve, 100));
  check("a route of docs/web.md", await get("/users/7"), [200, '{"id":"7"}']);
  check("a body that streams", await get("/stream"), [200, "aaa"]);
  check("the time is up", (await get("/late"))[0], 503);
  check("… its scope", await kindOf("late"), "deadline");
  check("the handler fails", (await get("/fail"))[0], 500);
  await get("/hang", "before");
  check("the client leaves while the handler works", await kindOf("hang"), "disconnected");
  await get("/idle", "in the body");
  check("the client leaves while the response streams nothing", await kindOf("idle"), "disconnected");
  const errors = output.split("\n").filter((line) => /error/i.test(line) && !line.includes("planted"));
  check("nothing else is printed as an error", errors, []);
} catch (error) {
  failures += 1;
  console.error(String(error.stdout ?? ""), String(error.stderr ?? error));
} finally {
  server?.kill("SIGKILL");
  rmSync(app, { recursive: true, force: true });
}
console.table(rows);
if (failures > 0) console.error(output);
process.exitCode = failures === 0 ? 0 : 1;
