import { createScope } from "bough";
import { afterEach, describe, expect, it, vi } from "vitest";
import { openStage, type Output } from "./stage.js";

afterEach(() => void vi.unstubAllEnvs());

/** An output that remembers what was written to it. */
function recorder(properties: Partial<Output> = {}): Output & { readonly written: string[] } {
  const written: string[] = [];
  return { written, write: (text) => written.push(text), ...properties };
}

const view = (...lines: string[]): { frame: () => string[]; line: () => string } => ({
  frame: () => lines,
  line: () => "one line",
});

describe("openStage()", () => {
  it("writes plain lines without a terminal", async () => {
    await using scope = createScope();
    const output = recorder({ hasColors: () => true });
    const stage = openStage(scope, output);
    stage.draw(view("picture"));
    stage.clear();
    stage.print([stage.paint.red("kept")]);
    expect(output.written).toEqual(["one line\n", "kept\n"]);
  });

  it("writes plain lines on a dumb terminal", async () => {
    vi.stubEnv("TERM", "dumb");
    await using scope = createScope();
    const output = recorder({ isTTY: true });
    openStage(scope, output).draw(view("picture"));
    expect(output.written).toEqual(["one line\n"]);
  });

  it("replaces the last picture on a terminal", async () => {
    vi.stubEnv("TERM", "xterm");
    await using scope = createScope();
    const output = recorder({ isTTY: true, columns: 80, rows: 24 });
    const stage = openStage(scope, output);
    stage.draw(view("a", "b"));
    output.written.length = 0;
    stage.draw(view("c"));
    expect(output.written).toHaveLength(1);
    expect(output.written[0]).toContain("\x1b[2A\rc\x1b[K\n\x1b[J");
  });

  it("cuts off lines that are too long for the terminal", async () => {
    vi.stubEnv("TERM", "xterm");
    await using scope = createScope();
    const output = recorder({ isTTY: true, columns: 80, rows: 3 });
    openStage(scope, output).draw(view("a", "b", "c", "d"));
    expect(output.written.at(-1)).toContain("b");
    expect(output.written.at(-1)).not.toContain("c\x1b[K");
  });

  it("shows the cursor again when the scope ends", async () => {
    vi.stubEnv("TERM", "xterm");
    const scope = createScope();
    const output = recorder({ isTTY: true });
    openStage(scope, output);
    expect(output.written).toEqual(["\x1b[?25l"]);
    await scope.close();
    expect(output.written).toEqual(["\x1b[?25l", "\x1b[?25h"]);
  });

  it("uses colours only where the terminal has them", async () => {
    vi.stubEnv("TERM", "xterm");
    await using scope = createScope();
    const coloured = openStage(scope, recorder({ isTTY: true, hasColors: () => true }));
    const grey = openStage(scope, recorder({ isTTY: true, hasColors: () => false }));
    expect(coloured.paint.red("x")).not.toBe("x");
    expect(grey.paint.red("x")).toBe("x");
  });
});
