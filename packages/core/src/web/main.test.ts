import { afterAll, beforeAll, expect, it } from "vitest";
import { Child } from "../../test/support/child.js";
import { scriptFolder, type ScriptFolder } from "../../test/support/run-script.js";

let scripts: ScriptFolder;
beforeAll(async () => {
  scripts = await scriptFolder("process", "web");
});
afterAll(() => scripts.remove());

it(
  "rule 33: a signal to main() shuts a fetchBough down, which answers its requests before the cleanups of main run",
  { timeout: 60_000 },
  async () => {
    const child = new Child(process.execPath, [
      scripts.write(`
      await main(async function api(scope) {
        scope.defer(() => log("pool closed"));
        const handle = fetchBough((request, own) => new Promise((resolve) => {
          handle.scope.onShutdown(() => sleep(own, 50).then(() => resolve(new Response("answered"))));
        }));
        handle(new Request("http://localhost/")).then(async (response) => log(await response.text()));
        log("ready .");
        await sleep(scope, Infinity);
      });
    `),
    ]);
    try {
      await child.printed(" .");
      child.kill("SIGTERM");
      expect(await child.ending()).toMatchObject({ code: 143, stderr: "" });
      expect(child.output).toContain("answered\npool closed\n");
    } finally {
      child.kill("SIGKILL");
    }
  },
);
