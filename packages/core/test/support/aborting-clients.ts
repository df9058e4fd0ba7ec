import Anthropic from "@anthropic-ai/sdk";
import * as grpc from "@grpc/grpc-js";
import axios from "axios";
import { request as gaxios } from "gaxios";
import { execFile } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import OpenAI from "openai";
import OpenAI6 from "openai6";
import superagent from "superagent";
import { fetch as undiciFetch, request as undiciRequest } from "undici";

/** Servers that take requests and never answer. */
export interface SilentServers {
  readonly url: string;
  /** Of the one that speaks gRPC. */
  readonly grpcAddress: string;
  /** Resolves when one of them has got `count` requests more than at the last call. */
  readonly requests: (count: number) => Promise<void>;
  readonly close: () => void;
}

export async function startSilentServers(): Promise<SilentServers> {
  const arrivals = new EventEmitter();
  let arrived = 0;
  let awaited = 0;
  const arrive = (): void => {
    arrived += 1;
    arrivals.emit("request");
  };
  const server = createServer(arrive).listen(0, "127.0.0.1");
  await once(server, "listening");
  const grpcServer = new grpc.Server();
  const method = {
    path: "/Silent/call",
    requestStream: false,
    responseStream: false,
    requestSerialize: serialize,
    requestDeserialize: String,
    responseSerialize: serialize,
    responseDeserialize: String,
  } as const;
  grpcServer.addService({ call: method }, { call: arrive });
  const grpcPort = await promisify<string, grpc.ServerCredentials, number>(
    grpcServer.bindAsync.bind(grpcServer),
  )("127.0.0.1:0", grpc.ServerCredentials.createInsecure());
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    grpcAddress: `127.0.0.1:${grpcPort}`,
    requests: async (count) => {
      awaited += count;
      while (arrived < awaited) await once(arrivals, "request");
    },
    close: () => {
      grpcServer.forceShutdown();
      server.closeAllConnections();
      server.close();
    },
  };
}

function serialize(value: unknown): Buffer {
  return Buffer.from(String(value));
}

/** A call that ends only when `signal` aborts. */
export interface AbortingClient {
  /** How many requests it sends. */
  readonly requests: number;
  readonly call: (signal: AbortSignal, servers: SilentServers) => Promise<unknown>;
}

const settings = (url: string) => ({ apiKey: "none", baseURL: url, maxRetries: 0 });
const messages = [{ role: "user", content: "hello" }] as const;

/** Real clients, each as its documentation passes it a signal. */
export const abortingClients: Readonly<Record<string, AbortingClient>> = {
  axios: { requests: 1, call: (signal, { url }) => axios.get(url, { signal }) },
  "OpenAI 7": {
    requests: 1,
    call: (signal, { url }) =>
      new OpenAI(settings(url)).chat.completions.create({ model: "m", messages: [...messages] }, { signal }),
  },
  "OpenAI 6": {
    requests: 1,
    call: (signal, { url }) =>
      new OpenAI6(settings(url)).chat.completions.create({ model: "m", messages: [...messages] }, { signal }),
  },
  Anthropic: {
    requests: 1,
    call: (signal, { url }) =>
      new Anthropic(settings(url)).messages.create(
        { model: "m", max_tokens: 1, messages: [...messages] },
        { signal },
      ),
  },
  superagent: {
    requests: 1,
    call: (signal, { url }) => {
      const request = superagent.get(url);
      signal.addEventListener("abort", () => void request.abort());
      return Promise.resolve(request);
    },
  },
  gaxios: { requests: 1, call: (signal, { url }) => gaxios({ url, signal }) },
  "grpc-js": {
    requests: 1,
    call: (signal, { grpcAddress }) =>
      new Promise((resolve, reject) => {
        const client = new grpc.Client(grpcAddress, grpc.credentials.createInsecure());
        const call = client.makeUnaryRequest("/Silent/call", serialize, String, "hello", (error, value) => {
          client.close();
          if (error === null) resolve(value);
          else reject(error);
        });
        signal.addEventListener("abort", () => call.cancel());
      }),
  },
  "undici.request": { requests: 1, call: (signal, { url }) => undiciRequest(url, { signal }) },
  "undici.request with an emitter": {
    requests: 1,
    call: (signal, { url }) => {
      const emitter = new EventEmitter();
      signal.addEventListener("abort", () => void emitter.emit("abort"));
      return undiciRequest(url, { signal: emitter });
    },
  },
  "undici.fetch": { requests: 1, call: (signal, { url }) => undiciFetch(url, { signal }) },
  fetch: { requests: 1, call: (signal, { url }) => fetch(url, { signal }) },
  "Promise.any of two calls": {
    requests: 2,
    call: (signal, { url }) => Promise.any([axios.get(url, { signal }), fetch(url, { signal })]),
  },
  "timers/promises": { requests: 0, call: (signal) => delay(100_000, undefined, { signal }) },
  "events.once": { requests: 0, call: (signal) => once(new EventEmitter(), "never", { signal }) },
  "stream/promises": {
    requests: 0,
    call: (signal) => pipeline(new PassThrough(), new PassThrough(), { signal }),
  },
  child_process: {
    requests: 0,
    call: (signal) => promisify(execFile)(process.execPath, ["-e", "setInterval(() => {}, 1e6)"], { signal }),
  },
};
