// Runs the Nitro application of docs/web.md in a real Nitro, as its production server and as its development server, with some
// more routes, and prints what became of each: `npm run test:nitro`. Installs Nitro on the first run. Needs a build.

import { execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import { App, Checks, Client, freePort, prepare } from "./real-framework.mjs";

const cache = prepare("nitro", ["nitro@3.0.0"]);
const nitro = join(cache, "node_modules/nitro/dist/cli/index.mjs");
const app = new App(cache, "nitro");

const watch = `
const watch = (event, name) => {
  const scope = requestScope(event.req);
  globalThis.kinds ??= {};
  scope.onCancel(({ kind }) => { globalThis.kinds[name] = kind; console.log("cancelled", kind); });
  return scope;
};`;
const scenes = {
  hang: `await sleep(watch(event, "hang"), 60_000); return "never";`,
  late: `watch(event, "late"); requestScope(event.req, { timeout: 20 }); await sleep(requestScope(event.req), 60_000);`,
  fail: `throw new Error("planted");`,
  stream: `const scope = watch(event, "stream"); let left = 3;
    return new Response(new ReadableStream({ async pull(c) { await sleep(scope, 5); if (left-- > 0) c.enqueue(new TextEncoder().encode("a")); else c.close(); } }));`,
  idle: `const scope = watch(event, "idle"); let left = 1;
    return new Response(new ReadableStream({ async pull(c) { if (left-- > 0) c.enqueue(new TextEncoder().encode("a")); else await sleep(scope, 60_000); } }));`,
};
for (const [name, body] of Object.entries(scenes))
  app.write(
    `routes/${name}.js`,
    `import { sleep } from "bough";
import { requestScope } from "bough/web";
${watch}
export default async (event) => { ${body} };
`,
  );
app.write("routes/kinds.js", `export default () => globalThis.kinds ?? {};\n`);
app.write("package.json", JSON.stringify({ private: true, type: "module" }));
app.write(
  "nitro.config.js",
  `export default { preset: "node-server", serverDir: "./", compatibilityDate: "2026-01-01" };\n`,
);

const checks = new Checks();
const env = { ...process.env, NO_COLOR: "1", NITRO_HOST: "127.0.0.1", HOST: "127.0.0.1" };
let output = "";

/** Asks one server of the application, and tells it to end. */
async function play(name, args, port, seesLeaving) {
  const server = spawn(process.execPath, args, { cwd: app.folder, env: { ...env, PORT: port } });
  for (const stream of [server.stdout, server.stderr]) stream.on("data", (chunk) => (output += chunk));
  const closed = new Promise((resolve) => server.once("exit", (code) => resolve(code)));
  const check = (what, got, wanted) => checks.check(`${name}: ${what}`, got, wanted);
  const client = new Client(port);
  try {
    await client.ready("/kinds", () => server.exitCode !== null);
    check("the route of docs/web.md", await client.get("/"), [200, "hello"]);
    check("a body that streams", await client.get("/stream"), [200, "aaa"]);
    check("the time is up", (await client.get("/late"))[0], 503);
    check("… its scope", await client.kindOf("late"), "deadline");
    check("the handler fails", (await client.get("/fail"))[0], 500);
    await client.get("/hang", "before");
    const hang = await client.kindOf("hang", 20);
    check("the client leaves while the handler works", hang, seesLeaving ? "disconnected" : null);
    await client.get("/idle", "in the body");
    const idle = await client.kindOf("idle", 20);
    check("the client leaves while the response streams nothing", idle, "disconnected");
    if (!seesLeaving) return;
    const hanging = client.get("/hang");
    await new Promise((resolve) => setTimeout(resolve, 300));
    server.kill("SIGTERM");
    check("a shutdown answers", (await hanging)[0], 503);
    check("… as it cancels", output.includes("cancelled shutdown"), true);
    check("… and the server ends", await closed, 0);
  } finally {
    server.kill("SIGKILL");
  }
}

try {
  execFileSync(process.execPath, [nitro, "build"], { cwd: app.folder, stdio: "pipe", env });
  await play("production", [".output/server/index.mjs"], await freePort(), true);
  const port = await freePort();
  await play("development", [nitro, "dev", "--host", "127.0.0.1", "--port", port], port, false);
} catch (error) {
  checks.failures += 1;
  console.error(String(error.stdout ?? ""), String(error.stderr ?? error));
} finally {
  app.remove();
}
checks.print();
if (checks.failures > 0) console.error(output);
