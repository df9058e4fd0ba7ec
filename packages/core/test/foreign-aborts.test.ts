import axios from "axios";
import express, { type NextFunction, type Request, type Response } from "express";
import { once } from "node:events";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { expressBough } from "../src/express/index.js";
import {
  createScope,
  DeadlineExceededError,
  race,
  spawn,
  withScope,
  type Scope,
  type Task,
} from "../src/index.js";
import { abortingClients, startSilentServers, type SilentServers } from "./support/aborting-clients.js";
import { Child } from "./support/child.js";
import { deferred, flush, rejection } from "./support/deferred.js";
import { INFO, listen, makeApp } from "./support/fastify-app.js";
import { RawConnection } from "./support/http-clients.js";
import { nodes } from "./support/nodes.js";
import { scriptFolder } from "./support/run-script.js";

// The errors with which real clients reject when their signal aborts count as the cancellation, not as failures (rule
// 12).

let servers: SilentServers;
beforeEach(async () => {
  servers = await startSilentServers();
});
afterEach(() => servers.close());

describe.each(Object.entries(abortingClients))("a call of %s that is aborted", (_, { call, requests }) => {
  it("rule 12: does not make close() reject", async () => {
    const scope = createScope();
    const task: Task<unknown> = spawn(scope, ({ signal }) => call(signal, servers));
    await servers.requests(requests);
    await scope.close();
    expect(task.status).toBe("cancelled");
    expect(scope.errors).toEqual([]);
    expect(await rejection(task)).toBe(scope.reason);
  });

  it("rule 12: loses a race without a failure", async () => {
    const winner = withScope((scope) =>
      race(scope, [
        ({ signal }: Scope) => call(signal, servers),
        async () => {
          await servers.requests(requests);
          return "winner";
        },
      ]),
    );
    expect(await winner).toBe("winner");
  });

  it("rule 12: ends a scope whose timeout has passed with its DeadlineExceededError", async () => {
    let scope: Scope | undefined;
    const error = await rejection(
      withScope({ timeout: 20 }, (own) => {
        scope = own;
        return call(own.signal, servers);
      }),
    );
    expect(error).toBeInstanceOf(DeadlineExceededError);
    expect(error).toBe(scope?.reason);
  });
});

/** Those whose errors are called neither AbortError nor our reason. */
const foreign = ["axios", "OpenAI 7", "OpenAI 6", "Anthropic", "superagent", "gaxios", "grpc-js"] as const;

describe.each(foreign)(
  "a handler whose call of %s is aborted because the client has disconnected",
  (name) => {
    const { call } = abortingClients[name] as (typeof abortingClients)[string];

    it("rule 30: is not an error to Express, whose log shows 499", async () => {
      const logged = vi.spyOn(console, "error").mockImplementation(() => undefined);
      onTestFinished(() => logged.mockRestore());
      const errors: unknown[] = [];
      const status = deferred<number>();
      const app = express();
      app.set("env", "production");
      app.use(expressBough());
      app.get("/", async (request: Request, response: Response) => {
        response.on("close", () => void flush().then(() => status.resolve(response.statusCode)));
        response.json(await call(request.scope.signal, servers));
      });
      app.use((error: unknown, _request: Request, response: Response, _next: NextFunction) => {
        errors.push(error);
        response.status(500).end();
      });
      const server = app.listen(0, "127.0.0.1");
      onTestFinished(() => void server.close());
      await once(server, "listening");
      const connection = new RawConnection((server.address() as AddressInfo).port);
      connection.socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
      await servers.requests(1);
      connection.socket.destroy();
      expect(await status.promise).toBe(499);
      expect(errors).toEqual([]);
      expect(logged).not.toHaveBeenCalled();
    });

    it("rule 30: is not an error to Fastify, which logs it as 499 at level info", async () => {
      const { app, log, errors, complaints } = await makeApp();
      app.get("/", async (request) => call(request.scope.signal, servers));
      const connect = await listen(app);
      const { socket } = connect();
      socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
      await servers.requests(1);
      socket.destroy();
      await app.close();
      expect(errors).toEqual([]);
      expect(complaints()).toEqual([]);
      expect(log.filter(({ statusCode }) => statusCode === 499).map(({ level }) => level)).toEqual([INFO]);
    });
  },
);

it("rule 12: a client whose abort bough does not know is not a failure where the server's isCancellation says so", async () => {
  const { app, errors, complaints } = await makeApp({
    isCancellation: (error) => error instanceof Error && error.message === "aborted by the driver",
  });
  const begun = deferred();
  app.get("/", ({ scope }) => {
    begun.resolve();
    return new Promise((_, reject) => scope.onCancel(() => reject(new Error("aborted by the driver"))));
  });
  const connect = await listen(app);
  const { socket } = connect();
  socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  await begun.promise;
  socket.destroy();
  await app.close();
  expect(errors).toEqual([]);
  expect(complaints()).toEqual([]);
});

it("rule 12: a call that fails in an open scope is a failure with the client's own error", async () => {
  const own = new AbortController();
  own.abort();
  const error = await rejection(withScope(() => axios.get(servers.url, { signal: own.signal })));
  expect(axios.isCancel(error)).toBe(true);
});

for (const node of nodes()) {
  describe.skipIf(!node.path)(`rule 33: main() on ${node.label}`, { timeout: 20_000 }, () => {
    it.each([
      ["SIGINT", 130],
      ["SIGTERM", 143],
    ] as const)("exits with the code of %s when axios is aborted by it", async (signal, code) => {
      const scripts = await scriptFolder("process");
      onTestFinished(() => scripts.remove());
      const path = createRequire(import.meta.url).resolve("axios");
      const child = new Child(node.path as string, [
        scripts.write(`
          const { default: axios } = await import(${JSON.stringify(path)});
          await main(async ({ signal }) => {
            const call = axios.get(${JSON.stringify(servers.url)}, { signal });
            log("ready");
            await call;
          });
        `),
      ]);
      onTestFinished(() => child.kill("SIGKILL"));
      await child.printed("ready\n");
      child.kill(signal);
      expect(await child.ending()).toMatchObject({ code, stderr: "" });
    });

    it("exits with the code of the signal when isCancellation says that an error is the cancellation", async () => {
      const scripts = await scriptFolder("process");
      onTestFinished(() => scripts.remove());
      const child = new Child(node.path as string, [
        scripts.write(`
          await main(
            (scope) => new Promise((_, reject) => {
              scope.onCancel(() => reject(new Error("driver closed")));
              log("ready");
            }),
            { isCancellation: ({ message }, { kind }) => message === "driver closed" && kind === "shutdown" },
          );
        `),
      ]);
      onTestFinished(() => child.kill("SIGKILL"));
      await child.printed("ready\n");
      child.kill("SIGTERM");
      expect(await child.ending()).toMatchObject({ code: 143, stderr: "" });
    });
  });
}
