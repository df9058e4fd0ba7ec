import { channel } from "node:diagnostics_channel";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { untilCancelled } from "../../test/support/until-cancelled.js";
import { createScope, spawn, withScope } from "../index.js";
import { agent } from "./agent.js";
import { assemble } from "./file-format.js";
import { decodeRecording, recordedScopes } from "./index.js";

const isHeard = (): boolean => channel("bough:task:start").hasSubscribers;

/** Ends the recording and reads it, as the command does. */
function take(): ReturnType<typeof decodeRecording> {
  while (agent.walk(1) !== "end");
  const header = agent.stop();
  const parts: Buffer[] = [];
  for (let offset = 0; ; offset += 1_000) {
    const part = Buffer.from(agent.read(offset, 1_000), "base64");
    if (part.length === 0) return decodeRecording(assemble(header, Buffer.concat(parts)));
    parts.push(part);
  }
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.advanceTimersByTime(20_000);
  vi.useRealTimers();
});

describe("the code that `bough inspect --record` evaluates in a process", () => {
  it("records, walks in slices and gives the file in parts", async () => {
    expect(JSON.parse(agent.start(100_000))).toEqual({ copies: expect.any(Number) as number, unreadable: 0 });
    const scope = createScope({ name: "alive" });
    for (let job = 0; job < 100; job++) spawn(scope, untilCancelled, { name: "job" });
    await withScope({ name: "done" }, () => {});
    const scopes = recordedScopes(take());
    expect(scopes.filter(({ name, status }) => name === "job" && status === "running")).toHaveLength(100);
    expect(scopes.find(({ name }) => name === "done")?.status).toBe("succeeded");
    expect(isHeard()).toBe(false);
    await scope.close();
  });

  it("ends by itself if the recording is not fetched for ten seconds, as when the command was killed", () => {
    agent.start(100_000);
    for (let step = 0; step < 5; step++) {
      vi.advanceTimersByTime(9_000);
      expect(isHeard()).toBe(true);
      agent.keep();
    }
    vi.advanceTimersByTime(10_000);
    expect(isHeard()).toBe(false);
    expect(() => agent.walk(1)).toThrow(/nobody has asked for it/);
    expect(() => agent.stop()).toThrow(/nobody has asked for it/);
    expect(() => agent.read(0, 1)).toThrow(/nobody has asked for it/);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("begins anew when it is started again, with one subscription", async () => {
    agent.start(100_000);
    await withScope({ name: "before" }, () => {});
    agent.start(100_000);
    await withScope({ name: "after" }, () => {});
    expect(recordedScopes(take()).map(({ name }) => name)).toEqual(["after"]);
    expect(isHeard()).toBe(false);
  });

  it("does not listen if it does not know the copies of the package", () => {
    const key = Symbol.for("bough.copies");
    const before = Object.getOwnPropertyDescriptor(globalThis, key) as PropertyDescriptor;
    const unknown = { format: 2 };
    Object.defineProperty(globalThis, key, { value: [new WeakRef(unknown)], configurable: true });
    try {
      expect(JSON.parse(agent.start(100_000))).toEqual({ copies: 1, unreadable: 1 });
    } finally {
      Object.defineProperty(globalThis, key, before);
    }
    expect(isHeard()).toBe(false);
  });
});
