import { describe, expect, it } from "vitest";
import { CancelledError, createDeadlineReason, createReason, isCancelled } from "./cancelled.js";

describe("CancelledError", () => {
  it("says what kind it is, where it began, and what caused it", () => {
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
  it("is a cancellation of kind deadline that says when", () => {
    const reason = createDeadlineReason("job", 1_000);
    expect(reason).toBeInstanceOf(CancelledError);
    expect(reason).toMatchObject({ kind: "deadline", scope: "job", deadline: 1_000 });
    expect(reason.message).toContain("1970-01-01T00:00:01.000Z");
  });

  it("can say any instant", () => {
    expect(createDeadlineReason("job", Number.MAX_SAFE_INTEGER).message).toContain("9007199254740991");
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
