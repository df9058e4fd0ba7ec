import dns from "node:dns";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { sleep, type Scope } from "../index.js";
import { deferred, flush } from "../../test/support/deferred.js";
import { makeApp, type TestApp } from "../../test/support/fastify-app.js";
import { RawConnection } from "../../test/support/http-clients.js";

// Fastify listens with a server of its own on each further address that `localhost` has.

type Lookup = (...args: unknown[]) => void;

const [first, second] = ["127.0.0.1", "127.0.0.2"] as const;

/** More than the buffers of the operating system hold. */
const large = Buffer.alloc(16_000_000, 120);

/** On macOS, say, nobody can listen on another address of the loopback. */
const possible = await new Promise<boolean>((resolve) => {
  const server = net.createServer();
  server.once("error", () => resolve(false));
  server.listen(0, second, () => server.close(() => resolve(true)));
});

describe.skipIf(!possible)("app.close() where localhost has two addresses", () => {
  beforeEach(() => {
    const lookup: Lookup = dns.lookup.bind(dns) as Lookup;
    const fake: Lookup = (...args) => {
      const [name, options] = args;
      const done = args.at(-1) as (error: null, ...found: unknown[]) => void;
      if (name !== "localhost") lookup(...args);
      else if ((options as dns.LookupOptions).all === true)
        done(
          null,
          [first, second].map((address) => ({ address, family: 4 })),
        );
      else done(null, first, 4);
    };
    vi.spyOn(dns, "lookup").mockImplementation(fake);
  });
  afterEach(() => vi.restoreAllMocks());

  async function start(options: Parameters<typeof makeApp>[0]): Promise<{
    test: TestApp;
    /** The scope of a request to `/slow`, which answers when it is told to. */
    arrived: Promise<Scope>;
    go: () => void;
    connect: (address: string) => RawConnection;
  }> {
    const test = await makeApp(options);
    const arrived = deferred<Scope>();
    const go = deferred();
    test.app.get("/fast", async () => "fast");
    test.app.get("/slow", async (request) => {
      arrived.resolve(request.scope);
      await go.promise;
      return "slow";
    });
    test.app.get("/waits", async (request) => {
      arrived.resolve(request.scope);
      await sleep(request.scope, 60_000);
    });
    test.app.get("/stuck", () => {
      arrived.resolve(undefined as never);
      return new Promise(() => undefined);
    });
    test.app.get("/large", async (request) => {
      setImmediate(() => arrived.resolve(request.scope));
      return large;
    });
    await test.app.listen({ port: 0, host: "localhost" });
    const bound = test.app.addresses() as AddressInfo[];
    expect(bound.map(({ address }) => address).toSorted()).toEqual([first, second]);
    const { port } = test.app.server.address() as AddressInfo;
    const connect = (address: string): RawConnection => {
      const connection = new RawConnection(port, address);
      onTestFinished(() => void connection.socket.destroy());
      return connection;
    };
    return { test, arrived: arrived.promise, go: go.resolve, connect };
  }

  it("waits for the requests of the second, and closes its connections", async () => {
    const { test, arrived, go, connect } = await start({ grace: 60_000 });
    const [idle, busy] = [connect(second), connect(second)];
    expect(await idle.request({ path: "/fast" }).answer).toMatchObject({ body: "fast" });
    const { answer } = busy.request({ path: "/slow" });
    const scope = await arrived;
    let isClosed = false;
    const closed = test.app.close().then(() => (isClosed = true));
    await once(idle.socket, "close");
    await flush();
    expect(isClosed).toBe(false);
    go();
    expect(await answer).toMatchObject({ status: 200, body: "slow", headers: { connection: "close" } });
    await closed;
    if (!busy.socket.closed) await once(busy.socket, "close");
    expect(scope).toMatchObject({ cancelled: false, state: "closed" });
  });

  it("refuses requests to the second address properly while the first is busy", async () => {
    const { test, arrived, go, connect } = await start({ grace: 60_000 });
    const { answer } = connect(first).request({ path: "/slow" });
    await arrived;
    const closed = test.app.close();
    await vi.waitFor(() => expect(test.app.server.listening).toBe(false), 10_000);
    const late = connect(second).request({ path: "/fast" });
    expect(await late.answer).toMatchObject({
      status: 503,
      complete: true,
      headers: { connection: "close" },
    });
    go();
    expect(await answer).toMatchObject({ status: 200, body: "slow" });
    await closed;
  });

  it("cancels the requests of both when the grace period is over, and names the stuck ones", async () => {
    const { test, arrived, connect } = await start({ grace: 0 });
    const { answer } = connect(second).request({ path: "/waits" });
    const scope = await arrived;
    const stuck = connect(second).request({ path: "/stuck" });
    await vi.waitFor(
      () => expect(test.log.filter(({ msg }) => msg === "incoming request")).toHaveLength(2),
      10_000,
    );
    await test.app.close();
    expect(await answer).toMatchObject({ status: 503, complete: true });
    expect(await stuck.answer).toMatchObject({ status: 503, complete: true });
    expect(scope.reason?.kind).toBe("shutdown");
    expect(test.complaints()).toMatchObject([{ stuck: [{ path: "server/GET /stuck" }] }]);
  });

  it("rule 32: sends an answer of the second to a slow client to its last byte", async () => {
    const { test, arrived } = await start({ grace: 60_000 });
    const { port } = test.app.server.address() as AddressInfo;
    const client = net.connect(port, second, () => client.write("GET /large HTTP/1.1\r\nHost: a\r\n\r\n"));
    onTestFinished(() => void client.destroy());
    await arrived;
    await flush(); // until it has been given to the response
    const closing = test.app.close();
    await once(test.app.server, "close"); // upon which Fastify closes the second
    let received = 0;
    client.on("data", (chunk) => (received += chunk.length));
    await once(client, "close");
    expect(received).toBeGreaterThan(large.length);
    await closing;
  });
});
