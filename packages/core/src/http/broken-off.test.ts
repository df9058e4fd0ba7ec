import { createServer, type ServerResponse } from "node:http";
import { describe, expect, it, onTestFinished } from "vitest";
import { deferred } from "../../test/support/deferred.js";
import { RawConnection } from "../../test/support/http-clients.js";
import { sleep, spawn, type Scope } from "../index.js";
import { requestScope, serverScope, type CancelledOutcome, type ServerScope } from "./index.js";

const boom = new Error("boom");

/** A server whose handler begins to answer, and what its hooks are told. */
async function serve(
  handler: (scope: Scope, response: ServerResponse) => void,
  options?: { timeout?: number; grace?: number },
): Promise<{ client: RawConnection; outcomes: CancelledOutcome[]; scope: ServerScope; errors: unknown[] }> {
  const outcomes: CancelledOutcome[] = [];
  const errors: unknown[] = [];
  const server = createServer((request, response) => {
    response.write("part");
    handler(requestScope(request, response), response);
  });
  const scope = serverScope(server, {
    ...options,
    onCancelled: (outcome) => void outcomes.push(outcome),
    onError: (error) => void errors.push(error),
  });
  onTestFinished(() => scope.close());
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const client = new RawConnection((server.address() as { port: number }).port);
  onTestFinished(() => void client.socket.destroy());
  return { client, outcomes, scope, errors };
}

describe("an answer that bough cuts off", () => {
  it("rule 30: does not count as a client that has left when a task has failed", async () => {
    const { client, outcomes, errors } = await serve((scope) => {
      void spawn(scope, () => Promise.reject(boom));
    });
    expect(await client.request().answer).toMatchObject({ body: "part", complete: false });
    await expect.poll(() => errors).toHaveLength(1);
    expect(errors[0]).toBe(boom);
    expect(outcomes).toEqual([]);
  });

  it("rule 30: does not count as a client that has left when the time of the request was up", async () => {
    const { client, outcomes } = await serve(
      (scope) => {
        void sleep(scope, 60_000).catch(() => undefined);
      },
      { timeout: 5 },
    );
    expect(await client.request().answer).toMatchObject({ complete: false });
    await expect.poll(() => outcomes).toMatchObject([{ status: 503, error: { kind: "deadline" } }]);
  });

  it.each(["waits in its scope", "is stuck"])(
    "rule 32: does not count as a client that has left when the server has shut down and its handler %s",
    async (way) => {
      const arrived = deferred();
      const released = deferred();
      const { client, outcomes, scope } = await serve(
        (own) => {
          if (way === "is stuck") void spawn(own, () => released.promise);
          else void sleep(own, 60_000).catch(() => undefined);
          arrived.resolve();
        },
        { grace: 0 },
      );
      const { answer } = client.request();
      await arrived.promise;
      const report = await scope.shutdown();
      expect(await answer).toMatchObject({ complete: false });
      expect(report.stuck.length > 0).toBe(way === "is stuck");
      expect(report.cutOff).toBe(1);
      expect(outcomes).toMatchObject([{ status: 503, error: { kind: "shutdown" } }]);
      released.resolve();
    },
  );

  it("rule 32: is counted by the shutdown if the handler has failed because of it", async () => {
    const arrived = deferred();
    const { client, scope } = await serve(
      (own, response) => {
        sleep(own, 60_000).catch(() => response.writeHead(500).end()); // a second answer: it breaks the first one off
        arrived.resolve();
      },
      { grace: 0 },
    );
    const { answer } = client.request();
    await arrived.promise;
    const report = await scope.shutdown();
    expect(await answer).toMatchObject({ complete: false });
    expect(report).toMatchObject({ cancelled: 1, stuck: [], cutOff: 1 });
  });

  it("rule 32: is not counted by the shutdown if the client has left meanwhile", async () => {
    const { client, scope, outcomes } = await serve((own) => {
      void sleep(own, 60_000).catch(() => undefined);
    });
    const request = client.request();
    await request.started;
    const report = scope.shutdown();
    request.abort();
    expect(await report).toMatchObject({ running: 1, cancelled: 0, cutOff: 0 });
    expect(outcomes).toMatchObject([{ status: 499 }]);
  });

  it("rule 30: counts as a client that has left when the client leaves first", async () => {
    const { client, outcomes } = await serve((scope) => {
      void sleep(scope, 60_000).catch(() => undefined);
    });
    const request = client.request();
    await request.started;
    request.abort();
    await expect.poll(() => outcomes).toMatchObject([{ status: 499, error: { kind: "disconnected" } }]);
  });
});
