import { once } from "node:events";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { Child } from "../../test/support/child.js";
import {
  anyPort,
  closed,
  inspectCommand,
  portOf,
  type InspectCommand,
} from "../../test/support/inspect-command.js";

let command: InspectCommand;
beforeAll(async () => {
  command = await inspectCommand();
});
afterAll(() => command.remove());

const node = process.execPath;

/** Says when something of ours is in the process, and when it is no longer. */
const shop = `
  globalThis.server = createScope({ name: "shop" });
  const isThere = () => Object.getOwnPropertySymbols(globalThis).some((symbol) => String(symbol).includes("bough.attached"));
  let was = false;
  setInterval(() => {
    if (isThere() === was) return;
    was = !was;
    log(was ? "attached" : "left");
  }, 10);
  log("ready");
`;

/** Holds the process up in native code, where no debugger gets a word in, until there is a file. */
const hold = (file: string): string => `
  globalThis.server = createScope({ name: "shop" });
  setInterval(() => {}, 1_000);
  setTimeout(() => {
    log("held");
    const wait = "until [ -e ${file} ]; do sleep 0.05; done";
    process.getBuiltinModule("node:child_process").execFileSync("sh", ["-c", wait]);
  });
  log("ready");
`;

/** Starts the command, until the end of the test. */
function inspect(pid: string, ...parameters: string[]): Child {
  // With the flag, Node 20 needs no second process.
  const flags = typeof WebSocket === "undefined" ? ["--experimental-websocket", "--no-warnings"] : [];
  const child = new Child(node, [...flags, command.path, "inspect", pid, ...parameters]);
  onTestFinished(() => child.kill("SIGKILL"));
  return child;
}

/** Waits until a command has printed a number of looks. */
async function looks(child: Child, count: number): Promise<void> {
  while (child.output.split("\nbackground").length <= count) await once(child.stdout, "data");
}

const isOpen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
    socket.on("connect", () => socket.destroy());
  });

describe("bough inspect", () => {
  it("leaves the process unchanged after one look", async () => {
    const { child, pid } = await command.start(node, shop);
    expect(await inspect(pid).ending()).toMatchObject({ code: 0 });
    await child.printed("left");
    await closed(child);
  });

  it.each(["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"] as const)(
    "leaves the process unchanged when it is ended by %s",
    async (signal) => {
      const { child, pid } = await command.start(node, shop);
      const watching = inspect(pid, "--watch", "--interval=0.1");
      await looks(watching, 1);
      watching.kill(signal);
      await watching.ending();
      await child.printed("left");
      await closed(child);
    },
  );

  it("leaves the process unchanged when the parent that has restarted the command for Node 20 is killed", async () => {
    const { child, pid } = await command.start(node, shop);
    const outer = new Child(node, [command.path, "inspect", pid, "--watch", "--interval=0.1"]);
    onTestFinished(() => outer.kill("SIGKILL"));
    await looks(outer, 1);
    outer.kill("SIGKILL");
    await child.printed("left");
    await closed(child);
  });

  it("leaves the process unchanged when the reader of its output has closed the pipe", async () => {
    const { child, pid } = await command.start(node, shop);
    const watching = inspect(pid, "--watch", "--interval=0.1");
    await looks(watching, 1);
    watching.stdout.destroy();
    await watching.ending();
    await child.printed("left");
    await closed(child);
  });

  it("leaves a process unchanged that has not loaded bough", async () => {
    const child = new Child(node, [anyPort, "-e", "setInterval(() => {}, 1000); console.log('ready')"]);
    onTestFinished(() => child.kill("SIGKILL"));
    await child.printed("ready");
    expect((await inspect(String(child.pid)).ending()).stderr).toContain("has not loaded bough");
    await closed(child);
  });

  it("leaves a process with a busy loop unchanged as soon as the loop is over", async () => {
    const file = join(command.folder, "enough");
    const { child, pid } = await command.start(
      node,
      `${shop}
      const { existsSync } = process.getBuiltinModule("node:fs");
      setTimeout(() => { log("busy"); while (!existsSync("${file}")) for (let n = 0; n < 1e6; n++) Math.sqrt(n); }, 1);`,
    );
    await child.printed("busy");
    expect((await inspect(pid).ending()).stdout).toContain("the event loop is blocked");
    expect(await isOpen(await portOf(child))).toBe(true);
    writeFileSync(file, "");
    await closed(child);
  });

  it("closes the inspector of a process that opens it after the command has given up", async () => {
    const file = join(command.folder, "go-on");
    const { child, pid } = await command.start(node, hold(file));
    await child.printed("held");
    const { code, stderr } = await inspect(pid).ending();
    expect(code).toBe(1);
    expect(stderr).toContain("has not started its inspector");
    expect(child.errors).toBe("");
    writeFileSync(file, "");
    await child.reported("listening on");
    await closed(child);
    process.kill(child.pid, 0);
  });
});

describe("two commands at once", () => {
  it("the command that ends first does not close the inspector of the other", async () => {
    const { child, pid } = await command.start(node, shop);
    const first = inspect(pid, "--watch", "--interval=0.1");
    await looks(first, 1);
    const second = inspect(pid, "--watch", "--interval=0.1");
    await looks(second, 1);
    first.kill("SIGTERM");
    await first.ending();
    await looks(second, second.output.split("\nbackground").length + 2);
    second.kill("SIGTERM");
    expect((await second.ending()).stderr).not.toContain("inspector");
    await child.printed("left");
    await closed(child);
  });

  it("a single inspection does not disturb a command that watches", async () => {
    const { child, pid } = await command.start(node, shop);
    const watching = inspect(pid, "--watch", "--interval=0.1");
    await looks(watching, 1);
    expect(await inspect(pid).ending()).toMatchObject({ code: 0, stderr: "" });
    await looks(watching, watching.output.split("\nbackground").length + 2);
    expect(await isOpen(await portOf(child))).toBe(true);
  });
});

/** Whether this system lets its users make namespaces, as containers have them. */
function canUnshare(): boolean {
  try {
    execFileSync(
      "unshare",
      ["--user", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc", "true"],
      {
        stdio: "ignore",
      },
    );
    return true;
  } catch {
    return false;
  }
}

describe("bough inspect sends no signal", () => {
  it.skipIf(process.platform !== "linux")("to a process that is stopped (Linux)", async () => {
    const { child, pid } = await command.start(node, shop);
    child.kill("SIGSTOP");
    const { code, stderr } = await inspect(pid).ending();
    expect(code).toBe(1);
    expect(stderr).toBe(
      `Process ${pid} is stopped (SIGSTOP, Ctrl-Z, or a debugger). Continue it first: kill -CONT ${pid}.\n`,
    );
    child.kill("SIGCONT");
    expect(await inspect(pid).ending()).toMatchObject({ code: 0 });
    await closed(child);
  });

  it.skipIf(!canUnshare())(
    "to a process in a container (needs `unshare`), whose ports it can't reach",
    async () => {
      const program = command.scripts.write(shop);
      const options = ["--user", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc"];
      const container = new Child("unshare", [...options, node, anyPort, program]);
      onTestFinished(() => container.kill("SIGKILL"));
      await container.printed("ready");
      const { pid } = container;
      const inner = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
      onTestFinished(() => void process.kill(Number(inner), "SIGKILL"));
      const { code, stderr } = await inspect(inner).ending();
      expect(code).toBe(1);
      expect(stderr).toContain(`Process ${inner} runs in a container`);
      expect(stderr).toContain("npx bough inspect 1.");
      expect(container.errors).toBe("");
    },
  );
});
