import { afterEach, describe, expect, it } from "vitest";
import { snapshot } from "../inspect/index.js";
import { createScope } from "../task/create-scope.js";
import { setTracing } from "./call-site.js";

type Prepare = (error: Error, frames: readonly string[]) => unknown;

const usual = Object.getOwnPropertyDescriptors(Error);
const opened: { close(): Promise<void> }[] = [];

afterEach(async () => {
  setTracing(false);
  Object.defineProperties(Error, {
    prepareStackTrace: usual.prepareStackTrace,
    stackTraceLimit: usual.stackTraceLimit,
  });
  await Promise.all(opened.splice(0).map((handle) => handle.close()));
});

function prepareBy(prepare: Prepare): void {
  Error.prepareStackTrace = (error, frames) => prepare(error, frames.map(String));
}

/** Where bough says that it was called: by its name, since the line is that of the compiled file. */
function openHere(): string | undefined {
  const handle = createScope();
  opened.push(handle);
  return snapshot(handle).spawnedAt;
}

describe("rule 26: the line of a scope is known", () => {
  const prepared: Readonly<Record<string, Prepare>> = {
    "returns the call sites themselves": (_, frames) => frames.map((frame) => ({ toString: () => frame })),
    "leaves out the first line": (_, frames) => frames.map((frame) => `    at ${frame}`).join("\n"),
    "begins with a message of several lines": (_, frames) =>
      ["Error: one", "two", ...frames.map((frame) => `  at ${frame}`)].join("\n"),
    "writes its frames in another form": (_, frames) =>
      ["Error", ...frames.map((frame) => `> ${frame}`)].join("\n"),
  };
  it.each(Object.keys(prepared))("if Error.prepareStackTrace %s", (name) => {
    setTracing(true);
    prepareBy(prepared[name] as Prepare);
    expect(openHere()).toMatch(/openHere \(.*call-site\.test\.ts:\d+:\d+\)/);
  });

  it.each([0, 0.5, -1, Number.NaN, undefined])(
    "if Error.stackTraceLimit is %s, which is not changed",
    (limit) => {
      setTracing(true);
      Error.stackTraceLimit = limit as number;
      const site = openHere();
      expect(Error.stackTraceLimit).toBe(limit);
      expect(site).toMatch(/openHere \(.*call-site\.test\.ts:\d+:\d+\)/);
    },
  );

  it.each<[string, Prepare]>([
    [
      "throws",
      () => {
        throw new Error("no stack");
      },
    ],
    ["returns an object", () => ({})],
    ["returns nothing", () => undefined],
    ["returns an empty list", () => []],
    ["returns a list of what can't be printed", () => [Object.create(null)]],
  ])("unless Error.prepareStackTrace %s: then it is left out", (_, prepare) => {
    setTracing(true);
    prepareBy(prepare);
    expect(openHere()).toBeUndefined();
  });
});
