import { Controller, Get, Injectable, Module, type Type } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { Test } from "@nestjs/testing";
import { describe, expect, it } from "vitest";
import { BoughError, sleep, type Scope } from "../../src/index.js";
import { expectCollected } from "../../src/testing/index.js";
import { BoughModule, BoughService, RequestScope, RequestTimeout } from "../../src/nest/index.js";
import { adapterNames, createApp, listen, makeAdapter, makeLogger, type LogLine } from "./nest-app.js";

@Controller()
class SlowController {
  @Get("slow")
  slow(@RequestScope() scope: Scope): Promise<void> {
    return sleep(scope, 60_000);
  }
}

@Injectable()
class Configuration {
  readonly timeout = 20;
}

@Module({ providers: [Configuration], exports: [Configuration] })
class ConfigurationModule {}

function moduleOf(metadata: Parameters<typeof Module>[0]): Type {
  class AppModule {}
  Module(metadata)(AppModule);
  return AppModule;
}

const quiet = { abortOnError: false, logger: false } as const;

describe.each(adapterNames)("BoughModule on %s", (name) => {
  it("gets its options from a factory", async () => {
    const module = moduleOf({
      imports: [
        BoughModule.forRootAsync({
          imports: [ConfigurationModule],
          inject: [Configuration],
          useFactory: ({ timeout }: Configuration) => ({ timeout, name: "shop" }),
        }),
      ],
      controllers: [SlowController],
    });
    const { connect, lines } = await listen(await createApp(name, module));
    expect((await connect().request({ path: "/slow" }).answer)?.status).toBe(503);
    expect(lines).toEqual([["warn", expect.stringContaining("in shop/GET /slow")]]);
  });

  it("works in an app of a test module, which gets its adapter later", async () => {
    const testing = await Test.createTestingModule({
      imports: [BoughModule.forRoot({ timeout: 20 })],
      controllers: [SlowController],
    }).compile();
    const lines: LogLine[] = [];
    const app = testing.createNestApplication(makeAdapter(name), { logger: makeLogger(lines) });
    const { connect } = await listen({ app, lines });
    const answer = await connect().request({ path: "/slow" }).answer;
    expect(answer?.status).toBe(503);
    expect(JSON.parse(answer?.body ?? "")).toEqual({ statusCode: 503, message: "Service Unavailable" });
    expect(lines.map(([level]) => level)).toEqual(["warn"]);
  });

  it("refuses to be imported twice with options", async () => {
    const module = moduleOf({ imports: [BoughModule.forRoot({ timeout: 1 }), BoughModule.forRoot()] });
    await expect(NestFactory.create(module, makeAdapter(name), quiet)).rejects.toThrow(
      new BoughError(
        "BOUGH_SERVER_SCOPE",
        "BoughModule.forRoot: the app imports it twice; import it once, in the root module",
      ),
    );
  });

  it("does not change another app of the process without the module", async () => {
    await NestFactory.create(moduleOf({ imports: [BoughModule.forRoot()] }), makeAdapter(name), quiet);
    @Controller()
    class BareController {
      @Get()
      get(): never {
        throw new TypeError("a bug");
      }
    }
    const { connect, lines } = await listen(
      await createApp(name, moduleOf({ controllers: [BareController] })),
    );
    expect((await connect().request().answer)?.status).toBe(500);
    expect(lines).toEqual([["error", "TypeError: a bug"]]);
  });

  it.each(["scope", "timeout"])(
    "its decorators throw an error that names it when it is not imported: %s",
    async (path) => {
      @Controller()
      class DecoratedController {
        @Get("scope")
        scope(@RequestScope() scope: unknown): boolean {
          return scope === undefined;
        }

        @Get("timeout")
        @RequestTimeout(20)
        timeout(): string {
          return "without a limit";
        }
      }
      const { connect, lines } = await listen(
        await createApp(name, moduleOf({ controllers: [DecoratedController] })),
      );
      expect((await connect().request({ path: `/${path}` }).answer)?.status).toBe(500);
      const decorator = path === "scope" ? "RequestScope" : "RequestTimeout";
      const message = `@${decorator}(): the request has no scope; import BoughModule.forRoot() in the root module, and use the decorator on HTTP handlers only`;
      expect(lines).toEqual([["error", String(new BoughError("BOUGH_NO_REQUEST_SCOPE", message))]]);
    },
  );

  it("closes an app that has not listened, and an app that has failed to start", async () => {
    const app = await NestFactory.create(
      moduleOf({ imports: [BoughModule.forRoot()] }),
      makeAdapter(name),
      quiet,
    );
    await app.init();
    await app.close();
    expect(app.get(BoughService).scope.draining).toBe(false); // that of a server that may listen again
    const other = await NestFactory.create(
      moduleOf({ imports: [BoughModule.forRoot()] }),
      makeAdapter(name),
      quiet,
    );
    await other.close();
  });

  it("does not hold the server of an app that is dropped without close()", { timeout: 60_000 }, async () => {
    await expectCollected(async () => {
      const module = moduleOf({ imports: [BoughModule.forRoot()], controllers: [SlowController] });
      const app = await NestFactory.create(module, makeAdapter(name), quiet);
      await app.init();
      return app.getHttpServer() as object;
    });
  });
});

describe("BoughModule", () => {
  it("does nothing in an app without a server, whose scope can't be read", async () => {
    const app = await NestFactory.createApplicationContext(
      moduleOf({ imports: [BoughModule.forRoot()] }),
      quiet,
    );
    const bough = app.get(BoughService);
    expect(() => bough.scope).toThrow(
      new BoughError(
        "BOUGH_SERVER_SCOPE",
        "BoughService.scope: the app has no HTTP server, or none yet; read it in onModuleInit, or later",
      ),
    );
    expect(() => bough.requestScope({})).toThrow(
      new BoughError("BOUGH_SERVER_SCOPE", "BoughService.requestScope: the app has no HTTP server"),
    );
    await app.close();
  });

  it.each([
    [{ timeout: -1 }, RangeError, "timeout must be"],
    [{ grace: "5s" }, TypeError, '"5s"'],
    [{ onCancelled: 1 }, TypeError, "onCancelled must be a function, got 1"],
    [{ parent: 1 }, TypeError, "parent must be a Scope"],
    [{ timout: 1 }, TypeError, '"timout"'],
  ])("refuses wrong options: %o", async (options, type, text) => {
    expect(() => BoughModule.forRoot(options as object)).toThrow(type);
    expect(() => BoughModule.forRoot(options as object)).toThrow(`BoughModule.forRoot: `);
    expect(() => BoughModule.forRoot(options as object)).toThrow(text);
    const module = moduleOf({
      imports: [BoughModule.forRootAsync({ useFactory: () => options as object })],
    });
    await expect(NestFactory.create(module, makeAdapter("express"), quiet)).rejects.toThrow(text);
  });

  it("refuses a wrong time: @RequestTimeout", () => {
    expect(() => RequestTimeout(-1)).toThrow(RangeError);
    expect(() => RequestTimeout("1s" as never)).toThrow(TypeError);
  });
});
