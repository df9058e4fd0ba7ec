import type { AddressInfo } from "node:net";
import type { INestApplication, LoggerService, ModuleMetadata, Type } from "@nestjs/common";
import { Module } from "@nestjs/common";
import { NestFactory, type AbstractHttpAdapter } from "@nestjs/core";
import { ExpressAdapter } from "@nestjs/platform-express";
import { FastifyAdapter } from "@nestjs/platform-fastify";
import { onTestFinished } from "vitest";
import { BoughModule, type BoughModuleOptions } from "../../src/nest/index.js";
import { RawConnection } from "../support/http-clients.js";

export type AdapterName = "express" | "fastify";
export const adapterNames: readonly AdapterName[] = ["express", "fastify"];

/** An adapter whose framework logs, as it does in production; `lines` receives the errors of Fastify. */
export function makeAdapter(name: AdapterName, lines: LogLine[] = []): AbstractHttpAdapter {
  if (name === "express") {
    const adapter = new ExpressAdapter();
    adapter.set("env", "production"); // Express prints no failures if NODE_ENV is "test"
    return adapter;
  }
  const stream = { write: (line: string) => void lines.push(["fastify", line]) };
  return new FastifyAdapter({ logger: { level: "error", stream } });
}

/** A line of Nest's log: its level, and what was logged as text. */
export type LogLine = readonly [level: string, text: string];

export function makeLogger(lines: LogLine[]): LoggerService {
  const at =
    (level: string) =>
    (message: unknown): void =>
      void lines.push([level, String(message)]);
  return {
    log: () => undefined,
    debug: at("debug"),
    error: at("error"),
    fatal: at("fatal"),
    warn: at("warn"),
  };
}

export interface TestApp {
  readonly app: INestApplication;
  readonly lines: LogLine[];
  readonly connect: () => RawConnection;
}

export interface AppInput extends ModuleMetadata {
  readonly options?: BoughModuleOptions;
  /** Called before the app listens. */
  readonly prepare?: (app: INestApplication) => void;
  /** Receives the log. Default: a new list. */
  readonly lines?: LogLine[];
}

/** Starts an app with `BoughModule` on a port of its own. It ends with the test. */
export async function startApp(name: AdapterName, input: AppInput): Promise<TestApp> {
  const { options, prepare, lines, imports = [], ...metadata } = input;
  class AppModule {}
  Module({ ...metadata, imports: [BoughModule.forRoot(options), ...imports] })(AppModule);
  return listen(await createApp(name, AppModule, lines), prepare);
}

export async function createApp(
  name: AdapterName,
  module: Type,
  lines: LogLine[] = [],
): Promise<{ app: INestApplication; lines: LogLine[] }> {
  const app = await NestFactory.create(module, makeAdapter(name, lines), {
    abortOnError: false,
    logger: makeLogger(lines),
  });
  return { app, lines };
}

export async function listen(
  { app, lines }: { app: INestApplication; lines: LogLine[] },
  prepare?: (app: INestApplication) => void,
): Promise<TestApp> {
  prepare?.(app);
  await app.listen(0, "127.0.0.1");
  const { port } = (app.getHttpServer() as { address: () => AddressInfo }).address();
  const open = new Set<RawConnection>();
  onTestFinished(async () => {
    for (const { socket } of open) socket.destroy();
    await app.close();
  });
  const connect = (): RawConnection => {
    const connection = new RawConnection(port);
    open.add(connection);
    return connection;
  };
  return { app, lines, connect };
}
