import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { Child } from "../../test/support/child.js";
import { traceFaults } from "../../test/support/chrome-trace.js";
import { closed, inspectCommand, type InspectCommand } from "../../test/support/inspect-command.js";
import { nodes } from "../../test/support/nodes.js";
import { parsePrometheus } from "../../test/support/prometheus.js";
import { decodeRecording, recordedScopes, type ChromeTrace } from "../recorder/index.js";

const { execPath } = process;
let command: InspectCommand;
let folder: string;
beforeAll(async () => {
  command = await inspectCommand();
  folder = mkdtempSync(join(tmpdir(), "bough-record-"));
});
afterAll(() => {
  command.remove();
  rmSync(folder, { recursive: true });
});

const fileOf = (name: string): string => join(folder, name);

/** Takes orders all the time; at SIGHUP it takes one and says when it is done; at SIGUSR2 it says whether anybody listens to a channel. */
const shop = `
  const { channel } = process.getBuiltinModule("node:diagnostics_channel");
  const shop = globalThis.shop = createScope({ name: "shop", supervise: true, onError() {} });
  spawn(shop, (own) => sleep(own, 600_000), { name: "old" });
  const order = () => withScope(shop, { name: "order" }, async (own) => {
    spawn(own, async function stock() { await null; });
    spawn(own, (task) => sleep(task, 1), { name: "pay" });
  });
  setInterval(order, 2);
  process.on("SIGHUP", () => order().then(() => console.log("ordered")));
  process.on("SIGUSR2", () => {
    const names = ["task:start", "task:settle", "scope:open", "scope:close", "scope:cancel", "stuck", "orphan"];
    console.log("subscribers:", names.filter((name) => channel("bough:" + name).hasSubscribers).length);
  });
  console.log("ready");
`;

async function expectNoSubscribers(child: Child): Promise<void> {
  child.kill("SIGUSR2");
  await child.printed("subscribers: 0");
}

/** Starts `bough inspect --record` for an hour, and waits until it records. */
async function startRecording(nodePath: string, pid: string, file: string): Promise<Child> {
  const recording = new Child(nodePath, [command.path, "inspect", pid, "--record", file, "--seconds=3600"]);
  onTestFinished(() => recording.kill("SIGKILL"));
  await recording.printed("Recording process");
  return recording;
}

for (const { label, path = "", major } of nodes()) {
  describe.skipIf(path === "")(`bough inspect --record, on ${label}`, () => {
    it("records an unprepared process for Perfetto, and leaves it unchanged", async () => {
      const { child, pid } = await command.start(path, shop);
      const file = fileOf(`trace-${major}.json`);
      const recording = await startRecording(path, pid, file);
      child.kill("SIGHUP");
      await child.printed("ordered");
      recording.kill("SIGINT");
      const { code, stdout, stderr } = await recording.ending();
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toContain(`Recording process ${pid} for 3600 s\n`);
      expect(stdout).toMatch(/trace-\d+\.json: [\d,]+ events\n$/);
      const trace = JSON.parse(readFileSync(file, "utf8")) as ChromeTrace;
      expect(traceFaults(trace)).toEqual([]);
      const names = new Set(trace.traceEvents.map(({ name }) => name));
      for (const name of ["shop", "old", "order", "stock", "pay"]) expect(names).toContain(name);
      await closed(child);
      await expectNoSubscribers(child);
    });
  });
}

describe("bough inspect --record", () => {
  it("writes a recording, which bough convert turns into the other formats", async () => {
    const { pid } = await command.start(execPath, shop);
    const file = fileOf("shop.boughrec");
    expect(await command.run(execPath, "inspect", pid, "--record", file, "--seconds=0.3")).toMatchObject({
      code: 0,
    });
    const recording = decodeRecording(readFileSync(file));
    expect(
      recordedScopes(recording)
        .filter(({ status }) => status === "running")
        .map(({ name }) => name),
    ).toEqual(expect.arrayContaining(["shop", "old"]));
    const [trace, prom, again] = [fileOf("t.json"), fileOf("t.prom"), fileOf("again.boughrec")];
    for (const to of [trace, prom, again])
      expect(await command.run(execPath, "convert", file, to)).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(traceFaults(JSON.parse(readFileSync(trace, "utf8")))).toEqual([]);
    expect(parsePrometheus(readFileSync(prom, "utf8")).has("bough_scopes_started_total")).toBe(true);
    expect(readFileSync(again).equals(readFileSync(file))).toBe(true);
    const named = fileOf("metrics.txt");
    await command.run(execPath, "convert", file, named, "--format", "prometheus");
    expect(readFileSync(named, "utf8")).toBe(readFileSync(prom, "utf8"));
  });

  it("ends at Ctrl-C, and has succeeded then", async () => {
    const { child, pid } = await command.start(execPath, shop);
    const file = fileOf("until.prom");
    const recording = await startRecording(execPath, pid, file);
    recording.kill("SIGINT");
    expect(await recording.ending()).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/until\.prom: /),
    });
    expect(parsePrometheus(readFileSync(file, "utf8")).size).toBeGreaterThan(5);
    await closed(child);
    await expectNoSubscribers(child);
  });

  it("records a process in a busy loop", async () => {
    const { pid } = await command.start(
      execPath,
      `setTimeout(async function spin() {
        console.log("ready");
        for (;;) createScope({ name: "made in a loop" }).cancel();
      }, 1);`,
    );
    const file = fileOf("busy.json");
    expect(await command.run(execPath, "inspect", pid, "--record", file, "--seconds", "1")).toMatchObject({
      code: 0,
    });
    const trace = JSON.parse(readFileSync(file, "utf8")) as ChromeTrace;
    expect(traceFaults(trace)).toEqual([]);
    expect(trace.traceEvents.some(({ name }) => name === "made in a loop")).toBe(true);
  });

  it("reports that the process has ended during the recording", async () => {
    const { child, pid } = await command.start(execPath, shop);
    const recording = await startRecording(execPath, pid, fileOf("gone"));
    child.kill("SIGKILL");
    const { code, stderr } = await recording.ending();
    expect(stderr).toBe(`Process ${pid} has ended, and its recording is lost. No file was written.\n`);
    expect(code).toBe(1);
  });

  it.each([
    [["--record", "x", "--seconds", "0"], '--seconds must be a number above 0, not "0"'],
    [["--record", "x", "--seconds", "soon"], 'above 0, not "soon"'],
    [["--record", "x", "--format", "svg"], '--format must be one of bough, chrome, prometheus, not "svg"'],
    [["--record="], "--record takes the file to write"],
  ])("refuses a wrong command line and prints the valid ones: %j", async (parameters, words) => {
    const { code, stderr } = await command.run(execPath, "inspect", String(process.pid), ...parameters);
    expect(code).toBe(2);
    expect(stderr).toContain(words);
  });

  it("records nothing if the file can't be written", async () => {
    const { pid, child } = await command.start(execPath, shop);
    const { code, stderr } = await command.run(
      execPath,
      "inspect",
      pid,
      "--record",
      fileOf("no/such/folder"),
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(/^The recording can't be written: ENOENT.* Give another file\.\n$/);
    await expectNoSubscribers(child);
  });
});

describe("bough convert", () => {
  it("reports why a file can't be converted", async () => {
    const file = fileOf("text");
    writeFileSync(file, "no recording");
    expect(await command.run(execPath, "convert", file, fileOf("out.json"))).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/not a recording of bough/),
    });
    expect(await command.run(execPath, "convert", fileOf("missing"), fileOf("out.json"))).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/ENOENT/),
    });
  });

  it.each([[[]], [["a"]], [["a", "b", "c"]], [["a", "b", "--format", "svg"]]])(
    "refuses a wrong command line: %j",
    async (parameters) => {
      const { code, stderr } = await command.run(execPath, "convert", ...parameters);
      expect(code).toBe(2);
      expect(stderr).toContain("bough convert <recording> <file>");
    },
  );
});
