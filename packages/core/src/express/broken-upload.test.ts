import { once } from "node:events";
import { createReadStream } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable, Writable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import express, { type NextFunction, type Request, type Response } from "express";
import express4 from "express4";
import formidable from "formidable";
import multer from "multer";
import multiparty from "multiparty";
import { fetch as undiciFetch } from "undici";
import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { deferred, flush } from "../../test/support/deferred.js";
import { RawConnection } from "../../test/support/http-clients.js";
import { requestOutcome, serverScope, type CancelledOutcome } from "../http/index.js";
import { expressBough, type ExpressBoughOptions } from "./index.js";

type Handler = (request: Request, response: Response) => Promise<unknown>;

const parsers: Record<string, Handler> = {
  "multer, in memory": (request, response) =>
    new Promise((resolve, reject) => {
      multer({ storage: multer.memoryStorage() }).single("file")(request, response, (error: unknown) =>
        error === undefined ? resolve(undefined) : reject(error),
      );
    }),
  "multer, on disk": (request, response) =>
    new Promise((resolve, reject) => {
      multer({ storage: multer.diskStorage({}) }).single("file")(request, response, (error: unknown) =>
        error === undefined ? resolve(undefined) : reject(error),
      );
    }),
  multiparty: (request) =>
    new Promise((resolve, reject) => {
      new multiparty.Form().parse(request, (error) => (error === null ? resolve(undefined) : reject(error)));
    }),
  formidable: (request) => formidable({}).parse(request),
  "express.raw": (request, response) =>
    new Promise((resolve, reject) => {
      express.raw({ type: () => true })(request, response, (error: unknown) =>
        error === undefined ? resolve(undefined) : reject(error),
      );
    }),
  pipeline: (request) => pipeline(request, new Writable({ write: (_chunk, _encoding, done) => done() })),
  "for await": async (request) => {
    for await (const chunk of request) expect(chunk).toBeDefined();
  },
  pipeTo: (request) => Readable.toWeb(request).pipeTo(new WritableStream()),
  "fetch, which sends it on": (request) => sendOn(request, fetch),
  "fetch of undici": (request) => sendOn(request, undiciFetch),
  "Response.text()": (request) => new Response(Readable.toWeb(request) as ReadableStream).text(),
  "a function that wraps the error": (request) =>
    buffer(request).catch((error: unknown) => {
      throw new Error("upload", { cause: new Error("read", { cause: error }) });
    }),
};

/** Those that fail with the error of the request itself, not with one that it has caused. */
const directParsers = Object.keys(parsers).filter((name) => !/fetch|wraps/.test(name));

/** Sends the request on to a server that reads it. */
async function sendOn(
  request: Request,
  send: (url: string, init: { method: string; body: Request; duplex: "half" }) => Promise<unknown>,
): Promise<unknown> {
  const upstream = createServer((incoming) => incoming.on("error", () => {}).resume()).listen(0, "127.0.0.1");
  await once(upstream, "listening");
  try {
    const { port } = upstream.address() as AddressInfo;
    return await send(`http://127.0.0.1:${port}/`, { method: "POST", body: request, duplex: "half" });
  } finally {
    upstream.closeAllConnections();
    upstream.close();
  }
}

const answers: Record<string, Handler> = {
  pipeline: (_, response) => pipeline(createReadStream(import.meta.filename), response),
  "pipeline of web streams": (_, response) =>
    Readable.toWeb(createReadStream(import.meta.filename)).pipeTo(Writable.toWeb(response)),
};

const head =
  "POST /upload HTTP/1.1\r\nhost: a\r\ncontent-type: multipart/form-data; boundary=X\r\ncontent-length: 99999\r\n\r\n";
const part = '--X\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nabc';

afterEach(() => vi.restoreAllMocks());

describe.each([
  { major: 5, create: express },
  { major: 4, create: express4 },
])("a request of Express $major whose client has gone", ({ create }) => {
  /** The errors that reach the app's error handler, and the status that is logged. */
  async function serve(
    handler: Handler,
    options?: ExpressBoughOptions,
  ): Promise<{
    connect: () => Promise<RawConnection>;
    arrived: Promise<Response>;
    failed: Promise<unknown>;
    errors: unknown[];
  }> {
    const app = create();
    app.use(expressBough(options));
    const errors: unknown[] = [];
    const arrived = deferred<Response>();
    const failed = deferred<unknown>();
    app.all("/upload", (request: Request, response: Response, next: NextFunction) => {
      arrived.resolve(response);
      handler(request, response).then(
        () => failed.resolve(undefined),
        (error: unknown) => {
          failed.resolve(error);
          // oxlint-disable-next-line promise/no-callback-in-promise -- this is how it is done in Express 4
          next(error);
        },
      );
    });
    app.use((error: unknown, _request: Request, response: Response, _next: NextFunction) => {
      errors.push(error);
      response.end();
    });
    const server = app.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return {
      errors,
      arrived: arrived.promise,
      failed: failed.promise,
      connect: async () => {
        const connection = new RawConnection((server.address() as AddressInfo).port);
        await once(connection.socket, "connect");
        return connection;
      },
    };
  }

  it.each(Object.keys(parsers))(
    "rule 30: is not an error for the app: an aborted upload, read by %s",
    async (name) => {
      const { connect, arrived, failed, errors } = await serve(parsers[name] as Handler);
      const { socket } = await connect();
      socket.write(head + part);
      const response = await arrived;
      await flush();
      socket.destroy();
      expect(await failed).toBeInstanceOf(Error);
      await flush();
      expect(errors).toEqual([]);
      expect(response.statusCode).toBe(499);
    },
  );

  it.each(directParsers)(
    "rule 30: is not an error for the app if its upload ends with bough's answer: read by %s",
    async (name) => {
      const outcomes: CancelledOutcome[] = [];
      const { connect, failed, errors } = await serve(
        (request, response) => {
          response.once("close", () => request.destroy()); // as the file interceptors of Nest do
          return (parsers[name] as Handler)(request, response);
        },
        { timeout: 50, onCancelled: (outcome) => void outcomes.push(outcome) },
      );
      const { socket } = await connect();
      onTestFinished(() => void socket.destroy());
      socket.write(head + part);
      expect(await failed).toBeInstanceOf(Error);
      await flush();
      expect(errors).toEqual([]);
      expect(outcomes).toMatchObject([{ status: 503, error: { kind: "deadline" } }]);
    },
  );

  it.each(Object.keys(answers))("rule 30: is not an error for the app: an answer by %s", async (name) => {
    const { connect, arrived, failed, errors } = await serve(async (request, response) => {
      const closed = once(response, "close");
      request.socket.resume();
      await closed;
      await answers[name]?.(request, response);
    });
    const { socket } = await connect();
    socket.write("GET /upload HTTP/1.1\r\nhost: a\r\n\r\n");
    const response = await arrived;
    socket.destroy();
    const error = await failed;
    await flush();
    expect(errors).toEqual([]);
    expect(response.statusCode).toBe(499);
    expect(error).toBeInstanceOf(Error);
  });

  it.each(["Request aborted", "Unexpected end of form", "aborted"])(
    "rule 30: the same error goes to the app while the client is there: %s",
    async (message) => {
      const error = new Error(message);
      const { connect, failed, errors } = await serve(() => Promise.reject(error));
      const connection = await connect();
      await connection.request({ path: "/upload" }).answer;
      expect(await failed).toBe(error);
      expect(errors[0]).toBe(error);
    },
  );
});

/** Sends a part of an upload to `server`, and disconnects when its handler has been called. */
async function breakOffUpload(server: Server, arrived: Promise<void>): Promise<void> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const { socket } = new RawConnection((server.address() as AddressInfo).port);
  socket.write(head + part);
  await arrived;
  await flush();
  socket.destroy();
}

it.each([
  { host: "Express", name: "multiparty" },
  { host: "Express", name: "express.raw" },
  { host: "node:http", name: "formidable" },
  { host: "node:http", name: "for await" },
])(
  "rule 30: onCancelled is called once for an upload that breaks off: $host, $name",
  async ({ host, name }) => {
    const statuses: number[] = [];
    const onCancelled = ({ status }: CancelledOutcome): number => statuses.push(status);
    const arrived = deferred();
    const failed = deferred();
    const parse = (request: Request, response: Response): Promise<unknown> => {
      arrived.resolve();
      return (parsers[name] as Handler)(request, response).finally(failed.resolve);
    };
    const app = express();
    app.use(expressBough({ onCancelled }));
    app.use(parse);
    const plain = (request: Request, response: Response): void => {
      parse(request, response).catch((error: unknown) => requestOutcome(request, response, error));
    };
    const server = createServer(host === "Express" ? app : (plain as never));
    if (host !== "Express") serverScope(server, { onCancelled });
    await breakOffUpload(server, arrived.promise);
    await failed.promise;
    await expect.poll(() => statuses).toEqual([499]);
    await flush();
    expect(statuses).toEqual([499]);
  },
);

it.each(Object.keys(parsers))(
  "requestOutcome() returns 499 for an upload that broke off, read by %s",
  async (name) => {
    const found = deferred<unknown>();
    const arrived = deferred();
    const handle = async (request: Request, response: Response): Promise<void> => {
      arrived.resolve();
      await (parsers[name] as Handler)(request, response).catch((error: unknown) =>
        found.resolve(requestOutcome(request, response, error)),
      );
    };
    const server = createServer((request, response) => void handle(request as Request, response as Response));
    await breakOffUpload(server, arrived.promise);
    expect(await found.promise).toMatchObject({ status: 499 });
  },
);

it.each(directParsers)(
  "requestOutcome() returns no failure for an upload that ended with bough's answer, read by %s",
  async (name) => {
    const found = deferred<unknown>();
    const handle = async (request: Request, response: Response): Promise<void> => {
      response.once("close", () => request.destroy());
      await (parsers[name] as Handler)(request, response).catch((error: unknown) =>
        found.resolve(requestOutcome(request, response, error)),
      );
    };
    const server = createServer((request, response) => void handle(request as Request, response as Response));
    serverScope(server, { timeout: 50 });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => serverScope(server).close());
    const { socket } = new RawConnection((server.address() as AddressInfo).port);
    onTestFinished(() => void socket.destroy());
    socket.write(head + part);
    // An AbortError may come from the deadline as well.
    const status = name === "pipeTo" || name === "Response.text()" ? 503 : 499;
    expect(await found.promise).toMatchObject({ status });
  },
);
