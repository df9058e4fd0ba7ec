import {
  Controller,
  Get,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationShutdown,
  type OnModuleDestroy,
} from "@nestjs/common";
import { describe, expect, it, vi } from "vitest";
import { sleep, spawn, type CancelledError, type Scope } from "../../src/index.js";
import { BoughService, RequestScope } from "../../src/nest/index.js";
import { main } from "../../src/process/index.js";
import { deferred, flush, type Deferred } from "../support/deferred.js";
import { adapterNames, startApp, type AppInput } from "./nest-app.js";

let order: string[];
let working: Deferred<Scope>;
let release: Deferred<void>;

function prepareTest(): void {
  order = [];
  working = deferred();
  release = deferred();
}

/** A provider as apps have them: what requests use is closed by a hook. */
@Injectable()
class Database implements OnModuleDestroy, BeforeApplicationShutdown, OnApplicationShutdown {
  onModuleDestroy(): void {
    order.push("onModuleDestroy");
  }

  beforeApplicationShutdown(signal?: string): void {
    order.push(`beforeApplicationShutdown ${signal}`);
  }

  onApplicationShutdown(signal?: string): void {
    order.push(`onApplicationShutdown ${signal}`);
  }
}

@Controller()
class ShutdownController {
  constructor(private readonly bough: BoughService) {}

  @Get("finishing")
  async finishing(@RequestScope() scope: Scope): Promise<string> {
    working.resolve(scope);
    await release.promise;
    order.push("answered");
    return "done";
  }

  @Get("waiting")
  async waiting(@RequestScope() scope: Scope): Promise<void> {
    working.resolve(scope);
    await sleep(scope, 60_000).finally(() => order.push(`cancelled ${scope.reason?.kind}`));
  }

  @Get("stuck")
  stuck(@RequestScope() scope: Scope): Promise<void> {
    working.resolve(scope);
    return release.promise;
  }

  @Get("job")
  job(): string {
    spawn(
      this.bough.scope,
      async () => {
        await release.promise;
        order.push("job done");
      },
      { name: "job" },
    );
    return "accepted";
  }

  @Get("ready")
  ready(): boolean {
    return this.bough.scope.draining;
  }
}

const shutdownApp: AppInput = { controllers: [ShutdownController], providers: [Database] };
const hooks = ["onModuleDestroy", "beforeApplicationShutdown undefined", "onApplicationShutdown undefined"];

describe.each(adapterNames)("the shutdown of a Nest app on %s", (name) => {
  it("rule 32: lets running requests finish before Nest calls the first of its hooks", async () => {
    prepareTest();
    const { app, connect, lines } = await startApp(name, shutdownApp);
    const { answer } = connect().request({ path: "/finishing" });
    await working.promise;
    const closed = app.close();
    app.get(BoughService).scope.onShutdown(() => void order.push("onShutdown"));
    await flush();
    release.resolve();
    expect(await answer).toMatchObject({ status: 200, body: "done" });
    await closed;
    expect(order).toEqual(["onShutdown", "answered", ...hooks]);
    expect(lines).toEqual([]);
  });

  it("rule 32: cancels a request whose grace period is over, and answers it with 503", async () => {
    prepareTest();
    const { app, connect, lines } = await startApp(name, { ...shutdownApp, options: { grace: 20 } });
    const { answer } = connect().request({ path: "/waiting" });
    await working.promise;
    await app.close();
    const found = await answer;
    expect(found?.status).toBe(503);
    expect(JSON.parse(found?.body ?? "")).toEqual({ statusCode: 503, message: "Service Unavailable" });
    expect(order).toEqual(["cancelled shutdown", ...hooks]);
    const { reason } = await working.promise;
    expect(lines).toEqual([["warn", `GET /waiting has ended with 503: ${String(reason)}, in server`]]);
  });

  it("rule 32: answers the request of a stuck handler, and names it", async () => {
    prepareTest();
    const { app, connect, lines } = await startApp(name, { ...shutdownApp, options: { grace: 20 } });
    const { answer } = connect().request({ path: "/stuck" });
    await working.promise;
    await app.close();
    expect((await answer)?.status).toBe(503);
    expect(order).toEqual(hooks);
    expect(lines.map(([level]) => level)).toEqual(["warn", "warn"]);
    expect(lines[1]?.[1]).toMatch(/^server\/GET \/stuck is stuck after \d+ ms$/);
    release.resolve();
  });

  it("rule 29: waits for the jobs of the server, also without a request", async () => {
    prepareTest();
    const { app, connect } = await startApp(name, shutdownApp);
    expect((await connect().request({ path: "/job" }).answer)?.body).toBe("accepted");
    const closed = app.close();
    await flush();
    release.resolve();
    await closed;
    expect(order).toEqual(["job done", ...hooks]);
  });

  it("takes requests while it drains, which can see that", async () => {
    prepareTest();
    const { app, connect } = await startApp(name, { ...shutdownApp, options: { drainDelay: 60_000 } });
    const connection = connect();
    expect((await connection.request({ path: "/ready" }).answer)?.body).toBe("false");
    const { scope } = app.get(BoughService);
    const closed = app.close();
    await expect.poll(() => scope.draining).toBe(true);
    expect((await connection.request({ path: "/ready" }).answer)?.body).toBe("true");
    scope.cancel(); // which ends the delay
    await closed;
    expect(order).toEqual(hooks);
  });

  it("follows a signal, with enableShutdownHooks()", async () => {
    prepareTest();
    const kill = vi.spyOn(process, "kill").mockReturnValue(true);
    const { connect } = await startApp(name, {
      ...shutdownApp,
      prepare: (app) => void app.enableShutdownHooks(["SIGUSR2"]),
    });
    const { answer } = connect().request({ path: "/finishing" });
    await working.promise;
    process.emit("SIGUSR2", "SIGUSR2");
    await flush();
    release.resolve();
    expect((await answer)?.body).toBe("done");
    await expect.poll(() => kill.mock.calls).toEqual([[process.pid, "SIGUSR2"]]); // as Nest does, at the end
    kill.mockRestore();
    expect(order).toEqual([
      "answered",
      "onModuleDestroy",
      "beforeApplicationShutdown SIGUSR2",
      "onApplicationShutdown SIGUSR2",
    ]);
  });

  it("rule 32: follows main(), whose scope closes the app in a defer", async () => {
    prepareTest();
    const { exitCode, channel } = process;
    // `main` is not the last of this process, which belongs to the test runner: its channel has to keep it alive.
    const unref = channel === undefined ? undefined : vi.spyOn(channel, "unref").mockReturnValue(undefined);
    const { app, connect, lines } = await startApp(name, shutdownApp);
    const { answer } = connect().request({ path: "/finishing" });
    await working.promise;
    const ended = main(
      async (scope) => {
        scope.defer(() => app.close());
        await sleep(scope, Infinity);
      },
      { signals: ["SIGUSR2"], grace: 3_600_000 }, // after which it ends a process that still lives
    );
    process.emit("SIGUSR2", "SIGUSR2");
    await flush();
    release.resolve();
    expect(await answer).toMatchObject({ status: 200, body: "done" });
    await ended;
    unref?.mockRestore();
    process.exitCode = exitCode;
    expect(order).toEqual(["answered", ...hooks]);
    expect(lines).toEqual([]);
  });

  it("calls every hook and logs the error when a cleanup of the server's scope fails", async () => {
    prepareTest();
    const { app, lines } = await startApp(name, shutdownApp);
    app.get(BoughService).scope.defer(() => {
      throw new RangeError("a cleanup");
    });
    await app.close();
    expect(order).toEqual(hooks);
    expect(lines).toEqual([["error", "RangeError: a cleanup"]]);
  });

  it("logs the failure of a job that is not awaited as an error", async () => {
    prepareTest();
    const { app, lines } = await startApp(name, shutdownApp);
    const failing = async (): Promise<never> => Promise.reject(new RangeError("a job"));
    spawn(app.get(BoughService).scope, failing, { name: "mail" });
    await expect.poll(() => lines).toEqual([["error", "server/mail has failed: RangeError: a job"]]);
  });

  it("rule 32: happens once when close() is called twice", async () => {
    prepareTest();
    const { app, connect } = await startApp(name, { ...shutdownApp, options: { grace: 0 } });
    const { answer } = connect().request({ path: "/waiting" });
    const scope = await working.promise;
    await Promise.all([app.close(), app.close()]);
    expect((scope.reason as CancelledError).kind).toBe("shutdown");
    expect((await answer)?.status).toBe(503);
    expect(order).toEqual(["cancelled shutdown", ...hooks]);
  });
});
