import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { all, sleep, spawn, type CancelledError } from "../index.js";
import { deferred, flush, outcomeOf, rejection } from "../../test/support/deferred.js";
import { exchange, ManualBody, nextPart, readerOf } from "../../test/support/web-requests.js";
import { fetchBough, requestScope, type CancelledOutcome } from "./index.js";

// Every way in which a request of a fetch-style host can end, as docs/web.md lists them. What real hosts do of it is in
// test/web-hosts.test.ts.

const forever = () => new Promise<never>(() => undefined);

/** A body that sends one part, and then waits in its request. */
function waitingBody(wait: () => Promise<unknown>): ReadableStream<Uint8Array> {
  let parts = 0;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (parts++ > 0) await wait();
        controller.enqueue(new Uint8Array([97]));
      },
    },
    { highWaterMark: 0 },
  );
}

describe("rule 35: the scope of a request with a body", () => {
  it("stays open until the host has read the body to its end", async () => {
    const body = new ManualBody();
    const { response, scope, ended } = exchange(() => new Response(body.stream));
    const reader = readerOf(await response);
    body.send("a");
    expect(await nextPart(reader)).toBe("a");
    expect(scope.state).toBe("open");
    body.end();
    expect(await nextPart(reader)).toBe(undefined);
    await ended;
    expect(scope).toMatchObject({ state: "closed", cancelled: false });
  });

  it("stops the tasks that still run when the body is sent, and waits for them", async () => {
    const body = new ManualBody();
    const task = deferred<CancelledError>();
    const { response, scope, ended } = exchange((_, own) => {
      spawn(own, (inner) => {
        inner.onCancel(task.resolve);
        return forever();
      });
      return new Response(body.stream);
    });
    const reader = readerOf(await response);
    body.end();
    await nextPart(reader);
    expect(await task.promise).toMatchObject({ kind: "closed" });
    await flush();
    expect(scope.state).toBe("cancelling"); // the task does not end
    expect(await outcomeOf(ended)).toBe("pending");
  });

  it("is cancelled as disconnected when the host cancels the body, and the source is cancelled", async () => {
    const body = new ManualBody();
    const outcomes: CancelledOutcome[] = [];
    const { response, scope, cancelled } = exchange(() => new Response(body.stream), {
      onCancelled: (outcome) => outcomes.push(outcome),
    });
    const reader = readerOf(await response);
    body.send("a");
    await nextPart(reader);
    await reader.cancel("gone");
    const reason = await cancelled;
    expect(reason).toMatchObject({ kind: "disconnected", scope: "server/GET /" });
    expect(await body.cancelled).toBe("gone");
    expect(outcomes).toEqual([{ status: 499, error: reason }]);
    await vi.waitFor(() => expect(scope.state).toBe("closed"), 10_000);
  });

  it.each([
    ["a string", "text", new TypeError("expected typed ArrayBufferView"), "failure"],
    ["a number", 7, new TypeError("This TransformStream is being used as a byte stream"), "failure"],
    ["a string, when the client leaves", "text", undefined, "disconnected"],
    ["a buffer, when the client leaves", new ArrayBuffer(1), undefined, "disconnected"],
    ["bytes, when the client leaves", new Uint8Array(1), new TypeError("fetch failed"), "disconnected"],
  ])(
    "is cancelled by the failure of the host with a chunk that it refuses: %s",
    async (_which, chunk, reason, kind) => {
      const outcomes: CancelledOutcome[] = [];
      let send: ((chunk: unknown) => void) | undefined;
      const start = (controller: ReadableStreamDefaultController<unknown>): void =>
        void (send = (value) => controller.enqueue(value));
      const { response, cancelled } = exchange(() => new Response(new ReadableStream({ start }) as never), {
        onCancelled: (outcome) => outcomes.push(outcome),
      });
      const reader = readerOf(await response);
      send?.(chunk);
      await reader.read();
      await reader.cancel(reason);
      expect((await cancelled)?.kind).toBe(kind);
      expect((await cancelled)?.cause).toBe(kind === "failure" ? reason : undefined);
      expect(outcomes.map(({ status }) => status)).toEqual(kind === "failure" ? [] : [499]);
    },
  );

  it.each([
    ["a number", 7],
    ["an object", { a: 1 }],
    ["undefined", undefined],
  ])("is cancelled by a chunk that the host refuses without a reason: %s", async (_which, chunk) => {
    const { response, cancelled } = exchange(
      () => new Response(new ReadableStream({ pull: (controller) => controller.enqueue(chunk) }) as never),
    );
    const reader = readerOf(await response);
    await reader.read();
    await reader.cancel();
    const { kind, cause } = (await cancelled) ?? {};
    expect(kind).toBe("failure");
    expect(cause).toBeInstanceOf(TypeError);
    expect((cause as TypeError).message).toMatch(
      /^fetchBough: a chunk of the response body must be a Uint8Array, got /,
    );
  });

  it("is cancelled before the source is, so that the source can see why", async () => {
    let kind: string | undefined;
    const { response } = exchange((_, scope) => {
      const source = { cancel: () => void (kind = scope.reason?.kind) };
      return new Response(new ReadableStream(source));
    });
    await readerOf(await response).cancel();
    expect(kind).toBe("disconnected");
  });

  it("fails with the source of the body, whose failure goes only to the host", async () => {
    const print = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const body = new ManualBody();
    const failure = new Error("planted");
    const { response, scope, cancelled } = exchange(() => new Response(body.stream));
    const reader = readerOf(await response);
    body.fail(failure);
    expect(await rejection(reader.read())).toBe(failure);
    expect(await cancelled).toMatchObject({ kind: "failure", cause: failure });
    await flush();
    await flush();
    expect(scope.errors).toEqual([failure]);
    expect(print).not.toHaveBeenCalled();
    print.mockRestore();
  });

  it("asks the source for no more than the host asks for", async () => {
    const body = new ManualBody();
    const { response } = exchange(() => new Response(body.stream));
    const reader = readerOf(await response);
    await flush();
    expect(body.pulls).toBe(1); // to see whether the body is complete
    body.send("a");
    body.send("b");
    expect([await nextPart(reader), await nextPart(reader)]).toEqual(["a", "b"]);
    await flush();
    expect(body.pulls).toBe(1);
    reader.read().catch(() => undefined);
    await flush();
    expect(body.pulls).toBe(2);
  });

  it("keeps parts of any size and kind, status, headers and cookies as they are", async () => {
    const body = new ManualBody();
    const headers = new Headers({ "x-a": "1" });
    headers.append("set-cookie", "a=1");
    headers.append("set-cookie", "b=2");
    const { response } = exchange(
      () => new Response(body.stream, { status: 201, statusText: "Made", headers }),
    );
    const received = await response;
    body.send("ä".repeat(70_000));
    body.end();
    expect(received).toMatchObject({ status: 201, statusText: "Made" });
    expect(received.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    expect(await received.text()).toBe("ä".repeat(70_000));
  });
});

describe("rule 35: a body of known length", () => {
  it("keeps its content-length", async () => {
    const body = new ManualBody();
    const headers = { "content-length": "3" };
    const { response } = exchange(() => new Response(body.stream, { headers }));
    expect((await response).headers.get("content-length")).toBe("3");
  });

  it("has been sent when all of it was read, even if the host cancels it then", async () => {
    const body = new ManualBody();
    const { response, scope, ended } = exchange(
      () => new Response(body.stream, { headers: { "content-length": "3" } }),
    );
    const reader = readerOf(await response);
    body.send("abc");
    await nextPart(reader);
    await reader.cancel();
    await ended;
    expect(scope).toMatchObject({ state: "closed", cancelled: false });
  });

  it("has not been sent when a byte is missing", async () => {
    const body = new ManualBody();
    const { response, cancelled } = exchange(
      () => new Response(body.stream, { headers: { "content-length": "4" } }),
    );
    const reader = readerOf(await response);
    body.send("abc");
    await nextPart(reader);
    await reader.cancel();
    expect((await cancelled).kind).toBe("disconnected");
  });

  it.each([
    ["a text", "hällo", "hällo"],
    ["bytes", new TextEncoder().encode("bytes"), "bytes"],
    ["an empty text", "", ""],
    ["search parameters", new URLSearchParams({ a: "1" }), "a=1"],
  ])("is complete at once, and stays of known length: %s", async (_, value, text) => {
    const { response, scope, ended } = exchange(() => new Response(value));
    const received = await response;
    expect(received.headers.get("content-length")).toBe(String(new TextEncoder().encode(text).byteLength));
    await ended;
    expect(scope).toMatchObject({ state: "closed", cancelled: false });
    expect(await received.text()).toBe(text);
  });
});

describe("rule 35: the scope ends at once, and the response is the handler's own", () => {
  it.each([
    ["it has no body", () => new Response(null)],
    ["it is a 204", () => new Response(null, { status: 204 })],
    ["it is a 205", () => new Response(null, { status: 205 })],
    ["it is a 304", () => new Response(null, { status: 304 })],
    ["it is Response.error()", () => Response.error()],
    ["it upgrades: 101", () => Object.defineProperty(new Response("x"), "status", { value: 101 })],
    ["it upgrades: a webSocket", () => Object.assign(new Response("x"), { webSocket: {} })],
    ["it upgrades: undefined", () => undefined],
    ["its body was read", () => readResponse()],
  ])("when %s", async (_, make) => {
    const made = await make();
    const { response, scope, ended } = exchange(() => made);
    expect(await response).toBe(made);
    await ended;
    expect(scope).toMatchObject({ state: "closed", cancelled: false });
  });

  it("when the request is a HEAD", async () => {
    const made = new Response(new ReadableStream());
    const { response, ended } = exchange(() => made, {}, { method: "HEAD" });
    expect(await response).toBe(made);
    await ended;
  });

  it.each([
    ["nobody uses it", () => undefined],
    ["its tasks have ended", (scope: Parameters<typeof spawn>[0]) => spawn(scope, () => Promise.resolve(1))],
    ["its listener was removed", (scope: Parameters<typeof spawn>[0]) => scope.onCancel(() => undefined)()],
    ["only its deadline is left", (scope: Parameters<typeof spawn>[0]) => void scope.deadline],
  ])("when nothing uses the scope: %s", async (_, use) => {
    const made = new Response(new ReadableStream());
    let state: () => string = () => "";
    const handle = fetchBough(
      async (_request: Request, scope) => {
        state = () => scope.state;
        await use(scope);
        return made;
      },
      { timeout: 60_000 },
    );
    expect(await handle(new Request("http://localhost/"))).toBe(made);
    expect(state()).toBe("closed");
  });

  it.each([
    ["a cleanup", (scope: Parameters<typeof spawn>[0]) => scope.defer(() => undefined)],
    ["its signal", (scope: Parameters<typeof spawn>[0]) => void scope.signal],
    ["a listener", (scope: Parameters<typeof spawn>[0]) => void scope.onCancel(() => undefined)],
    ["a task", (scope: Parameters<typeof spawn>[0]) => void spawn(scope, forever)],
    ["a daemon", (scope: Parameters<typeof spawn>[0]) => void spawn(scope, forever, { daemon: true })],
  ])("but not when something uses the scope: %s", async (_, use) => {
    let state: () => string = () => "";
    const handle = fetchBough((_request: Request, scope) => {
      state = () => scope.state;
      use(scope);
      return new Response(new ReadableStream());
    });
    const response = await handle(new Request("http://localhost/"));
    expect(state()).toBe("open");
    await response.body?.cancel();
  });
});

async function readResponse(): Promise<Response> {
  const response = new Response("x");
  await response.text();
  return response;
}

describe("rule 28: a client that leaves", () => {
  it("cancels the scope while the handler works, and gets a response of 499 and no rejection", async () => {
    const outcomes: CancelledOutcome[] = [];
    const { response, scope, cancelled, leave } = exchange((_, own) => sleep(own, 60_000), {
      onCancelled: (outcome) => outcomes.push(outcome),
    });
    await flush();
    leave();
    const reason = await cancelled;
    expect(reason.kind).toBe("disconnected");
    expect((await response).status).toBe(499);
    expect(outcomes).toEqual([{ status: 499, error: reason }]);
    await vi.waitFor(() => expect(scope.state).toBe("closed"), 10_000);
  });

  it("is noticed if it had left before the request came", async () => {
    const gone = AbortSignal.abort();
    const handle = fetchBough(async (_request: Request, scope) => {
      await sleep(scope, 60_000);
      return new Response("never");
    });
    expect((await handle(new Request("http://localhost/", { signal: gone }))).status).toBe(499);
  });

  it.each(["AbortError", "ECONNRESET"])("turns the failure of its upload into a 499: %s", async (kind) => {
    const failure =
      kind === "AbortError"
        ? new DOMException("", kind)
        : Object.assign(new Error("aborted"), { code: kind });
    const upload = deferred<never>();
    const { response, leave } = exchange(() => upload.promise);
    await flush();
    leave();
    upload.reject(failure);
    expect((await response).status).toBe(499);
  });

  it("is detected by the failed upload in Deno, by the name of its error", async () => {
    const failure = new Error("Cannot read body as underlying resource unavailable");
    failure.name = "BadResource";
    const { response, cancelled } = exchange(() => Promise.reject(failure));
    expect((await response).status).toBe(499);
    expect((await cancelled).kind).toBe("disconnected");
  });

  it("does not hide the failure of its handler from the host", async () => {
    const failure = new Error("planted");
    const work = deferred<never>();
    const { response, leave } = exchange(() => work.promise);
    await flush();
    leave();
    work.reject(failure);
    expect(await rejection(response)).toBe(failure);
  });

  it("receives nothing of a later response, whose body is cancelled", async () => {
    const body = new ManualBody();
    const work = deferred<Response>();
    const { response, leave } = exchange(() => work.promise);
    await flush();
    leave();
    work.resolve(new Response(body.stream));
    expect((await response).status).toBe(499);
    await body.cancelled;
  });

  it.each([
    ["never returns", () => forever()],
    ["returns later", (work: Promise<Response>) => work],
    ["fails later", (work: Promise<Response>) => work.then(() => Promise.reject(planted))],
  ])("gets 499 in place of an unfinished answer of respond(): the handler %s", async (_, handle) => {
    const [responding, answer, work] = [deferred(), deferred<Response>(), deferred<Response>()];
    const { response, leave } = exchange(() => handle(work.promise), {
      timeout: 1,
      respond: () => {
        responding.resolve();
        return answer.promise;
      },
      onError: () => undefined,
    });
    await responding.promise;
    leave();
    work.resolve(new Response("late"));
    expect((await response).status).toBe(499);
    const late = new ManualBody();
    answer.resolve(new Response(late.stream));
    await late.cancelled;
  });

  it("is not assumed when the signal aborts after the response was returned", async () => {
    const body = new ManualBody();
    const { response, scope, ended, leave } = exchange(async () => {
      await flush();
      await flush();
      return new Response(body.stream);
    });
    const reader = readerOf(await response);
    leave(); // as Deno and Hono do after a success
    body.send("a");
    expect(await nextPart(reader)).toBe("a");
    expect(scope.cancelled).toBe(false);
    body.end();
    await nextPart(reader);
    await ended;
    expect(scope).toMatchObject({ state: "closed", cancelled: false });
  });

  it("does not prevent an upgrade: some hosts abort the signal when they take the connection over", async () => {
    const { response, leave } = exchange(async () => {
      await flush();
      leave();
      return undefined;
    });
    expect(await response).toBe(undefined);
  });
});

describe("rule 30: a deadline", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("answers 503 for a handler that fails because of it", async () => {
    const outcomes: CancelledOutcome[] = [];
    const { response, scope } = exchange((_, own) => sleep(own, 60_000), {
      timeout: 100,
      onCancelled: (outcome) => outcomes.push(outcome),
    });
    await vi.advanceTimersByTimeAsync(100);
    const received = await response;
    expect(received.status).toBe(503);
    expect(await received.text()).toBe("Service Unavailable\n");
    expect(outcomes).toEqual([{ status: 503, error: scope.reason }]);
    expect(scope.reason?.kind).toBe("deadline");
  });

  it("answers 503 for a handler that ignores it, and discards the late answer", async () => {
    const work = deferred<Response>();
    const body = new ManualBody();
    const { response } = exchange(() => work.promise, { timeout: 100 });
    await vi.advanceTimersByTimeAsync(100);
    expect((await response).status).toBe(503);
    work.resolve(new Response(body.stream));
    await body.cancelled;
  });

  it.each([true, "x-left"])(
    "answers 504 if it came with the request: deadlineHeader %s",
    async (deadlineHeader) => {
      const name = deadlineHeader === true ? "x-request-timeout-ms" : String(deadlineHeader);
      const { response } = exchange(
        (_, own) => sleep(own, 60_000),
        { timeout: 1_000, deadlineHeader },
        { headers: { [name]: "50" } },
      );
      await vi.advanceTimersByTimeAsync(50);
      expect((await response).status).toBe(504);
    },
  );

  it.each(["", "-5", "1.5", "9".repeat(12), "soon"])(
    "is not taken from a malformed header: %j",
    async (value) => {
      const { scope } = exchange(
        () => forever(),
        { deadlineHeader: true },
        { headers: { "x-request-timeout-ms": value } },
      );
      expect(scope.deadline).toBe(undefined);
    },
  );

  it("does not replace the answer of a handler that gives one at once", async () => {
    const { response, scope } = exchange(
      async (_, own) => {
        await sleep(own, 60_000).catch(() => undefined);
        return new Response("mine");
      },
      { timeout: 100 },
    );
    await vi.advanceTimersByTimeAsync(100);
    expect(await (await response).text()).toBe("mine");
    expect(scope.reason?.kind).toBe("deadline");
  });

  it("answers 504 if it is the timeout of a call", async () => {
    const { response } = exchange((_, own) => spawn(own, (task) => sleep(task, 60_000), { timeout: 10 }));
    await vi.advanceTimersByTimeAsync(10);
    expect((await response).status).toBe(504);
  });

  it("cuts off a body that has begun and then sends nothing for a second", async () => {
    const body = new ManualBody();
    const outcomes: CancelledOutcome[] = [];
    const { response, scope } = exchange(() => new Response(body.stream), {
      timeout: 100,
      onCancelled: (outcome) => outcomes.push(outcome),
    });
    const reader = readerOf(await response);
    body.send("a");
    await nextPart(reader);
    const next = reader.read();
    next.catch(() => undefined);
    await vi.advanceTimersByTimeAsync(100);
    await flush();
    expect(scope.cancelled).toBe(true);
    body.send("b"); // the handler goes on
    expect(new TextDecoder().decode((await next).value)).toBe("b");
    const last = reader.read();
    last.catch(() => undefined);
    await vi.advanceTimersByTimeAsync(1_200);
    expect(await rejection(last)).toBe(scope.reason);
    expect(outcomes).toEqual([{ status: 503, error: scope.reason }]);
    expect(await body.cancelled).toBe(scope.reason);
  });

  it("reports a body whose source fails because of it, once, with 503", async () => {
    const outcomes: CancelledOutcome[] = [];
    const { response, scope } = exchange((_, own) => new Response(waitingBody(() => sleep(own, 60_000))), {
      timeout: 100,
      onCancelled: (outcome) => outcomes.push(outcome),
    });
    const reader = readerOf(await response);
    await nextPart(reader);
    const next = rejection(reader.read());
    await vi.advanceTimersByTimeAsync(100);
    expect(await next).toBe(scope.reason);
    await vi.waitFor(() => expect(scope.state).toBe("closed"), 10_000);
    expect(outcomes).toEqual([{ status: 503, error: scope.reason }]);
  });

  it("reports a body whose source fails by the timeout of a call, with 504", async () => {
    const outcomes: CancelledOutcome[] = [];
    const { response, ended } = exchange(
      (_, own) =>
        new Response(waitingBody(async () => spawn(own, (task) => sleep(task, 60_000), { timeout: 10 }))),
      { onCancelled: (outcome) => outcomes.push(outcome) },
    );
    const reader = readerOf(await response);
    await nextPart(reader);
    const next = rejection(reader.read());
    await vi.advanceTimersByTimeAsync(10);
    const error = await next;
    expect(error).toMatchObject({ kind: "deadline" });
    await ended;
    expect(outcomes).toEqual([{ status: 504, error }]);
  });

  it("is not the reason for a body whose source fails because of a task", async () => {
    const outcomes: CancelledOutcome[] = [];
    const boom = new Error("boom");
    const errors: unknown[] = [];
    const { response, ended } = exchange(
      (_, own) => {
        spawn(own, async (task) => {
          await sleep(task, 10);
          throw boom;
        });
        return new Response(waitingBody(() => sleep(own, 60_000)));
      },
      {
        timeout: 100,
        onCancelled: (outcome) => outcomes.push(outcome),
        onError: (error) => errors.push(error),
      },
    );
    const reader = readerOf(await response);
    await nextPart(reader);
    const next = rejection(reader.read());
    await vi.advanceTimersByTimeAsync(10);
    expect(await next).toMatchObject({ kind: "failure", cause: boom });
    await ended;
    expect([outcomes, errors]).toEqual([[], []]); // the host has received the failure
  });

  it("does not cut off a body that waits for its client", async () => {
    const body = new ManualBody();
    const { response, scope } = exchange(() => new Response(body.stream), { timeout: 100 });
    const reader = readerOf(await response);
    body.send("a");
    await nextPart(reader);
    body.send("b");
    await vi.advanceTimersByTimeAsync(5_000); // the client does not read
    expect(scope.reason?.kind).toBe("deadline");
    expect(await nextPart(reader)).toBe("b");
  });

  it("is answered by the application's own response", async () => {
    const { response } = exchange((_, own) => sleep(own, 60_000), {
      timeout: 100,
      respond: ({ status }, request) => Response.json({ status, at: request.url }, { status }),
    });
    await vi.advanceTimersByTimeAsync(100);
    const received = await response;
    expect(received.status).toBe(503);
    expect(await received.json()).toEqual({ status: 503, at: "http://localhost/" });
  });

  it.each([
    ["returns nothing", () => undefined],
    ["throws", () => Promise.reject(new Error("planted"))],
    ["takes too long", forever],
    ["returns a value that is not a response", () => "busy" as never],
    ["returns an object that is not a response", () => ({ status: 503 }) as never],
  ])("is answered by bough if the application's hook %s", async (_, respond) => {
    const print = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const { response } = exchange((_request, own) => sleep(own, 60_000), { timeout: 100, respond });
    await vi.advanceTimersByTimeAsync(1_200);
    expect((await response).status).toBe(503);
    print.mockRestore();
  });
});

describe("rule 30: a failure", () => {
  it.each([
    [
      "thrown",
      () => {
        throw planted;
      },
    ],
    ["rejected", () => Promise.reject(planted)],
  ])("goes to the host unchanged: %s", async (_, handler) => {
    const { response, scope } = exchange(handler);
    expect(await rejection(response)).toBe(planted);
    await flush();
    expect(scope).toMatchObject({ state: "closed", errors: [] });
  });

  it.each([
    ["a text", "planted"],
    ["a response", new Response("x")],
    ["undefined", undefined],
  ])("may be any value: %s", async (_, value) => {
    const { response } = exchange(() => Promise.reject(value));
    expect(await rejection(response)).toBe(value);
  });

  it("of a task goes to the host, and not the cancellation that followed", async () => {
    const { response, scope } = exchange(async (_, own) => {
      spawn(own, () => Promise.reject(planted));
      await sleep(own, 60_000);
    });
    expect(await rejection(response)).toBe(planted);
    expect(scope.reason).toMatchObject({ kind: "failure", cause: planted });
  });

  it("of a task that the handler has handled is not reported again", async () => {
    const print = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const { response } = exchange(async (_, own) => {
      const outcome = await all(own, [() => Promise.reject(planted)]).catch((error: unknown) => error);
      return new Response(String(outcome === planted), { status: 500 });
    });
    expect(await (await response).text()).toBe("true");
    await flush();
    await flush();
    expect(print).not.toHaveBeenCalled();
    print.mockRestore();
  });

  it("goes to onError if bough has answered before", async () => {
    vi.useFakeTimers();
    const errors: unknown[] = [];
    const work = deferred<never>();
    const { response } = exchange(() => work.promise, {
      timeout: 100,
      onError: (error) => errors.push(error),
    });
    await vi.advanceTimersByTimeAsync(100);
    expect((await response).status).toBe(503);
    work.reject(planted);
    await vi.advanceTimersByTimeAsync(0);
    expect(errors).toEqual([planted]);
    vi.useRealTimers();
  });

  it("of a task that is not awaited ends a silent handler with 500, and goes to onError", async () => {
    vi.useFakeTimers();
    const errors: unknown[] = [];
    const { response, scope } = exchange(
      (_, own) => {
        spawn(own, () => Promise.reject(planted));
        return forever();
      },
      { onError: (error) => errors.push(error) },
    );
    await vi.advanceTimersByTimeAsync(1_200);
    expect((await response).status).toBe(500);
    await vi.waitFor(() => expect(scope.state).toBe("closed"), 10_000);
    await flush();
    expect(errors).toEqual([planted]);
    vi.useRealTimers();
  });
});

const planted = new Error("planted");

describe("requestScope()", () => {
  it("applies the earliest deadline to the request", async () => {
    const { request, scope } = exchange(() => forever(), { timeout: 10_000 });
    requestScope(request, { timeout: 1_000 });
    const { deadline } = scope;
    requestScope(request, { timeout: 5_000 });
    expect(scope.deadline).toBe(deadline);
  });
});
