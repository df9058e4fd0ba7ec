import { describe, expect, it } from "vitest";
import { BoughError } from "./bough-error.js";
import { CancelledError, createDeadlineReason, createReason, DeadlineExceededError } from "./cancelled.js";
import { MissingContextError } from "./missing-context-error.js";
import { ScopeClosedError, StuckTasksError } from "./scope-errors.js";

describe("BoughError", () => {
  const cause = new Error("cause");
  const errors = [
    [new BoughError("BOUGH_BACKGROUND", "text", { cause }), BoughError, "BoughError", "BOUGH_BACKGROUND"],
    [createReason("explicit", "a/b", cause), CancelledError, "AbortError", "BOUGH_CANCELLED"],
    [createDeadlineReason("a/b", 0), DeadlineExceededError, "TimeoutError", "BOUGH_DEADLINE_EXCEEDED"],
    [new ScopeClosedError("spawn", "a/b"), ScopeClosedError, "ScopeClosedError", "BOUGH_SCOPE_CLOSED"],
    [new StuckTasksError("a/b", 10, []), StuckTasksError, "StuckTasksError", "BOUGH_STUCK_TASKS"],
    [
      new MissingContextError("key", "a/b"),
      MissingContextError,
      "MissingContextError",
      "BOUGH_MISSING_CONTEXT",
    ],
  ] as const;

  for (const [error, type, name, code] of errors) {
    it(`${type.name} is a BoughError with the name ${name} and the code ${code}`, () => {
      expect(error).toBeInstanceOf(type);
      expect(error).toBeInstanceOf(BoughError);
      expect(error).toBeInstanceOf(Error);
      expect(error.name).toBe(name);
      expect(error.code).toBe(code);
      expect(Object.prototype.toString.call(error)).toBe("[object Error]");
      expect(Object.keys(error)).not.toContain("name");
    });
  }

  it("passes its cause on, and has no cause by default", () => {
    expect(new BoughError("BOUGH_BACKGROUND", "text", { cause }).cause).toBe(cause);
    expect("cause" in new BoughError("BOUGH_BACKGROUND", "text")).toBe(false);
  });
});
