import { describe, expect, it } from "vitest";
import { thrown } from "../../test/support/deferred.js";
import { optionNames } from "./option-names.js";
import * as validate from "./validate.js";

const names = optionNames<{ timeout?: number }>({ timeout: true });

type Check = () => void;

describe("an argument that is refused", () => {
  it.each<[string, Check, typeof TypeError | typeof RangeError, string]>([
    [
      "no function",
      () => validate.requireFunction("f", "fn", undefined),
      TypeError,
      "f: fn must be a function, got undefined",
    ],
    [
      "another type",
      () => validate.requireType("f", "name", "string", 5),
      TypeError,
      "f: name must be a string, got 5",
    ],
    [
      "an option of another type",
      () => validate.checkType("f", "on", "boolean", null),
      TypeError,
      "f: on must be a boolean, got null",
    ],
    [
      "a duration that is left out",
      () => validate.requireDuration("f", "ms", undefined),
      TypeError,
      "f: ms must be a number, got undefined",
    ],
    [
      "a negative duration",
      () => validate.checkDuration("f", "ms", -1),
      RangeError,
      "f: ms must be a number of ms that is not negative, got -1",
    ],
    [
      "a duration without end",
      () => validate.requireFiniteDuration("f", "ms", Infinity, ": it has to end"),
      RangeError,
      "f: ms must be finite, got Infinity: it has to end",
    ],
    [
      "a fraction",
      () => validate.requireCount("f", "count", 1.5, 1),
      RangeError,
      "f: count must be a whole number from 1, got 1.5",
    ],
    [
      "an infinite count",
      () => validate.requireCount("f", "count", Infinity, 1),
      RangeError,
      "f: count must be a whole number from 1, got Infinity",
    ],
    [
      "a limit that is too low",
      () => validate.checkLimit("f", "limit", 0, 1),
      RangeError,
      "f: limit must be a whole number from 1 or Infinity, got 0",
    ],
    [
      "an instant that is a text",
      () => validate.checkInstant("f", "at", "2030-01-01"),
      TypeError,
      'f: at must be a Date or a number of epoch ms, got "2030-01-01"',
    ],
    [
      "an invalid Date",
      () => validate.checkInstant("f", "at", new Date(NaN)),
      RangeError,
      "f: at must be a valid instant in epoch ms, got NaN",
    ],
    [
      "a signal in place of options",
      () => validate.checkOptionsObject("f", new AbortController().signal, names),
      TypeError,
      "f: options must be an object such as { timeout: 1000 }, got an instance of AbortSignal",
    ],
    [
      "an option that is misspelt",
      () => validate.checkOptionsObject("f", { timeOut: 1 }, names),
      TypeError,
      'f: options must not have "timeOut" (did you mean timeout?); there is timeout',
    ],
  ])("is named and quoted: %s", (_, check, type, message) => {
    const error = thrown(check);
    expect(error).toBeInstanceOf(type);
    expect((error as Error).message).toBe(message);
  });
});

describe("an argument that is accepted", () => {
  it.each<[string, Check]>([
    ["a function", () => validate.requireFunction("f", "fn", () => 1)],
    ["an option that is left out", () => validate.checkType("f", "on", "boolean", undefined)],
    ["a duration that is left out", () => validate.checkDuration("f", "ms", undefined)],
    ["no time limit", () => validate.checkDuration("f", "ms", Infinity)],
    ["a duration of 0", () => validate.requireFiniteDuration("f", "ms", 0)],
    ["the least count", () => validate.requireCount("f", "count", 1, 1)],
    ["no limit", () => validate.checkLimit("f", "limit", Infinity, 1)],
    ["a limit that is left out", () => validate.checkLimit("f", "limit", undefined, 1)],
    ["a Date", () => validate.checkInstant("f", "at", new Date(0))],
    [
      "options with one that is undefined",
      () => validate.checkOptionsObject("f", { other: undefined }, names),
    ],
  ])("throws nothing: %s", (_, check) => {
    expect(check).not.toThrow();
  });
});
