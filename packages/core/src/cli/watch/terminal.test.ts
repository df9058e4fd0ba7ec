import { EventEmitter } from "node:events";
import { PassThrough } from "node:stream";
import { expect, it, onTestFinished, vi } from "vitest";
import { createScope } from "../../index.js";
import type { Key } from "./model.js";
import { Terminal, type Display, type Keyboard } from "./terminal.js";

/** A terminal whose other side is this test. */
function open() {
  const scope = createScope({ name: "terminal" });
  onTestFinished(() => scope.close());
  const keyboard = Object.assign(new PassThrough(), {
    isTTY: true,
    isRaw: false,
    setRawMode(raw: boolean) {
      keyboard.isRaw = raw;
    },
  });
  const written: string[] = [];
  const display = Object.assign(new EventEmitter(), {
    columns: 80,
    rows: 24,
    isReady: true,
    write: (text: string): boolean => {
      written.push(text);
      return display.isReady;
    },
  });
  const keys: Key[] = [];
  let resizes = 0;
  const terminal = new Terminal(scope, keyboard as unknown as Keyboard, display as unknown as Display, {
    onKey: (key) => keys.push(key),
    onResize: () => resizes++,
  });
  const taken = written.splice(0).join("");
  /** The output since the last call. */
  const news = (): string => written.splice(0).join("");
  return { scope, terminal, keyboard, display, keys, news, taken, resizes: () => resizes };
}

it("uses the alternate screen and raw mode, and restores both when its scope ends", async () => {
  const { scope, keyboard, news, taken } = open();
  expect(taken).toBe("\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J");
  expect(keyboard.isRaw).toBe(true);
  await scope.close();
  expect(news()).toBe("\x1b[?7h\x1b[?25h\x1b[?1049l");
  expect(keyboard.isRaw).toBe(false);
});

it("leaves no listener behind", async () => {
  const counts = (): number => process.listenerCount("exit") + process.listenerCount("SIGCONT");
  const before = counts();
  const { scope, keyboard, display } = open();
  expect(counts()).toBe(before + 2);
  await scope.close();
  expect(counts()).toBe(before);
  expect(display.eventNames()).toEqual([]);
  expect(keyboard.listenerCount("keypress")).toBe(0);
});

it("restores the terminal once when the process exits while the display is open", async () => {
  const { scope, news } = open();
  const [listener] = process.listeners("exit").slice(-1);
  listener?.(1);
  expect(news()).toContain("\x1b[?1049l");
  await scope.close();
  expect(news()).toBe("");
});

it("writes only the lines that have changed", () => {
  const { terminal, news } = open();
  terminal.draw(["one", "two", "three"]);
  expect(news()).toBe("\x1b[1;1Hone\x1b[K\x1b[2;1Htwo\x1b[K\x1b[3;1Hthree\x1b[K");
  terminal.draw(["one", "2", "three"]);
  expect(news()).toBe("\x1b[2;1H2\x1b[K");
  terminal.draw(["one", "2", "three"]);
  expect(news()).toBe("");
});

it("draws the whole picture again when the size of the terminal changes", () => {
  const { terminal, display, news, resizes } = open();
  terminal.draw(["one"]);
  news();
  display.columns = 40;
  display.emit("resize");
  expect(resizes()).toBe(1);
  expect(terminal.size.columns).toBe(40);
  expect(news()).toBe("\x1b[2J");
  terminal.draw(["one"]);
  expect(news()).toContain("one");
});

it("sends a slow terminal only the newest picture when it is ready", () => {
  const { terminal, display, news } = open();
  display.isReady = false;
  terminal.draw(["1"]);
  terminal.draw(["2"]);
  terminal.draw(["3"]);
  expect(news()).toBe("\x1b[1;1H1\x1b[K");
  display.isReady = true;
  display.emit("drain");
  expect(news()).toBe("\x1b[1;1H3\x1b[K");
});

it("takes a terminal that has no size for one of 80 × 24", () => {
  const { terminal, display } = open();
  Object.assign(display, { columns: 0, rows: undefined });
  expect(terminal.size).toEqual({ columns: 80, rows: 24 });
});

it("passes the pressed keys to the display", async () => {
  const { keyboard, keys } = open();
  keyboard.write("q\x1b[A\x03ü");
  await vi.waitFor(() => expect(keys).toHaveLength(4), { timeout: 10_000 });
  expect(keys).toMatchObject([
    { text: "q", name: "q", ctrl: false },
    { name: "up" },
    { name: "c", ctrl: true },
    { text: "ü" },
  ]);
});

it("restores the terminal at Ctrl-Z, and takes it over again when the process continues", async () => {
  const kill = vi.spyOn(process, "kill").mockReturnValue(true);
  onTestFinished(() => kill.mockRestore());
  const { terminal, keyboard, news, resizes } = open();
  terminal.draw(["one"]);
  news();
  keyboard.write("\x1a");
  await vi.waitFor(() => expect(kill).toHaveBeenCalledWith(0, "SIGTSTP"), { timeout: 10_000 });
  expect(news()).toContain("\x1b[?1049l");
  expect(keyboard.isRaw).toBe(false);
  process.emit("SIGCONT");
  expect(keyboard.isRaw).toBe(true);
  expect(news()).toContain("\x1b[?1049h");
  expect(resizes()).toBe(1);
  terminal.draw(["one"]);
  expect(news()).toContain("one");
});

it("takes the terminal again for the next picture where the system ignores Ctrl-Z", async () => {
  const kill = vi.spyOn(process, "kill").mockReturnValue(true);
  onTestFinished(() => kill.mockRestore());
  const { terminal, keyboard, news } = open();
  keyboard.write("\x1a");
  await vi.waitFor(() => expect(kill).toHaveBeenCalled(), { timeout: 10_000 });
  news();
  terminal.draw(["one"]);
  const text = news();
  expect(text).toContain("\x1b[?1049h");
  expect(text).toContain("one");
});

it("draws nothing on a terminal that it has restored", () => {
  const { terminal, news } = open();
  terminal.release();
  news();
  terminal.draw(["one"]);
  expect(news()).toBe("");
});
