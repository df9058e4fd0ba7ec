import {
  Body,
  Catch,
  ConflictException,
  Controller,
  Get,
  HttpException,
  Inject,
  Injectable,
  Module,
  Post,
  Query,
  Req,
  Res,
  Sse,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type MiddlewareConsumer,
  type NestInterceptor,
  type NestMiddleware,
  type NestModule,
  type PipeTransform,
} from "@nestjs/common";
import { APP_FILTER } from "@nestjs/core";
import { FileInterceptor } from "@nestjs/platform-express";
import { from, Observable, switchMap, tap } from "rxjs";
import { describe, expect, it, onTestFinished } from "vitest";
import { sleep, spawn, withScope, type CancelledError, type Scope } from "../../src/index.js";
import type { CancelledOutcome } from "../../src/http/index.js";
import { BoughService, REQUEST_SCOPE, RequestScope, RequestTimeout } from "../../src/nest/index.js";
import { deferred, flush, type Deferred } from "../support/deferred.js";
import type { Exchange } from "../support/http-clients.js";
import { adapterNames, startApp, type AppInput } from "./nest-app.js";

/** The scope of the request that works, and what its handler has failed with. */
let working: Deferred<Scope>;
let failed: Deferred<unknown>;

function prepareTest(): void {
  working = deferred();
  failed = deferred();
}

/** Works until its scope is cancelled. */
async function work(scope: Scope): Promise<void> {
  working.resolve(scope);
  try {
    await sleep(scope, 60_000);
  } catch (error) {
    failed.resolve(error);
    throw error;
  }
}

const json = (answer: Awaited<Exchange["answer"]>): unknown => JSON.parse(answer?.body ?? "");

/** A catch-all filter as apps have them: answers 500 in a form of its own. */
@Catch()
class CatchAll implements ExceptionFilter {
  static readonly caught: unknown[] = [];

  catch(exception: unknown, host: ArgumentsHost): void {
    CatchAll.caught.push(exception);
    const response = host.switchToHttp().getResponse<{
      status: (code: number) => { send: (body: unknown) => unknown };
    }>();
    response.status(exception instanceof HttpException ? exception.getStatus() : 500).send({ own: "form" });
  }
}

/** Records the failure of the interceptors and the handler below. */
@Injectable()
class Observer implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    working.resolve(context.switchToHttp().getRequest<{ scope: Scope }>().scope);
    return next.handle().pipe(tap({ error: failed.resolve }));
  }
}

@Controller()
@UseFilters(CatchAll)
class FileController {
  @Post("file")
  @UseInterceptors(Observer, FileInterceptor("file"))
  file(): string {
    return "stored";
  }
}

@Controller()
class WorkController {
  @Get("work/:id")
  work(@RequestScope() scope: Scope): Promise<void> {
    return work(scope);
  }

  @Get("filtered")
  @UseFilters(CatchAll)
  filtered(@RequestScope() scope: Scope): Promise<void> {
    return work(scope);
  }

  @Get("deaf")
  deaf(@RequestScope() scope: Scope): Promise<string> {
    working.resolve(scope);
    return failed.promise.then(() => "late");
  }

  @Get("call")
  call(@RequestScope() scope: Scope): Promise<void> {
    return withScope(scope, { name: "stock", timeout: 5 }, (own) => sleep(own, 60_000));
  }

  @Get("conflict")
  conflict(): never {
    throw new ConflictException("taken");
  }

  @Get("bug")
  bug(): never {
    throw new TypeError("a bug");
  }

  @Get("task")
  task(@RequestScope() scope: Scope): Promise<void> {
    spawn(scope, async () => Promise.reject(new ConflictException("a task has found it taken")));
    return sleep(scope, 60_000);
  }

  @Get("short")
  @RequestTimeout(20)
  short(@RequestScope() scope: Scope): Promise<void> {
    return work(scope);
  }

  @Post("upload")
  upload(@Body() body: unknown): unknown {
    return body;
  }

  @Get("raw")
  raw(@RequestScope() scope: Scope, @Res() response: { send: (text: string) => unknown }): void {
    void sleep(scope, 1).then(() => response.send("by hand"));
  }

  @Get("observable")
  observable(@RequestScope() scope: Scope): Observable<string> {
    return from(work(scope)).pipe(switchMap(() => "never"));
  }

  @Sse("events")
  events(@RequestScope() scope: Scope): Observable<{ data: string }> {
    return new Observable((subscriber) => {
      subscriber.next({ data: "first" });
      work(scope).catch((error: unknown) => subscriber.error(error));
    });
  }
}

@Controller("limited")
@RequestTimeout(20)
class LimitedController {
  @Get()
  get(@RequestScope() scope: Scope): Promise<void> {
    return work(scope);
  }
}

const workApp: AppInput = { controllers: [WorkController, LimitedController] };

describe.each(adapterNames)("a request of Nest on %s", (name) => {
  it("rule 31: has a scope that is named by its route and ends with the response", async () => {
    prepareTest();
    const { connect, lines } = await startApp(name, workApp);
    const { answer } = connect().request({ path: "/deaf" });
    const scope = await working.promise;
    expect(scope.path).toBe("server/GET /deaf");
    expect(scope.state).toBe("open");
    failed.resolve(undefined);
    expect((await answer)?.body).toBe("late");
    await expect.poll(() => scope.state).toBe("closed");
    expect(scope.cancelled).toBe(false);
    expect(lines).toEqual([]);
  });

  it("rule 30: is answered with 503 when its time is up, and logged as a warning, once", async () => {
    prepareTest();
    const { connect, lines } = await startApp(name, { ...workApp, options: { timeout: 20 } });
    const answer = await connect().request({ path: "/work/7?token=secret" }).answer;
    expect(answer?.status).toBe(503);
    expect(json(answer)).toEqual({ statusCode: 503, message: "Service Unavailable" });
    const error = (await failed.promise) as CancelledError;
    expect(error).toBe((await working.promise).reason);
    expect(lines).toEqual([
      ["warn", `GET /work/:id has ended with 503: ${String(error)}, in server/GET /work/:id`],
    ]);
  });

  it("rule 30: is answered with 503 when its handler does not notice", async () => {
    prepareTest();
    const { connect, lines } = await startApp(name, { ...workApp, options: { timeout: 20 } });
    const answer = await connect().request({ path: "/deaf" }).answer;
    expect(json(answer)).toEqual({ statusCode: 503, message: "Service Unavailable" });
    failed.resolve(undefined); // and then the handler answers
    await expect.poll(async () => (await working.promise).state).toBe("closed");
    expect(lines.map(([level]) => level)).toEqual(["warn"]);
  });

  it("rule 30: is answered with 504 when a call of its handler has run out of time", async () => {
    const { connect, lines } = await startApp(name, workApp);
    const answer = await connect().request({ path: "/call" }).answer;
    expect(answer?.status).toBe(504);
    expect(json(answer)).toEqual({ statusCode: 504, message: "Gateway Timeout" });
    const text =
      "GET /call has ended with 504: TimeoutError: timed out after 5 ms, in server/GET /call/stock";
    expect(lines).toEqual([["warn", text]]);
  });

  it("rule 28: is cancelled as disconnected when its client leaves, and is not logged", async () => {
    prepareTest();
    const { connect, lines } = await startApp(name, workApp);
    for (const path of ["/work/1", "/observable", "/filtered"]) {
      prepareTest();
      const left = connect().request({ path });
      const scope = await working.promise;
      left.abort();
      expect(((await failed.promise) as CancelledError).kind).toBe("disconnected");
      await expect.poll(() => scope.state).toBe("closed");
    }
    expect(lines).toEqual([]);
  });

  it("rule 30: does not reach the app's catch-all filters when it is cancelled", async () => {
    prepareTest();
    CatchAll.caught.length = 0;
    const outcomes: CancelledOutcome[] = [];
    const { connect, lines } = await startApp(name, {
      ...workApp,
      providers: [{ provide: APP_FILTER, useClass: CatchAll }],
      options: { onCancelled: (outcome) => void outcomes.push(outcome) },
    });
    const left = connect().request({ path: "/filtered" });
    await working.promise;
    left.abort();
    await failed.promise;
    await expect.poll(() => outcomes.length).toBe(1);
    expect((await connect().request({ path: "/short" }).answer)?.status).toBe(503);
    expect((await connect().request({ path: "/call" }).answer)?.status).toBe(504);
    expect(outcomes.map(({ status }) => status)).toEqual([499, 503, 504]);
    expect(CatchAll.caught).toEqual([]);
    expect(lines.filter(([level]) => level === "error")).toEqual([]);
    // Every other failure does.
    expect(json(await connect().request({ path: "/bug" }).answer)).toEqual({ own: "form" });
    expect(CatchAll.caught).toEqual([new TypeError("a bug")]);
  });

  it("rule 30: leaves every other failure to Nest, unchanged", async () => {
    const { connect, lines } = await startApp(name, workApp);
    const conflict = await connect().request({ path: "/conflict" }).answer;
    expect(json(conflict)).toEqual({ statusCode: 409, error: "Conflict", message: "taken" });
    expect(json(await connect().request({ path: "/bug" }).answer)).toEqual({
      statusCode: 500,
      message: "Internal server error",
    });
    expect((await connect().request({ path: "/nowhere" }).answer)?.status).toBe(404);
    expect(lines).toEqual([["error", "TypeError: a bug"]]);
  });

  it("rule 30: passes the exception of a failed task to the filters, not the cancellation that follows", async () => {
    const { connect, lines } = await startApp(name, workApp);
    const answer = await connect().request({ path: "/task" }).answer;
    expect(json(answer)).toEqual({
      statusCode: 409,
      error: "Conflict",
      message: "a task has found it taken",
    });
    expect(lines).toEqual([]);
  });

  it("has the time that @RequestTimeout gives its handler or controller, if the module's is longer", async () => {
    prepareTest();
    const { connect } = await startApp(name, { ...workApp, options: { timeout: 60_000 } });
    for (const path of ["/short", "/limited"])
      expect((await connect().request({ path }).answer)?.status).toBe(503);
  });

  it("may be answered by hand, with @Res()", async () => {
    const { connect, lines } = await startApp(name, workApp);
    expect((await connect().request({ path: "/raw" }).answer)?.body).toBe("by hand");
    expect(lines).toEqual([]);
  });

  it("rule 30: that breaks off its upload is not logged", async () => {
    const outcomes: CancelledOutcome[] = [];
    let arrived = 0;
    const { connect, lines } = await startApp(name, {
      ...workApp,
      options: { onCancelled: (outcome) => void outcomes.push(outcome) },
      prepare: (app) => app.getHttpServer().on("request", () => (arrived += 1)),
    });
    const upload = connect().request({
      method: "POST",
      path: "/upload",
      headers: { "content-type": "application/json" },
      length: 100,
    });
    upload.write('{"half":');
    await expect.poll(() => arrived).toBe(1);
    upload.abort();
    await expect.poll(() => outcomes.map(({ status }) => status)).toEqual([499]);
    expect(lines).toEqual([]);
  });

  it.runIf(name === "express").each(["deadline", "shutdown"])(
    "rule 30: is logged once, and reaches no filter, if its upload to a file interceptor ends with bough's answer: %s",
    async (kind) => {
      prepareTest();
      CatchAll.caught.length = 0;
      const { app, connect, lines } = await startApp(name, {
        controllers: [FileController],
        options: kind === "deadline" ? { timeout: 50 } : { grace: 0 },
      });
      const upload = connect().request({
        method: "POST",
        path: "/file",
        headers: { "content-type": "multipart/form-data; boundary=X" },
        length: 1_000,
      });
      upload.write('--X\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nabc');
      await working.promise;
      if (kind === "shutdown") await app.close();
      expect(await upload.answer).toMatchObject({ status: 503 });
      expect(await failed.promise).toMatchObject({ message: "Request aborted" }); // Nest destroys the request
      await flush();
      expect(CatchAll.caught).toEqual([]);
      const warnings = lines.filter(([, text]) => text.includes("POST /file has ended with 503"));
      expect(warnings).toHaveLength(1);
      expect(lines.map(([level]) => level)).not.toContain("error");
    },
  );

  it("rule 28: of server-sent events is cancelled when its client leaves, and is not logged", async () => {
    prepareTest();
    const { connect, lines } = await startApp(name, workApp);
    const events = connect().request({ path: "/events" });
    await events.started;
    const scope = await working.promise;
    events.abort();
    await expect.poll(() => scope.state).toBe("closed");
    expect(scope.reason?.kind).toBe("disconnected");
    expect(lines).toEqual([]);
  });

  it("is reported to onCancelled and answered by respond, with the request and the response of the adapter", async () => {
    const told: unknown[] = [];
    const { connect } = await startApp(name, {
      ...workApp,
      options: {
        timeout: 20,
        onCancelled: (
          { status }: CancelledOutcome,
          request: { url: string },
          response: { status: unknown },
        ) => void told.push([status, request.url, typeof response.status]),
        respond: (
          { status }: CancelledOutcome,
          request: { url: string },
          response: { status: (code: number) => { send: (body: unknown) => unknown } },
        ) => response.status(status).send({ of: request.url }),
      },
    });
    prepareTest();
    const answer = await connect().request({ path: "/work/3" }).answer;
    expect(answer?.status).toBe(503);
    expect(json(answer)).toEqual({ of: "/work/3" });
    expect(told).toEqual([[503, "/work/3", "function"]]);
  });
});

// Everything that Nest calls around a handler, each of which may wait in the scope.

@Injectable()
class WaitingGuard implements CanActivate {
  constructor(private readonly bough: BoughService) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    await work(this.bough.requestScope(context.switchToHttp().getRequest()));
    return true;
  }
}

@Injectable()
class WaitingInterceptor implements NestInterceptor {
  constructor(private readonly bough: BoughService) {}

  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    await work(this.bough.requestScope(context.switchToHttp().getRequest()));
    return next.handle();
  }
}

@Injectable()
class WaitingPipe implements PipeTransform {
  constructor(@Inject(REQUEST_SCOPE) private readonly scope: Scope) {}

  async transform(value: unknown): Promise<unknown> {
    await work(this.scope);
    return value;
  }
}

@Injectable()
class WaitingMiddleware implements NestMiddleware {
  constructor(private readonly bough: BoughService) {}

  use(request: unknown, _response: unknown, next: (error?: unknown) => void): void {
    // oxlint-disable-next-line promise/no-callback-in-promise -- how middleware passes a failure on
    work(this.bough.requestScope(request)).then(() => next(), next);
  }
}

@Controller()
class AroundController {
  @Get("guard")
  @UseGuards(WaitingGuard)
  guard(): string {
    return "guarded";
  }

  @Get("interceptor")
  @UseInterceptors(WaitingInterceptor)
  interceptor(): string {
    return "intercepted";
  }

  @Get("pipe")
  @UsePipes(WaitingPipe)
  pipe(@Query("a") a: string): string {
    return a;
  }

  @Get("middleware")
  middleware(): string {
    return "passed";
  }
}

@Module({ controllers: [AroundController] })
class AroundModule implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(WaitingMiddleware).forRoutes("middleware");
  }
}

describe.each(adapterNames)("around a handler of Nest on %s", (name) => {
  it.each(["guard", "interceptor", "pipe", "middleware"])(
    "rule 30: a %s that fails because the time is up, or the client has gone, is not an error",
    async (what) => {
      prepareTest();
      const { connect, lines } = await startApp(name, {
        imports: [AroundModule],
        options: { timeout: 200 },
      });
      const left = connect().request({ path: `/${what}?a=1` });
      await working.promise;
      left.abort();
      expect(((await failed.promise) as CancelledError).kind).toBe("disconnected");
      prepareTest();
      const answer = await connect().request({ path: `/${what}?a=1` }).answer;
      expect(answer?.status).toBe(503);
      expect(json(answer)).toEqual({ statusCode: 503, message: "Service Unavailable" });
      expect(lines.map(([level]) => level)).toEqual(["warn"]);
    },
  );
});

// Injection.

let made: string[] = [];

@Injectable()
class SingleService {
  constructor() {
    made.push("SingleService");
  }
}

@Injectable()
class ScopedService {
  constructor(
    @Inject(REQUEST_SCOPE) readonly scope: Scope,
    readonly single: SingleService,
  ) {
    made.push("ScopedService");
    scope.defer(() => void made.push("cleaned up"));
  }
}

@Controller("scoped")
class ScopedController {
  constructor(private readonly service: ScopedService) {
    made.push("ScopedController");
  }

  @Get()
  get(@RequestScope() scope: Scope, @Req() request: { scope: Scope }): boolean {
    return this.service.scope === scope && scope === request.scope;
  }
}

@Controller("single")
class SingleController {
  constructor(readonly service: SingleService) {
    made.push("SingleController");
  }

  @Get()
  get(): string {
    return "single";
  }
}

describe.each(adapterNames)("the injected scope of Nest on %s", (name) => {
  it("rule 31: is that of the request, and only providers that inject it are made again for each request", async () => {
    made = [];
    onTestFinished(() => void (made = []));
    const { connect } = await startApp(name, {
      controllers: [ScopedController, SingleController],
      providers: [ScopedService, SingleService],
    });
    expect(made.toSorted()).toEqual(["SingleController", "SingleService"]);
    const connection = connect();
    for (const path of ["/single", "/single", "/scoped", "/scoped"])
      expect((await connection.request({ path }).answer)?.body).toBe(path === "/single" ? "single" : "true");
    await expect.poll(() => made.filter((what) => what === "cleaned up").length).toBe(2);
    expect(made.filter((what) => what !== "cleaned up")).toEqual([
      "SingleService",
      "SingleController",
      "ScopedService",
      "ScopedController",
      "ScopedService",
      "ScopedController",
    ]);
  });
});
