import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { All, Body, Controller, Param, Req, StreamableFile } from "@nestjs/common";
import type { FastifyInstance } from "fastify";
import { describe, it } from "vitest";
import { serverScope } from "../../src/http/index.js";
import type { Scope } from "../../src/index.js";
import { RequestScope } from "../../src/nest/index.js";
import type { MixedLog } from "../support/mixed-log.js";
import {
  expectExactCancellations,
  expectPlantsFound,
  respondMixed,
  type MakeServer,
} from "../support/mixed-node-host.js";
import { adapterNames, startApp, type AdapterName } from "./nest-app.js";

let log: MixedLog;
let server: Server;

@Controller()
class MixedController {
  @All(":id/:what")
  async get(
    @RequestScope() scope: Scope,
    @Param("id") id: string,
    @Param("what") what: string,
    @Body() parsed: unknown,
    @Req() request: IncomingMessage & { raw?: IncomingMessage },
  ): Promise<unknown> {
    const body = async (): Promise<string> =>
      what === "body" ? JSON.stringify(parsed) : text(request.raw ?? request);
    const answer = await respondMixed(log, { id, what, scope, root: serverScope(server), body });
    return typeof answer === "string" ? answer : new StreamableFile(answer);
  }
}

function overNest(name: AdapterName): MakeServer {
  return async (own, logged) => {
    log = own;
    const { app } = await startApp(name, {
      controllers: [MixedController],
      options: { onCancelled: log.onCancelled },
      lines: logged as never,
      prepare: (made) => {
        if (name === "fastify")
          (made.getHttpAdapter().getInstance() as FastifyInstance).addContentTypeParser(
            "application/octet-stream",
            (_request, payload, done) => done(null, payload),
          );
        made.use(async (request: IncomingMessage, _response: ServerResponse, next: () => void) => {
          await log.arrive((request as { originalUrl?: string }).originalUrl ?? request.url ?? "");
          next();
        });
      },
    });
    server = app.getHttpServer() as Server;
    return server;
  };
}

describe.each(adapterNames)("NestJS on %s", (name) => {
  it(
    "rule 28: under thousands of mixed requests cancels those of disconnected clients, and no others",
    { timeout: 240_000 },
    () => expectExactCancellations(`NestJS on ${name}`, overNest(name)),
  );

  it("is tested under mixed requests so that planted faults are found", () =>
    expectPlantsFound(overNest(name)));
});
