import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { Child } from "../../test/support/child.js";
import {
  anyPort,
  closed,
  inspectCommand,
  portOf,
  type InspectCommand,
  type Result,
} from "../../test/support/inspect-command.js";
import { nodes } from "../../test/support/nodes.js";

let command: InspectCommand;
beforeAll(async () => {
  command = await inspectCommand();
});
afterAll(() => command.remove());

const bough = (node: string, ...parameters: string[]): Promise<Result> => command.run(node, ...parameters);

const start = (node: string, program: string, ...flags: string[]): ReturnType<InspectCommand["start"]> =>
  command.start(node, program, ...flags);

const shop = `
  const server = globalThis.server = createScope({ name: "shop" });
  for (let index = 1; index <= 8; index++) spawn(server, (task) => sleep(task, 600_000), { name: "job " + index });
  spawn(server, () => new Promise(() => {}), { name: "stuck" });
  setInterval(() => {}, 1_000);
`;

for (const { label, path = "", major } of nodes()) {
  describe.skipIf(path === "")(`bough inspect, on ${label}`, () => {
    it("prints the tree of an unprepared process, and closes its inspector again", async () => {
      const { child, pid } = await start(path, `${shop} console.log("ready");`);
      const { code, stdout, stderr } = await bough(path, "inspect", pid);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toContain(`process ${pid}: 10 scopes, 9 of them tasks`);
      expect(stdout).toMatch(/└─ shop {2}handle/);
      expect(stdout).toMatch(/├─ 8 × job #, the oldest: {2}task · [^\n]* · sleep, 9\.\d+ min left/);
      expect(stdout).toMatch(/└─ stuck {2}task/);
      await closed(child);
    });

    it("names the function and the line of a busy loop", async () => {
      const { pid } = await start(
        path,
        `${shop} setTimeout(function spin() { console.log("ready"); for (;;) Math.sqrt(2); }, 1);`,
      );
      const { code, stdout } = await bough(path, "inspect", pid);
      expect(code).toBe(0);
      expect(stdout).toMatch(/the event loop is blocked in spin \(\S+script-\d+\.mjs:\d+\)/);
      expect(stdout).toContain("stuck  task");
    });

    it("warns of stuck tasks, by name", async () => {
      const { pid } = await start(
        path,
        `globalThis.server = createScope({ name: "shop", grace: 1, onError() {} });
        spawn(server, () => new Promise(() => {}), { name: "export" });
        server.cancel("enough");
        setInterval(() => {}, 1_000);
        setTimeout(() => console.log("ready"), 10);`,
      );
      const { stdout } = await bough(path, "inspect", pid);
      expect(stdout).toMatch(/warning: task "export" was cancelled .* ago and still runs/);
    });

    it("serves the tree as a page with --open, until the process ends", async () => {
      const { child, pid } = await start(path, `${shop} console.log("ready");`);
      const page = new Child(path, [command.path, "inspect", pid, "--open"]);
      onTestFinished(() => page.kill("SIGKILL"));
      await page.printed("token=");
      const address = new URL(page.output.trim());
      expect((await fetch(new URL("/tree", address))).status).toBe(401);
      const headers = { authorization: `Bearer ${address.searchParams.get("token")}` };
      for (const [find, total] of [
        ["job", 8],
        ["stuck", 1],
      ]) {
        const answer = await fetch(new URL(`/tree?find=${find}`, address), { headers });
        expect(await answer.json()).toMatchObject({ total });
      }
      child.kill("SIGKILL");
      expect(await page.ending()).toMatchObject({ code: 0, stdout: expect.stringMatching(/has ended/) });
    });

    it("finds bough in a bundled and minified program", async () => {
      const program = command.scripts.write(`${shop} console.log("ready");`);
      const outfile = join(command.folder, `bundled-${major}.mjs`);
      await build({
        entryPoints: [program],
        outfile,
        bundle: true,
        minify: true,
        format: "esm",
        platform: "node",
      });
      const child = new Child(path, [anyPort, outfile]);
      onTestFinished(() => child.kill("SIGKILL"));
      await child.printed("ready");
      expect((await bough(path, "inspect", String(child.pid))).stdout).toContain("8 × job #");
    });

    it("prints the trees of two copies of the package, with different ids", async () => {
      const { pid } = await start(
        path,
        `${shop}
        const other = await import(${JSON.stringify(`${command.scripts.bundle}?second`)});
        globalThis.other = other.createScope({ name: "of the second copy" });
        console.log("ready");`,
      );
      const { stdout } = await bough(path, "inspect", pid, "--json");
      const found = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as { id: number; name: string; parent?: number });
      expect(found.map(({ name }) => name)).toEqual(
        expect.arrayContaining(["shop", "of the second copy", "background (copy 2 of the package)"]),
      );
      expect(new Set(found.map(({ id }) => id)).size).toBe(found.length);
    });

    it("prints every scope with --all", async () => {
      const { pid } = await start(path, `${shop} console.log("ready");`);
      expect((await bough(path, "inspect", pid, "--all")).stdout).toContain("job 7");
    });
  });
}

describe("bough inspect prints why it can't inspect a process, and does not affect the process", () => {
  const { execPath } = process;

  it("if there is no such process", async () => {
    expect(await bough(execPath, "inspect", "4194304")).toEqual({
      code: 1,
      stdout: "",
      stderr: "There is no process 4194304.\n",
    });
  });

  it.each([
    [["inspect"], "takes one process id"],
    [["inspect", "1", "2"], "takes one process id"],
    [["inspect", "shop"], 'must be a whole number above 0, not "shop"'],
    [["inspect", "1", "--al"], "--al"],
    [["inspct"], 'no command "inspct"'],
  ])("if the command line is wrong: %j", async (parameters, words) => {
    const { code, stderr } = await bough(execPath, ...parameters);
    expect(code).toBe(2);
    expect(stderr).toContain(words);
    expect(stderr).toContain("bough inspect <pid>");
  });

  it("if the process has not loaded bough", async () => {
    const child = new Child(execPath, [anyPort, "-e", "setInterval(() => {}, 1000); console.log('ready')"]);
    onTestFinished(() => child.kill("SIGKILL"));
    await child.printed("ready");
    const { code, stderr } = await bough(execPath, "inspect", String(child.pid));
    expect(code).toBe(1);
    expect(stderr).toContain("has not loaded bough");
  });

  const newest = nodes().findLast(({ path }) => path !== undefined);
  it.skipIf((newest?.major ?? 0) < 24)("if the process was started with --disable-sigusr1", async () => {
    const { child, pid } = await start(
      newest?.path ?? "",
      `${shop} console.log("ready");`,
      "--disable-sigusr1",
    );
    const { code, stderr } = await bough(execPath, "inspect", pid);
    expect(code).toBe(1);
    expect(stderr).toContain("does not handle SIGUSR1");
    expect(stderr).toContain("bough/inspector");
    process.kill(child.pid, 0); // it lives: the signal would have ended it
  });

  it.skipIf(process.platform !== "linux")("if the process is not Node", async () => {
    const child = new Child("/bin/sleep", ["60"]);
    onTestFinished(() => child.kill("SIGKILL"));
    const { code, stderr } = await bough(execPath, "inspect", String(child.pid));
    expect(code).toBe(1);
    expect(stderr).toContain("is not a Node process (/bin/sleep 60)");
    process.kill(child.pid, 0);
  });

  it("leaves an inspector open that was open before", async () => {
    const { child, pid } = await start(execPath, `${shop} console.log("ready");`, "--inspect=0");
    expect((await bough(execPath, "inspect", pid)).stdout).toContain("8 × job #");
    expect((await bough(execPath, "inspect", pid)).stdout).toContain("8 × job #");
    await fetch(`http://127.0.0.1:${await portOf(child)}/json/list`).then((response) => response.json());
  });
});
