import { STATUS_CODES } from "node:http";
import type { AddressInfo } from "node:net";
import { Writable } from "node:stream";
import Fastify, { type FastifyInstance } from "fastify";
import { onTestFinished } from "vitest";
import { fastifyBough, type FastifyBoughOptions } from "../../src/fastify/index.js";
import { RawConnection } from "./http-clients.js";

interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly statusCode?: number;
  readonly task?: string;
  readonly err?: { message: string; scope?: string; kind?: string };
}

export const INFO = 30;
export const WARN = 40;

export interface TestApp {
  readonly app: FastifyInstance;
  readonly log: LogLine[];
  /** The failures that the app's own error handler got. */
  readonly errors: unknown[];
  /** The errors that it got for requests that are answered with 503 or 504. */
  readonly cancellations: unknown[];
  /** The lines above level info, save those that trace a 503 or 504. */
  readonly complaints: () => LogLine[];
  /** The lines that say why a request was answered with 503 or 504. */
  readonly traces: () => LogLine[];
}

/** An app with the plugin, what it logs, and an error handler unless told otherwise. It ends with the test. */
export async function makeApp(options: FastifyBoughOptions = {}, handlesErrors = true): Promise<TestApp> {
  const log: LogLine[] = [];
  const errors: unknown[] = [];
  const cancellations: unknown[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      log.push(JSON.parse(String(chunk)) as LogLine);
      done();
    },
  });
  const app = Fastify({ logger: { level: "trace", stream } });
  await app.register(fastifyBough, options);
  if (handlesErrors) {
    app.setErrorHandler((error, _request, reply) => {
      const { statusCode = 500 } = error as { statusCode?: number };
      if (statusCode >= 503) {
        cancellations.push(error);
        return reply.send({ statusCode, error: STATUS_CODES[statusCode], message: STATUS_CODES[statusCode] });
      }
      errors.push(error);
      return reply.code(500).send("mine");
    });
  }
  onTestFinished(() => app.close());
  const isTrace = ({ level, statusCode = 0 }: LogLine): boolean => level === WARN && statusCode >= 503;
  return {
    app,
    log,
    errors,
    cancellations,
    complaints: () => log.filter((line) => line.level > INFO && !isTrace(line)),
    traces: () => log.filter(isTrace),
  };
}

/** Lets `app` listen; gives connections to it. */
export async function listen(app: FastifyInstance): Promise<() => RawConnection> {
  await app.listen({ port: 0, host: "127.0.0.1" });
  const connections: RawConnection[] = [];
  onTestFinished(() => {
    for (const { socket } of connections) socket.destroy();
  });
  return () => {
    const connection = new RawConnection((app.server.address() as AddressInfo).port);
    connections.push(connection);
    return connection;
  };
}
