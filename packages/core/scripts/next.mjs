// Runs the route handlers of docs/web.md in a real Next.js, with some more that clients leave, and prints what became of
// each: `npm run test:next`. Installs Next.js on the first run. Needs a build.

import { execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import { App, Checks, Client, freePort, prepare } from "./real-framework.mjs";

const cache = prepare("next", ["next@16", "react@19", "react-dom@19"]);
const next = join(cache, "node_modules/next/dist/bin/next");
const app = new App(cache, "next");

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
  app.write(
    `app/${name}/route.js`,
    `import { sleep } from "bough";
import { requestScope } from "bough/web";
import { route } from "../bough.js";
${kinds}
export const dynamic = "force-dynamic";
export const GET = route("GET /${name}", async (request, scope) => { ${body} });
`,
  );
app.write(
  "app/kinds/route.js",
  `export const dynamic = "force-dynamic";
export const GET = () => Response.json(globalThis.kinds ?? {});
`,
);
app.write("package.json", JSON.stringify({ private: true, type: "module" }));
app.write("next.config.js", `export default { outputFileTracingRoot: ${JSON.stringify(cache)} };\n`);

const port = await freePort();
const client = new Client(port);
const checks = new Checks();
const env = { ...process.env, NEXT_TELEMETRY_DISABLED: "1", NO_COLOR: "1" };
let server;
let output = "";
try {
  execFileSync(process.execPath, [next, "build"], { cwd: app.folder, stdio: "pipe", env });
  const args = [next, "start", "-p", port, "-H", "127.0.0.1"];
  server = spawn(process.execPath, args, { cwd: app.folder, env });
  for (const stream of [server.stdout, server.stderr]) stream.on("data", (chunk) => (output += chunk));
  await client.ready("/kinds", () => server.exitCode !== null);
  checks.check("a route of docs/web.md", await client.get("/users/7"), [200, '{"id":"7"}']);
  checks.check("a body that streams", await client.get("/stream"), [200, "aaa"]);
  checks.check("the time is up", (await client.get("/late"))[0], 503);
  checks.check("… its scope", await client.kindOf("late"), "deadline");
  checks.check("the handler fails", (await client.get("/fail"))[0], 500);
  await client.get("/hang", "before");
  checks.check("the client leaves while the handler works", await client.kindOf("hang"), "disconnected");
  await client.get("/idle", "in the body");
  const idle = await client.kindOf("idle");
  checks.check("the client leaves while the response streams nothing", idle, "disconnected");
  const errors = output.split("\n").filter((line) => /error/i.test(line) && !line.includes("planted"));
  checks.check("nothing else is printed as an error", errors, []);
} catch (error) {
  checks.failures += 1;
  console.error(String(error.stdout ?? ""), String(error.stderr ?? error));
} finally {
  server?.kill("SIGKILL");
  app.remove();
}
checks.print();
if (checks.failures > 0) console.error(output);
