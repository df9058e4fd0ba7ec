import { PassThrough } from "node:stream";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { ScopeClosedError, sleep, spawn, type Scope } from "../index.js";
import { rejection } from "../../test/support/deferred.js";
import { exchange, ManualBody, nextPart, readerOf } from "../../test/support/web-requests.js";
import { fetchBough, requestScope, type CancelledOutcome } from "./index.js";

// Bodies that did not begin in the handler: of the upload, of another realm, of another class. What real hosts do of them is
// in test/web-bodies.test.ts.

const named = (name: string, message: string, rest: object = {}): Error =>
  Object.assign(new Error(message), { name, ...rest });
const unavailable = "Cannot read request body as underlying resource unavailable";

describe("rule 35: a body whose source fails", () => {
  it.each([
    ["Deno's error for an upload", named("BadResource", unavailable), false],
    [
      "the error of a fetch that sends the upload on",
      new TypeError("fetch failed", { cause: new Error(unavailable) }),
      false,
    ],
    [
      "Node's error for an upload, and the host says so",
      named("Error", "aborted", { code: "ECONNRESET" }),
      true,
    ],
    ["the client's abort, and the host says so", named("AbortError", "The connection was closed."), true],
  ])("is a disconnect, and no failure: %s", async (_which, error, leaves) => {
    const body = new ManualBody();
    const outcomes: CancelledOutcome[] = [];
    const { response, scope, cancelled, leave } = exchange(() => new Response(body.stream), {
      onCancelled: (outcome) => outcomes.push(outcome),
    });
    const reader = readerOf(await response);
    if (leaves) leave();
    body.fail(error);
    expect(await nextPart(reader)).toBe(undefined);
    const reason = await cancelled;
    expect(reason).toMatchObject({ kind: "disconnected" });
    expect(outcomes).toEqual([{ status: 499, error: reason }]);
    expect(scope.errors).toEqual([]);
  });

  it.each([
    ["the same errors from another server", named("Error", "aborted", { code: "ECONNRESET" }), false],
    ["an abort of the handler's own", named("AbortError", "The operation was aborted."), false],
    ["any other error, though the host has aborted the signal", new Error("planted"), true],
  ])("is a failure: %s", async (_which, error, leaves) => {
    const body = new ManualBody();
    const { response, scope, cancelled, leave } = exchange(() => new Response(body.stream), {
      onError: () => undefined,
    });
    const reader = readerOf(await response);
    if (leaves) leave();
    body.fail(error);
    await expect(reader.read()).rejects.toBe(error);
    expect(await cancelled).toMatchObject({ kind: "failure", cause: error });
    expect(scope.errors).toEqual([error]);
  });
});

describe("rule 35: a body of another kind", () => {
  it("is complete if its bytes come from another realm", async () => {
    const bytes = runInNewContext("new Uint8Array([104, 105])") as Uint8Array<ArrayBuffer>;
    expect(bytes).not.toBeInstanceOf(Uint8Array);
    const stream = new ReadableStream({
      start(controller) {
        controller.enqueue(bytes);
        controller.close();
      },
    });
    const { response, ended } = exchange(() => new Response(stream));
    const given = await response;
    expect(given.headers.get("content-length")).toBe("2");
    expect(await given.text()).toBe("hi");
    await ended;
  });

  it("goes to the host as it is if it is a stream of Node, as node-fetch has them, and ends the scope", async () => {
    const body = new PassThrough();
    const own = { status: 200, statusText: "", headers: new Headers(), body, bodyUsed: false };
    const { response, scope, ended } = exchange(() => own);
    expect(await response).toBe(own);
    await ended;
    expect(scope).toMatchObject({ state: "closed", cancelled: false });
    body.destroy();
  });
});

describe("rule 35: a body that first uses the scope after the handler has returned", () => {
  const message = (operation: string): string =>
    `${operation}: scope "server/GET /" is closed: it ended when the handler returned. ` +
    "If a stream uses it later, read its signal before you return the response";
  const uses: Readonly<Record<string, (scope: Scope) => unknown>> = {
    sleep: (scope) => sleep(scope, 1),
    spawn: (scope) => spawn(scope, () => 1),
    defer: (scope) => scope.defer(() => undefined),
  };

  it.each(["sleep", "spawn", "defer"])("fails with an error that says what to do: %s", async (operation) => {
    const handle = fetchBough((_request: Request, scope) => bodyThat(() => uses[operation]?.(scope)));
    const response = await handle(new Request("http://localhost/"));
    const error = await rejection(response.text());
    expect(error).toBeInstanceOf(ScopeClosedError);
    expect((error as Error).message).toBe(message(operation));
    await handle.shutdown();
  });

  it("fails in the same way if it is the first to ask for the scope", async () => {
    const handle = fetchBough({
      fetch: (request: Request) => bodyThat(() => sleep(requestScope(request), 1)),
    });
    const response = await handle(new Request("http://localhost/"));
    expect(await rejection(response.text())).toMatchObject({ message: message("sleep") });
    await handle.shutdown();
  });

  it("finds the scope open if the handler has read its signal", async () => {
    const handle = fetchBough((_request: Request, scope) => {
      void scope.signal;
      return bodyThat(() => sleep(scope, 1));
    });
    expect(await (await handle(new Request("http://localhost/"))).text()).toBe("a");
    await handle.shutdown();
  });
});

/** A response with a body of one part, which is made by then. */
function bodyThat(use: () => unknown): Response {
  const pull = async (controller: ReadableStreamDefaultController): Promise<void> => {
    await use();
    controller.enqueue(new TextEncoder().encode("a"));
    controller.close();
  };
  return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }));
}
