import { Readable } from "node:stream";
import { Controller, Get, Sse, StreamableFile } from "@nestjs/common";
import { Observable } from "rxjs";
import { describe, expect, it } from "vitest";
import { sleep, spawn, type CancelledError, type Scope } from "../../src/index.js";
import { RequestScope, RequestTimeout } from "../../src/nest/index.js";
import { deferred, type Deferred } from "../support/deferred.js";
import { adapterNames, startApp } from "./nest-app.js";

// Responses of Nest that are streams: they fail after their headers were sent.

let working: Deferred<Scope>;
const boom = new Error("boom");

type Parts = (scope: Scope) => AsyncIterable<string>;

async function* waits(scope: Scope): AsyncGenerator<string> {
  yield "a";
  await sleep(scope, 60_000);
}

async function* fails(scope: Scope): AsyncGenerator<string> {
  yield "a";
  await sleep(scope, 1);
  throw boom;
}

async function* awaitsFailingTask(scope: Scope): AsyncGenerator<string> {
  yield "a";
  spawn(scope, async (task) => {
    await sleep(task, 1);
    throw boom;
  });
  await sleep(scope, 60_000);
}

function observe(scope: Scope, parts: Parts): Observable<{ data: string }> {
  return new Observable((subscriber) => {
    const push = async (): Promise<void> => {
      for await (const data of parts(scope)) subscriber.next({ data });
    };
    push().then(
      () => subscriber.complete(),
      (error: unknown) => subscriber.error(error),
    );
  });
}

/** Every way in which a handler of Nest returns a stream. */
class Streams {
  protected readonly parts: Parts = waits;

  @Get("generator")
  generator(@RequestScope() scope: Scope): AsyncIterable<string> {
    working.resolve(scope);
    return this.parts(scope);
  }

  @Get("web-stream")
  webStream(@RequestScope() scope: Scope): ReadableStream {
    working.resolve(scope);
    return Readable.toWeb(Readable.from(this.parts(scope), { objectMode: false })) as ReadableStream;
  }

  @Get("web-response")
  webResponse(@RequestScope() scope: Scope): Response {
    return new Response(this.webStream(scope));
  }

  @Get("file")
  file(@RequestScope() scope: Scope): StreamableFile {
    working.resolve(scope);
    return new StreamableFile(Readable.from(this.parts(scope), { objectMode: false }));
  }

  @Sse("events")
  events(@RequestScope() scope: Scope): Observable<{ data: string }> {
    working.resolve(scope);
    return observe(scope, this.parts);
  }
}

@Controller("waits")
class Waits extends Streams {}

@Controller("limited")
@RequestTimeout(50)
class Limited extends Streams {}

@Controller("fails")
class Fails extends Streams {
  protected override readonly parts = fails;
}

@Controller("fails-in-a-task")
class FailsInTask extends Streams {
  protected override readonly parts = awaitsFailingTask;
}

const kinds = ["generator", "web-stream", "web-response", "file", "events"];
const controllers = [Waits, Limited, Fails, FailsInTask];

describe.each(adapterNames)("a stream of Nest on %s", (name) => {
  it.each(kinds)("rule 28: is not logged when its client leaves: %s", async (kind) => {
    working = deferred();
    const { connect, lines } = await startApp(name, { controllers });
    const exchange = connect().request({ path: `/waits/${kind}` });
    await exchange.started;
    const scope = await working.promise;
    exchange.abort();
    await expect.poll(() => scope.state).toBe("closed");
    expect(scope.reason?.kind).toBe("disconnected");
    expect(lines).toEqual([]);
  });

  it.each(kinds)(
    "rule 30: is broken off when its time is up, and logged as a warning, once: %s",
    async (kind) => {
      working = deferred();
      const { connect, lines } = await startApp(name, { controllers });
      const answer = await connect().request({ path: `/limited/${kind}` }).answer;
      expect(answer).toMatchObject({ status: 200, complete: false });
      const scope = await working.promise;
      await expect.poll(() => scope.state).toBe("closed");
      expect(scope.reason?.kind).toBe("deadline");
      const error = scope.reason as CancelledError;
      expect(lines).toEqual([
        ["warn", `GET /limited/${kind} has ended with 503: ${String(error)}, in server/GET /limited/${kind}`],
      ]);
    },
  );

  it.each(kinds)("rule 32: is broken off by a shutdown, and logged as a warning, once: %s", async (kind) => {
    working = deferred();
    const { app, connect, lines } = await startApp(name, { controllers, options: { grace: 0 } });
    const exchange = connect().request({ path: `/waits/${kind}` });
    await exchange.started;
    await app.close();
    expect(await exchange.answer).toMatchObject({ status: 200, complete: false });
    const { reason } = await working.promise;
    expect(reason?.kind).toBe("shutdown");
    expect(lines).toEqual([["warn", `GET /waits/${kind} has ended with 503: ${String(reason)}, in server`]]);
  });

  it.each(kinds)("is logged as an error when it fails: %s", async (kind) => {
    working = deferred();
    const { connect, lines } = await startApp(name, { controllers });
    await connect().request({ path: `/fails/${kind}` }).answer;
    await expect.poll(() => lines).toEqual(logsItself(kind, name) ? [] : [["error", String(boom)]]);
  });

  it.each(kinds)(
    "is logged with the failure of a task, not the cancellation that follows: %s",
    async (kind) => {
      working = deferred();
      const { connect, lines } = await startApp(name, { controllers });
      await connect().request({ path: `/fails-in-a-task/${kind}` }).answer;
      const unreceived = `server/GET /fails-in-a-task/${kind}/anonymous has failed: ${String(boom)}`;
      await expect
        .poll(() => lines)
        .toEqual(logsItself(kind, name) ? [["error", unreceived]] : [["error", String(boom)]]);
    },
  );
});

/** Whether Fastify, not Nest, logs the failure: as a warning. */
function logsItself(kind: string, name: string): boolean {
  return kind === "file" && name === "fastify";
}
