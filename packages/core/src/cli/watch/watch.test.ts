import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { Child } from "../../../test/support/child.js";
import { closed, inspectCommand, type InspectCommand } from "../../../test/support/inspect-command.js";
import { noTerminal, PseudoTerminal } from "../../../test/support/pseudo-terminal.js";

let command: InspectCommand;
beforeAll(async () => {
  command = await inspectCommand();
});
afterAll(() => command.remove());

const shop = `
  const server = globalThis.server = createScope({ name: "shop", onError() {} });
  for (let index = 1; index <= 300; index++) spawn(server, (task) => sleep(task, 600_000), { name: "order " + index });
  spawn(server, () => new Promise(() => {}), { name: "\\u001b[2J漢字" });
  const admin = globalThis.admin = createScope({ name: "admin", grace: 1, onError() {} });
  spawn(admin, () => new Promise(() => {}), { name: "export" });
  admin.cancel("enough");
  setInterval(() => {}, 1_000);
  setTimeout(() => console.log("ready"), 10);
`;

const node = process.execPath;
const size = { columns: 100, rows: 24 };

/** Starts a program, and the command that watches it on a terminal. */
async function watch(program = shop, environment: Record<string, string> = {}) {
  const { child, pid } = await command.start(node, program);
  const terminal = new PseudoTerminal(
    [node, command.path, "inspect", pid, "--watch", "--interval=0.1"],
    size,
    environment,
  );
  return { child, pid, terminal };
}

const suite = noTerminal === undefined ? describe : describe.skip;

suite(`bough inspect --watch on a terminal${noTerminal === undefined ? "" : ` (${noTerminal})`}`, () => {
  it("shows the process, the warnings and the tree, and restores the terminal when it quits", async () => {
    const { child, pid, terminal } = await watch();
    const screen = await terminal.shows(/! task "export" was cancelled .* ago and still runs/);
    expect(screen).toContain(`bough inspect ${pid}  node ${process.version} script-`);
    expect(screen).toMatch(/^304 scopes .* 302 tasks: 301 running, 1 cancelling/m);
    expect(screen).toMatch(/^ +300 +\S+ m?s {5}order # {2}task +sleep$/m);
    expect(screen).toMatch(/\\u001b\[2J漢字 {2}task/);
    expect(terminal.isOtherScreen).toBe(true);
    expect(terminal.isCursorShown).toBe(false);
    expect(terminal.isCooked).toBe(false);
    terminal.send("q");
    expect(await terminal.ending()).toBe(0);
    expect(terminal.isOtherScreen).toBe(false);
    expect(terminal.isCursorShown).toBe(true);
    expect(terminal.screen.trim()).toBe("");
    await closed(child);
  });

  it("follows keys: details, filter, every scope, warnings, help", async () => {
    const { terminal } = await watch();
    await terminal.shows("order #");
    terminal.send("/export\r");
    await terminal.shows(/^(?![^]*(order #|filter:))[^]*export/);
    terminal.send("Gd");
    await terminal.shows(/It was cancelled .* ago \(explicit\)\.[^]*cause +"enough"/);
    terminal.send("\x1b[D\x1b");
    await terminal.shows("SIMILAR SCOPES");
    terminal.send("\x1b");
    await terminal.shows("order #");
    terminal.send("t");
    await terminal.shows("order 7");
    terminal.send("\x1b[6~\x1b[B");
    await terminal.shows("order 15");
    terminal.send("w");
    await terminal.shows(/cancelled: explicit, at "admin"/);
    terminal.send("\r");
    await terminal.shows("Why is it alive?");
    terminal.send("?");
    await terminal.shows("Ctrl-C");
  });

  it("draws the picture again when the size of the terminal changes", async () => {
    const { terminal } = await watch();
    await terminal.shows("order #");
    terminal.resize(60, 10);
    const screen = await terminal.shows(/^bough inspect[^\n]*\n304 scopes[^]*h help/);
    expect(screen.split("\n")).toHaveLength(10);
    terminal.resize(120, 40);
    await terminal.shows(/^ +300 .{60,}sleep$/m);
  });

  it("uses no colour with NO_COLOR", async () => {
    const { terminal } = await watch(shop, { NO_COLOR: "1" });
    await terminal.shows(/! task "export"/);
    // eslint-disable-next-line no-control-regex -- what must not be there
    expect(terminal.output).not.toMatch(/\u001b\[(1|2|3\d)m/);
  });

  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "restores the terminal after %s, and closes the inspector of the process",
    async (signal) => {
      const { child, terminal } = await watch();
      await terminal.shows("order #");
      process.kill(terminal.pid, signal);
      expect(await terminal.ending()).not.toBe(0);
      expect(terminal.isOtherScreen).toBe(false);
      expect(terminal.isCursorShown).toBe(true);
      await closed(child);
    },
  );

  it("quits with Ctrl-C, and leaves the terminal as it was", async () => {
    const { child, terminal } = await watch();
    await terminal.shows("order #");
    terminal.send("\x03");
    expect(await terminal.ending()).toBe(0);
    expect(terminal.isOtherScreen).toBe(false);
    await closed(child);
  });

  it("prints the last state when the process ends", async () => {
    const { child, pid, terminal } = await watch();
    await terminal.shows(/! task "export"/);
    child.kill("SIGKILL");
    expect(await terminal.ending()).toBe(0);
    expect(terminal.isOtherScreen).toBe(false);
    expect(terminal.screen).toMatch(/300 .*order #/);
    expect(terminal.screen).toContain(`Process ${pid} has ended.`);
  });

  it("names the function of a busy loop, while the process runs it", async () => {
    const { terminal } = await watch(`${shop} setTimeout(function spin() { for (;;) Math.sqrt(2); }, 50);`);
    await terminal.shows(/the event loop is blocked in spin \(.*script-\d+\.mjs:\d+\)/);
    await terminal.shows("order #");
    terminal.send("q");
    expect(await terminal.ending()).toBe(0);
  });

  it("says why it can't before it takes the terminal over", async () => {
    const terminal = new PseudoTerminal([node, command.path, "inspect", "4194304", "--watch"], size);
    expect(await terminal.ending()).toBe(1);
    expect(terminal.screen).toContain("There is no process 4194304.");
    expect(terminal.output).not.toContain("\x1b[?1049h");
  });
});

describe("bough inspect --watch without a terminal", () => {
  it("prints the tree again and again, until the process ends", async () => {
    const { child, pid } = await command.start(node, shop);
    const printing = new Child(node, [command.path, "inspect", pid, "--watch", "--interval=0.1"]);
    onTestFinished(() => printing.kill("SIGKILL"));
    while (printing.output.split(`process ${pid}: `).length < 3) await once(printing.stdout, "data");
    child.kill("SIGKILL");
    const { code, stdout } = await printing.ending();
    expect(code).toBe(0);
    expect(stdout).toContain(`Process ${pid} has ended.`);
    expect(stdout).not.toContain("\x1b");
  });

  it.each(["0", "-1", "fast", "1e9", ""])("refuses --interval=%s", async (text) => {
    const { code, stderr } = await command.run(node, "inspect", "1", "--watch", `--interval=${text}`);
    expect(code).toBe(2);
    expect(stderr).toContain(
      `--interval must be a number of seconds from 0.1 to 3600, not ${JSON.stringify(text)}`,
    );
  });
});
