import { expect, it } from "vitest";
import { spawn, type CancelledError } from "../index.js";
import { collectGarbage } from "../testing/index.js";
import { fetchBough } from "./index.js";
import { untilCancelled } from "../../test/support/until-cancelled.js";

// Rule 19 for fetch-style hosts, as in http/dropped-server.test.ts.

it("rule 19: a fetchBough that was dropped is collected, and its jobs are cancelled", async () => {
  const reasons: CancelledError[] = [];
  const handle = await startJob(reasons);
  for (let attempt = 0; attempt < 10 && reasons.length === 0; attempt++) await collectGarbage();
  expect(handle.deref()).toBeUndefined();
  expect(reasons).toMatchObject([{ kind: "orphaned" }]);
});

it("rule 19: a request of an application that never asked for its scope is collected when it has ended", async () => {
  const handle = fetchBough({ fetch: async (request: Request) => new Response(request.method) });
  const requests = await serve(handle, 3);
  const left = (): number => requests.filter((request) => request.deref() !== undefined).length;
  for (let attempt = 0; attempt < 10 && left() > 0; attempt++) await collectGarbage();
  expect(left()).toBe(0);
  await handle.shutdown();
});

async function serve(
  handle: (request: Request) => Promise<unknown>,
  count: number,
): Promise<WeakRef<Request>[]> {
  const requests: WeakRef<Request>[] = [];
  while (requests.length < count) {
    const request = new Request("http://localhost/");
    await handle(request);
    requests.push(new WeakRef(request));
  }
  return requests;
}

/** A function of its own, so that no frame or context of the test's holds the handler. */
async function startJob(reasons: CancelledError[]): Promise<WeakRef<object>> {
  const handle = fetchBough((_request: Request, scope) => {
    scope.defer(() => undefined); // so that the request has a record
    return new Response("x");
  });
  await handle(new Request("http://localhost/"));
  spawn(handle.scope, (scope) =>
    untilCancelled(scope).catch((reason: CancelledError) => void reasons.push(reason)),
  );
  return new WeakRef(handle);
}
