import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { createScope, sleep, type Scope, type ScopeHandle } from "bough";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openBlackhole } from "./blackhole.js";
import { happyEyeballs, type Connect, type Connection } from "./happy-eyeballs.js";
import { Address, connectTcp } from "./tcp.js";

let scope: ScopeHandle;
beforeEach(() => {
  scope = createScope({ name: "test" });
});
afterEach(async () => {
  vi.useRealTimers();
  await scope.close();
});

/** A connection that remembers whether it was hung up. */
class Line implements Connection {
  destroyed = false;
  destroy(): void {
    this.destroyed = true;
  }
}

/** The attempts of a test: `log` records their events, `settle` decides an attempt. */
function connector(): {
  connect: Connect<string, Line>;
  log: string[];
  settle: Map<string, { resolve: (line: Line) => void; reject: (error: unknown) => void }>;
} {
  const log: string[] = [];
  const settle = new Map<string, { resolve: (line: Line) => void; reject: (error: unknown) => void }>();
  const connect = (scope: Scope, address: string): Promise<Line> => {
    log.push(`${address} starts`);
    scope.defer(() => log.push(`${address} ends`));
    return new Promise((resolve, reject) => {
      settle.set(address, { resolve, reject });
      scope.onCancel((reason) => {
        log.push(`${address} is cancelled (${reason.kind})`);
        reject(reason);
      });
    });
  };
  return { connect, log, settle };
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe("happyEyeballs()", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] }));

  it("gives each attempt a head start of 250 ms", async () => {
    const { connect, log, settle } = connector();
    const connected = happyEyeballs(scope, ["a", "b", "c"], connect);
    await vi.advanceTimersByTimeAsync(249);
    expect(log).toEqual(["a starts"]);
    await vi.advanceTimersByTimeAsync(1);
    expect(log).toEqual(["a starts", "b starts"]);
    await vi.advanceTimersByTimeAsync(250);
    expect(log).toEqual(["a starts", "b starts", "c starts"]);
    settle.get("a")?.resolve(new Line());
    await connected;
  });

  it("takes another delay", async () => {
    const { connect, log, settle } = connector();
    const connected = happyEyeballs(scope, ["a", "b"], connect, { delay: 10 });
    await vi.advanceTimersByTimeAsync(10);
    expect(log).toEqual(["a starts", "b starts"]);
    settle.get("b")?.resolve(new Line());
    await connected;
  });

  it("resolves with the first success, after the losers have ended", async () => {
    const { connect, log, settle } = connector();
    const line = new Line();
    const connected = happyEyeballs(scope, ["a", "b", "c", "d"], connect);
    await vi.advanceTimersByTimeAsync(500);
    log.length = 0;
    settle.get("b")?.resolve(line);
    expect(await connected).toBe(line);
    expect(line.destroyed).toBe(false);
    expect(log).toEqual(["b ends", "a is cancelled (closed)", "c is cancelled (closed)", "a ends", "c ends"]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("waits for a loser that takes some time to close", async () => {
    let hangUp = (): void => {};
    const lingering = (scope: Scope, address: string): Promise<Line> => {
      if (address === "b") return Promise.resolve(new Line());
      scope.defer(() => new Promise<void>((resolve) => (hangUp = resolve)));
      return sleep(scope, Infinity).then(() => new Line());
    };
    let settled = false;
    const connected = happyEyeballs(scope, ["a", "b"], lingering).finally(() => (settled = true));
    await vi.advanceTimersByTimeAsync(250);
    await turn();
    expect(settled).toBe(false);
    hangUp();
    await connected;
  });

  it("starts the next attempt at once when one fails", async () => {
    const { connect, log, settle } = connector();
    const connected = happyEyeballs(scope, ["a", "b"], connect);
    settle.get("a")?.reject(new Error("refused"));
    await turn();
    expect(log).toEqual(["a starts", "a is cancelled (failure)", "a ends", "b starts"]);
    expect(vi.getTimerCount()).toBe(1); // the head start of b: that of a is gone
    settle.get("b")?.resolve(new Line());
    await connected;
  });

  it("closes a second connection that succeeds at the same instant", async () => {
    const { connect, settle } = connector();
    const lines = [new Line(), new Line()] as const;
    const connected = happyEyeballs(scope, ["a", "b"], connect);
    await vi.advanceTimersByTimeAsync(250);
    settle.get("b")?.resolve(lines[1]);
    settle.get("a")?.resolve(lines[0]);
    const winner = await connected;
    expect(lines.filter((line) => !line.destroyed)).toEqual([winner]);
  });

  it("rejects with all errors, in the order of the addresses, when every attempt fails", async () => {
    const { connect, settle } = connector();
    const errors = [new Error("a"), new Error("b")];
    const connected = happyEyeballs(scope, ["a", "b"], connect).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(250);
    settle.get("b")?.reject(errors[1]);
    settle.get("a")?.reject(errors[0]);
    const error = await connected;
    expect(error).toBeInstanceOf(AggregateError);
    expect((error as AggregateError).errors[0]).toBe(errors[0]);
    expect((error as AggregateError).errors[1]).toBe(errors[1]);
    expect(scope.cancelled).toBe(false);
  });

  it("rejects with an empty AggregateError when there is no address", async () => {
    const { connect } = connector();
    const error = await happyEyeballs(scope, [], connect).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(AggregateError);
  });

  it("cancels every attempt and rejects with the reason when its scope is cancelled", async () => {
    const { connect, log } = connector();
    const connected = happyEyeballs(scope, ["a", "b", "c"], connect).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(250);
    log.length = 0;
    scope.cancel();
    expect(await connected).toBe(scope.reason);
    expect(log).toEqual(["a is cancelled (explicit)", "b is cancelled (explicit)", "a ends", "b ends"]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("starts nothing in a scope that is cancelled already", async () => {
    const { connect, log } = connector();
    scope.cancel();
    const error = await happyEyeballs(scope, ["a"], connect).catch((error: unknown) => error);
    expect(error).toBe(scope.reason);
    expect(log).toEqual([]);
  });
});

describe("happyEyeballs() over loopback sockets", () => {
  /** Owns what is there to connect to, and outlives the cancellation that a test is about. */
  let network: ScopeHandle;
  beforeEach(() => {
    network = createScope({ name: "network" });
  });
  afterEach(() => network.close());

  /** A server that accepts, and what it accepted. */
  async function listen(): Promise<{ server: Server; address: Address; accepted: Socket[] }> {
    const accepted: Socket[] = [];
    const server = createServer((socket) => accepted.push(socket.resume()));
    network.defer(() => server.close());
    await once(server.listen(0, "127.0.0.1"), "listening");
    return { server, address: new Address("127.0.0.1", (server.address() as AddressInfo).port), accepted };
  }

  async function refusing(): Promise<Address> {
    const { server, address } = await listen();
    server.close();
    await once(server, "close");
    return address;
  }

  const sockets = (): number =>
    process.getActiveResourcesInfo().filter((kind) => /^TCP(Socket|Connect)Wrap$/.test(kind)).length;

  it("gets past an address that never answers and an address that refuses, and leaves no other socket", async () => {
    const silent = await openBlackhole(network);
    const { address, accepted } = await listen();
    const before = sockets();
    const ends: string[] = [];
    const connect = async (scope: Scope, to: Address): Promise<Socket> => {
      scope.defer(() => ends.push(`${to === silent ? "silent" : to === address ? "open" : "refusing"}`));
      return connectTcp(scope, to);
    };
    const socket = await happyEyeballs(scope, [silent, await refusing(), address], connect, { delay: 5 });
    expect(socket.remotePort).toBe(address.port);
    expect(ends.toSorted()).toEqual(["open", "refusing", "silent"]);
    while (accepted.length === 0) await turn();
    // The two ends of the winner's connection, and nothing of the silent one's.
    expect(sockets() - before).toBe(2);
    expect(socket.listenerCount("error")).toBe(0);
    socket.destroy();
  });

  it("rejects with the errors of the system when all refuse", async () => {
    const addresses = [await refusing(), await refusing()];
    const error = await happyEyeballs(scope, addresses, connectTcp).catch((error: unknown) => error);
    const codes = (error as AggregateError).errors.map((error: NodeJS.ErrnoException) => error.code);
    expect(codes).toEqual(["ECONNREFUSED", "ECONNREFUSED"]);
  });

  it("leaves no socket when it is cancelled while no address answers", async () => {
    const silent = await openBlackhole(network);
    const before = sockets();
    const connected = happyEyeballs(scope, [silent], connectTcp).catch((error: unknown) => error);
    await turn();
    expect(sockets() - before).toBe(1);
    const cause = new Error("enough");
    scope.cancel(cause);
    expect(await connected).toBe(scope.reason);
    expect(scope.reason?.cause).toBe(cause);
    expect(sockets() - before).toBe(0);
  });
});
