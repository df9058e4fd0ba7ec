import { spawn as spawnProcess } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type AddressInfo } from "node:net";
import { Worker } from "node:worker_threads";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocketServer, WebSocket } from "ws";
import { sleep, type Scope } from "../../index.js";
import { rejection } from "../../../test/support/deferred.js";
import { VirtualClockError, withVirtualClock } from "../index.js";

const HOUR = 3_600_000;
const kept = { setTimeout, clearTimeout };

const options = { blockedAfter: 20 } as const;

async function blocked(body: (scope: Scope) => unknown): Promise<VirtualClockError> {
  const error = await rejection(
    withVirtualClock(async (scope) => {
      await body(scope);
      await sleep(scope, Infinity);
    }, options),
  );
  expect(error).toBeInstanceOf(VirtualClockError);
  expect(error).toMatchObject({ code: "BOUGH_BLOCKED" });
  return error as VirtualClockError;
}

describe("a virtual clock's error when everything is blocked", () => {
  it("names the child process that is waited for, by its command and its line, and not its pipes", async () => {
    const error = await blocked((scope) => {
      const child = spawnProcess(process.execPath, ["-e", "setInterval(() => {}, 1_000)"]);
      scope.defer(() => void child.kill());
    });
    expect(error.message).toMatch(
      /\n {2}child process pid \d+: .*node -e .*, created at .*virtual-clock\.blocked\.test\.ts:\d+/,
    );
    expect(error.message).toContain("{ blockedAfter: ms }");
    expect(error.message).not.toContain("  pipe");
    expect(error.resources).toContainEqual(
      expect.objectContaining({ kind: "resource", type: "PROCESSWRAP" }),
    );
  });

  it("names the thread that is waited for", async () => {
    const error = await blocked((scope) => {
      const worker = new Worker("setInterval(() => {}, 1_000)", { eval: true });
      scope.defer(() => void worker.terminate());
    });
    expect(error.message).toMatch(
      /\n {2}worker thread #\d+, created at .*virtual-clock\.blocked\.test\.ts:\d+/,
    );
  });

  it("names the real timer that is waited for", async () => {
    const error = await blocked((scope) => {
      const timer = kept.setTimeout(() => undefined, HOUR);
      scope.defer(() => kept.clearTimeout(timer));
    });
    expect(error.message).toMatch(
      /\n {2}timeout of 3600000 ms, created at .*virtual-clock\.blocked\.test\.ts:\d+/,
    );
  });

  it("names the sockets that are waited for, and the server from before the clock", async () => {
    const server = createServer(() => undefined).listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const error = await blocked(async (scope) => {
      const socket = connect(port, "127.0.0.1");
      await once(socket, "connect");
      scope.defer(() => void socket.destroy());
    });
    expect(error.message).toContain(`\n  TCP socket to 127.0.0.1:${port}, created at`);
    expect(error.message).toContain(`\n  TCP server 127.0.0.1:${port}`);
  });

  it("names the WebSocket of ws that is waited for", async () => {
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    onTestFinished(() => server.close());
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const error = await blocked(async (scope) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}`);
      await once(socket, "open");
      scope.defer(() => socket.terminate());
    });
    expect(error.message).toContain(`\n  TCP socket to 127.0.0.1:${port}, created at`);
  });

  it("names no real resource where there is none, and shows the tree as it was before its cancellation", async () => {
    const error = await rejection(withVirtualClock(() => new Promise(() => undefined), options));
    expect((error as Error).message).not.toContain("real time");
    expect((error as VirtualClockError).resources).toEqual([]);
    expect((error as Error).message).not.toContain("cancelling");
  });
});

describe("a test that ends under a virtual clock", () => {
  it("by its signal restores the real timers although the body ignores it, and the next clock waits for that", async () => {
    const controller = new AbortController();
    const first = withVirtualClock(() => new Promise(() => undefined), {
      signal: controller.signal,
      blockedAfter: Infinity,
    });
    const outcome = rejection(first);
    await new Promise((resolve) => setImmediate(resolve));
    expect(setTimeout).not.toBe(kept.setTimeout);
    controller.abort(new Error("timed out"));
    expect(await withVirtualClock((scope) => sleep(scope, HOUR).then(() => "second"))).toBe("second");
    expect(await outcome).toMatchObject({ kind: "signal", cause: controller.signal.reason });
    expect(setTimeout).toBe(kept.setTimeout);
  });

  it("runs its cleanups in virtual time", async () => {
    const controller = new AbortController();
    const log: string[] = [];
    const first = withVirtualClock(
      async (scope) => {
        scope.defer(async () => {
          await new Promise((resolve) => setTimeout(resolve, HOUR));
          log.push("cleaned up");
        });
        await sleep(scope, Infinity);
      },
      { signal: controller.signal, blockedAfter: Infinity },
    );
    const outcome = rejection(first);
    await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    expect(await outcome).toMatchObject({ kind: "signal" });
    expect(log).toEqual(["cleaned up"]);
  });

  it("leaves the timers of code outside its body in real time", async () => {
    const controller = new AbortController();
    const outcome = rejection(
      withVirtualClock(() => new Promise(() => undefined), {
        signal: controller.signal,
        autojump: false,
        blockedAfter: Infinity,
      }),
    );
    await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    await new Promise((resolve) => setTimeout(resolve, 5)); // of the next test, by the clock that is going
    await outcome;
    expect(setTimeout).toBe(kept.setTimeout);
  });

  describe("by a time-out of vitest", () => {
    let late: Promise<unknown> | undefined;

    it.fails("does time out", { timeout: 20 }, async () => {
      late = rejection(withVirtualClock(() => new Promise(() => undefined), { blockedAfter: Infinity }));
      await late;
    });

    it("does not affect the next virtual clock", async () => {
      expect(await withVirtualClock((scope) => sleep(scope, HOUR).then(() => "next"))).toBe("next");
      expect(await late).toMatchObject({ code: "BOUGH_CLOCK_ABANDONED" });
    });

    it.fails("times out again", { timeout: 20 }, async () => {
      late = rejection(withVirtualClock(() => new Promise(() => undefined), { blockedAfter: Infinity }));
      await late;
    });

    it("does not affect the next test without a virtual clock", async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      await late;
      expect(setTimeout).toBe(kept.setTimeout);
    });
  });

  it("the error says whether a clock is nested or runs at the same time as another", async () => {
    await withVirtualClock(async () => {
      const error = await rejection(withVirtualClock(() => 1));
      expect(error).toMatchObject({ code: "BOUGH_CLOCK_INSTALLED" });
      expect((error as Error).message).toContain("inside the body of another");
    });
    const [first, second] = await Promise.allSettled([
      withVirtualClock((scope) => sleep(scope, HOUR)),
      withVirtualClock(() => 1),
    ]);
    expect(first.status).toBe("fulfilled");
    expect(second).toMatchObject({ reason: { code: "BOUGH_CLOCK_INSTALLED" } });
    expect(String((second as PromiseRejectedResult).reason)).toContain("at the same time");
  });
});
