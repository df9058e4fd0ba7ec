import { describe, expect, it } from "vitest";
import { CancelledError, createDeadlineReason, createReason, isCancelled } from "./cancelled.js";

describe("CancelledError", () => {
  it("has a kind, the path where it began, and a cause", () => {
    const cause = { any: "thing" };
    const reason = createReason("shutdown", "server/request", cause);
    expect(reason).toMatchObject({ kind: "shutdown", scope: "server/request" });
    expect(reason.cause).toBe(cause);
    expect(reason.message).toContain('"server/request"');
    expect(reason.message).toContain("shutdown");
  });

  it("has no cause if there was none", () => {
    expect("cause" in createReason("explicit", "a", undefined)).toBe(false);
  });

  it("keeps a null cause", () => {
    const reason = createReason("explicit", "a", null);
    expect("cause" in reason).toBe(true);
    expect(reason.cause).toBe(null);
  });

  it("has a stack trace only when it is traced, and leaves the stack limit as it was", () => {
    const limit = Error.stackTraceLimit;
    expect(createReason("explicit", "a", undefined, true).stack).toContain("cancelled.test.ts");
    expect(createReason("explicit", "a", undefined).stack ?? "").not.toContain("cancelled.test.ts");
    expect(createDeadlineReason("a", 0).stack ?? "").not.toContain("cancelled.test.ts");
    expect(Error.stackTraceLimit).toBe(limit);
  });

  it("works where the stack limit can't be set", () => {
    const limit = Error.stackTraceLimit;
    Object.defineProperty(Error, "stackTraceLimit", { value: limit, writable: false });
    try {
      expect(createReason("closed", "a", undefined).kind).toBe("closed");
      expect(createDeadlineReason("a", 0).kind).toBe("deadline");
    } finally {
      Object.defineProperty(Error, "stackTraceLimit", { value: limit, writable: true });
    }
  });
});

describe("DeadlineExceededError", () => {
  it("is a cancellation of kind deadline with the time of the deadline", () => {
    const reason = createDeadlineReason("job", 1_000);
    expect(reason).toBeInstanceOf(CancelledError);
    expect(reason).toMatchObject({ kind: "deadline", scope: "job", deadline: 1_000 });
  });

  it("has the same message for the same timeout, in every scope and at every instant", () => {
    const reasons = [createDeadlineReason("a/1", 1_000, 800), createDeadlineReason("b/2", 2_000, 800)];
    expect(reasons.map(({ message }) => message)).toEqual([
      "timed out after 800 ms",
      "timed out after 800 ms",
    ]);
    expect(reasons[1]).toMatchObject({ scope: "b/2", deadline: 2_000, timeout: 800 });
  });

  it("has one message for every deadline that was given as a date, and no timeout", () => {
    const reasons = [createDeadlineReason("a", 1_000), createDeadlineReason("b", 2_000)];
    expect(new Set(reasons.map(({ message }) => message)).size).toBe(1);
    expect(reasons[0]?.timeout).toBe(undefined);
  });
});

describe("isCancelled()", () => {
  it("is true for our cancellations only", () => {
    expect(isCancelled(createReason("closed", "a", undefined))).toBe(true);
    expect(isCancelled(createDeadlineReason("a", 0))).toBe(true);
    expect(isCancelled(new DOMException("aborted", "AbortError"))).toBe(false);
    expect(isCancelled(new Error("no", { cause: createReason("closed", "a", undefined) }))).toBe(false);
  });
});
