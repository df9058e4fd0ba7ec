import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Controller, Get, Inject, Module, Param } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { describe, expect, it, onTestFinished } from "vitest";
import { spawn, type Scope, type Task } from "../../src/index.js";
import { BoughModule, BoughService, RequestScope } from "../../src/nest/index.js";
import { collectGarbage } from "../../src/testing/index.js";
import { deferred, type Deferred } from "../support/deferred.js";
import { RawConnection } from "../support/http-clients.js";
import { adapterNames, makeAdapter, type AdapterName } from "./nest-app.js";

// As in http/dropped-server.test.ts: a program that only starts its app keeps no reference to it.

let arrived: Deferred<Scope>;
let go: Deferred<void>;
const jobs: Task<void>[] = [];

@Controller()
class WaitingController {
  constructor(@Inject(BoughService) private readonly bough: BoughService) {}

  @Get("job")
  job(): string {
    jobs.push(spawn(this.bough.scope, () => go.promise));
    return "started";
  }

  @Get("waiting/:id")
  async waiting(@RequestScope() scope: Scope, @Param("id") id: string): Promise<string> {
    arrived.resolve(scope);
    await go.promise;
    return id;
  }
}

@Module({ imports: [BoughModule.forRoot()], controllers: [WaitingController] })
class AppModule {}

/** A function of its own, so that no frame of the test's holds the app. */
async function start(
  name: AdapterName,
): Promise<{ app: WeakRef<object>; server: WeakRef<Server>; port: number }> {
  const app = await NestFactory.create(AppModule, makeAdapter(name), { abortOnError: false, logger: false });
  await app.listen(0, "127.0.0.1");
  const server = app.getHttpServer() as Server;
  const { port } = server.address() as AddressInfo;
  return { app: new WeakRef(app), server: new WeakRef(server), port };
}

describe.each(adapterNames)("a Nest app on %s that no code refers to", (name) => {
  it("rule 29: serves on: its requests end in order, and its jobs run on", { timeout: 60_000 }, async () => {
    [arrived, go] = [deferred(), deferred()];
    const { app, server, port } = await start(name);
    const connection = new RawConnection(port);
    onTestFinished(() => {
      connection.socket.destroy();
      server.deref()?.closeAllConnections();
      server.deref()?.close();
    });
    for (let attempt = 0; attempt < 20 && app.deref() !== undefined; attempt++) await collectGarbage();
    expect(app.deref()).toBeUndefined();

    expect(await connection.request({ path: "/job" }).answer).toMatchObject({ status: 200, body: "started" });
    const answered = connection.request({ path: "/waiting/1" });
    const first = await arrived.promise;
    for (let attempt = 0; attempt < 5; attempt++) await collectGarbage();
    expect(first.state).toBe("open");
    const job = jobs.pop();
    expect(job?.status).toBe("running");
    go.resolve();
    expect(await answered.answer).toMatchObject({ status: 200, body: "1" });
    expect(first.reason).toBeUndefined();
    await expect(job).resolves.toBeUndefined();

    [arrived, go] = [deferred(), deferred()];
    const leaving = connection.request({ path: "/waiting/2" });
    const second = await arrived.promise;
    const cancelled = new Promise((resolve) => second.onCancel(resolve));
    leaving.abort();
    expect(await cancelled).toMatchObject({ kind: "disconnected" });
    go.resolve();
  });
});
