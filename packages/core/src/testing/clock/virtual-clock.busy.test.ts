import { AsyncResource } from "node:async_hooks";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { connect, createServer as createTcpServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { request } from "undici";
import { describe, expect, it, onTestFinished } from "vitest";
import { checkpoint, DeadlineExceededError, sleep, withScope } from "../../index.js";
import { rejection } from "../../../test/support/deferred.js";
import { VirtualClockError, withVirtualClock } from "../index.js";

const HOUR = 3_600_000;

describe("a virtual clock in a busy process", () => {
  it.each(["UNDICI_REQUEST", "MY_JOB", "FSREQCALLBACK", "FSREQPROMISE", "SCRYPTREQUEST"])(
    "jumps although a library has a pending AsyncResource called %s",
    async (type) => {
      const resource = await withVirtualClock(async (scope) => {
        const mine = new AsyncResource(type);
        await sleep(scope, HOUR);
        return mine;
      });
      resource.emitDestroy();
    },
  );

  it("jumps while undici waits for an answer", async () => {
    const server = createServer((_, response) => setTimeout(() => response.end("late"), 60_000)).listen(
      0,
      "127.0.0.1",
    );
    onTestFinished(() => server.close().closeAllConnections());
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const text = await withVirtualClock(async () => (await request(url)).body.text());
    expect(text).toBe("late");
  });

  it("jumps for a deadline while a computation calls checkpoint() without end", async () => {
    const outcome = withVirtualClock(
      (scope) =>
        withScope(scope, { timeout: HOUR }, async (own) => {
          for (;;) await checkpoint(own);
        }),
      { stalledAfter: 60_000 }, // it computes for a second, and for ten on a busy machine
    );
    expect(await rejection(outcome)).toBeInstanceOf(DeadlineExceededError);
  });

  it("is blocked by a computation that calls checkpoint() without end and without a deadline", async () => {
    const outcome = withVirtualClock(
      async (scope) => {
        for (;;) await checkpoint(scope);
      },
      { blockedAfter: 1 },
    );
    expect(await rejection(outcome)).toMatchObject({ code: "BOUGH_BLOCKED" });
  });

  it("fails when a read of a named pipe never ends, and names it", async () => {
    const folder = mkdtempSync(join(tmpdir(), "bough-clock-"));
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    let read: Promise<unknown> | undefined;
    const error = await rejection(
      withVirtualClock(
        async (scope) => {
          read = readFile(pipe);
          await sleep(scope, HOUR);
        },
        { stalledAfter: 50 },
      ),
    );
    const end = openSync(pipe, "r+"); // gives its reader an end
    writeSync(end, "x");
    closeSync(end);
    await read;
    rmSync(folder, { recursive: true });
    expect(error).toBeInstanceOf(VirtualClockError);
    expect(error).toMatchObject({ code: "BOUGH_STALLED" });
    expect((error as Error).message).toMatch(/busy for 50 ms with 1 × file operation \(FSREQ/);
    expect((error as Error).message).toMatch(/file operation, created at .*virtual-clock\.busy\.test\.ts/);
  });

  it("fails when a read of a named pipe never ends and no timer is pending", async () => {
    const folder = mkdtempSync(join(tmpdir(), "bough-clock-"));
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    let read: Promise<unknown> | undefined;
    const error = await rejection(
      withVirtualClock(() => (read = readFile(pipe)), { stalledAfter: 50, blockedAfter: Infinity }),
    );
    const end = openSync(pipe, "r+");
    writeSync(end, "x");
    closeSync(end);
    await read;
    rmSync(folder, { recursive: true });
    expect(error).toMatchObject({ code: "BOUGH_STALLED" });
  });

  it("fails when a loop polls a file until the time changes", async () => {
    let tries = 0;
    const error = await rejection(
      withVirtualClock(
        async (scope) => {
          const before = Date.now();
          setTimeout(() => undefined, HOUR);
          for (; Date.now() === before; tries++) {
            scope.throwIfCancelled();
            await readFile(import.meta.filename);
          }
        },
        { stalledAfter: 50 },
      ),
    );
    expect(error).toMatchObject({ code: "BOUGH_STALLED" });
    expect(tries).toBeGreaterThan(0);
  });

  it("fails when two sockets talk without end, names them, and gives the cleanups their virtual time", async () => {
    const server = createTcpServer((socket) => void socket.on("error", () => undefined).pipe(socket)).listen(
      0,
      "127.0.0.1",
    );
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const log: string[] = [];
    const error = await rejection(
      withVirtualClock(
        async (scope) => {
          const socket = connect(port, "127.0.0.1");
          socket.on("data", (data) => socket.write(data));
          scope.defer(async () => {
            await new Promise((resolve) => setTimeout(resolve, HOUR));
            log.push("cleaned up");
            socket.destroy();
          });
          socket.write("ping");
          await sleep(scope, HOUR);
        },
        { stalledAfter: 50 },
      ),
    );
    server.close();
    expect(error).toMatchObject({ code: "BOUGH_STALLED" });
    expect((error as Error).message).toContain(`TCP socket to 127.0.0.1:${port}, created at`);
    expect(log).toEqual(["cleaned up"]);
  });

  it("has no limit for traffic that no timer waits for", async () => {
    const server = createTcpServer((socket) => void socket.on("error", () => undefined).pipe(socket)).listen(
      0,
      "127.0.0.1",
    );
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const rounds = await withVirtualClock(
      async () => {
        const socket = connect(port, "127.0.0.1");
        let count = 0;
        for (const end = process.hrtime.bigint() + 60_000_000n; process.hrtime.bigint() < end; count++) {
          socket.write("ping");
          await once(socket, "data");
        }
        socket.destroy();
        return count;
      },
      { stalledAfter: 10 },
    );
    server.close();
    expect(rounds).toBeGreaterThan(0);
  });

  it.each([
    [-1, RangeError],
    [NaN, RangeError],
    ["1", TypeError],
  ])("refuses %s for stalledAfter", async (stalledAfter, type) => {
    const outcome = withVirtualClock(() => 1, { stalledAfter: stalledAfter as number });
    const error = await rejection(outcome);
    expect(error).toBeInstanceOf(type);
    expect((error as Error).message).toContain("stalledAfter");
  });
});
