import type { Server } from "node:net";
import { All, Body, Controller, Param } from "@nestjs/common";
import { describe, expect, it } from "vitest";
import type { Scope } from "../../src/index.js";
import { RequestScope } from "../../src/nest/index.js";
import { expectExactCancellations, work, type Fates } from "../support/mixed-requests.js";
import { adapterNames, startApp } from "./nest-app.js";

const fates: Fates = new Map();

@Controller()
class MixedController {
  @All(":id/:what")
  async get(
    @RequestScope() scope: Scope,
    @Param("id") id: string,
    @Param("what") what: string,
    @Body() body: unknown,
  ): Promise<unknown> {
    await work(scope, id, fates, what === "hang");
    return { id, body };
  }
}

describe.each(adapterNames)("NestJS on %s under thousands of mixed requests", (name) => {
  it(
    "rule 28: cancels the requests of disconnected clients, and no others",
    { timeout: 120_000 },
    async () => {
      fates.clear();
      const { app, lines } = await startApp(name, { controllers: [MixedController] });
      await expectExactCancellations(`NestJS, ${name}`, app.getHttpServer() as Server, fates, lines);
      expect(lines).toEqual([]);
    },
  );
});
