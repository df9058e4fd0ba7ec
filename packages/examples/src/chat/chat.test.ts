import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Model } from "./answer.js";
import { play, scenes } from "./crowd.js";
import { FakeModel } from "./fake-model.js";
import { framesOf, tokenOf } from "./frames.js";
import { frameworks } from "./frameworks.js";
import type { Gateway } from "./gateway.js";
import { read } from "./reader.js";

const urlOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

let model: FakeModel;
let modelUrl: string;
let gateways: Gateway[];
let printed: unknown[];

beforeEach(async () => {
  model = new FakeModel();
  modelUrl = await model.listen();
  gateways = [];
  printed = [];
  vi.spyOn(console, "error").mockImplementation((...what) => void printed.push(what));
});
afterEach(async () => {
  for (const gateway of gateways) await gateway.shutdown();
  await model.close();
  vi.restoreAllMocks();
});

const nothingRuns = (): Promise<void> => vi.waitFor(() => expect(model.running).toBe(0), 10_000);

describe.each(Object.entries(frameworks))("the chat gateway on %s", (_, create) => {
  async function open(
    options: Partial<Model> & { grace?: number } = {},
  ): Promise<{ url: string; gateway: Gateway }> {
    const { grace = 5_000, ...limits } = options;
    const model: Model = { url: modelUrl, name: "fake", firstToken: 60_000, total: 60_000, ...limits };
    const gateway = await create({ model, grace, stats: () => ({}) });
    gateways.push(gateway);
    gateway.server.listen(0, "127.0.0.1");
    await once(gateway.server, "listening");
    return { url: urlOf(gateway.server), gateway };
  }

  it("passes the tokens on", async () => {
    const { url } = await open();
    const reading = await read(url, "tokens=40 first=1 pace=1");
    expect(reading).toMatchObject({ status: 200, tokens: 40, end: undefined });
    expect(model.generated).toBe(40);
    await nothingRuns();
    expect(printed).toEqual([]);
  });

  it("stops the model when the reader leaves in the middle", async () => {
    const { url } = await open();
    const reading = await read(url, "tokens=100000 first=1 pace=1", { leaveAfter: 10 });
    await nothingRuns();
    expect(reading.tokens).toBe(10);
    expect(model.generated).toBeLessThan(50_000);
    expect(printed).toEqual([]);
  });

  it("stops the model when the reader leaves before the first token", async () => {
    const { url } = await open();
    const asked = vi.waitFor(() => expect(model.running).toBe(1), 5_000);
    const reading = await read(url, "tokens=1000 first=60000", { leaveWhen: asked });
    await nothingRuns();
    expect(reading).toMatchObject({ status: 0, tokens: 0 });
    expect(model.generated).toBe(0);
    expect(printed).toEqual([]);
  });

  it("answers 504 when the first token does not come in time, and stops the model", async () => {
    const { url } = await open({ firstToken: 30 });
    expect(await read(url, "tokens=1000 first=60000")).toMatchObject({ status: 504, tokens: 0 });
    await nothingRuns();
    expect(model.generated).toBe(0);
    expect(printed).toEqual([]);
  });

  it("ends the stream with a last event when the time of the whole answer is up", async () => {
    const { url } = await open({ total: 150 });
    const reading = await read(url, "tokens=100000 first=1 pace=5");
    expect(reading).toMatchObject({ status: 200, end: { reason: "deadline" } });
    expect(reading.tokens).toBeGreaterThan(0);
    await nothingRuns();
    expect(printed).toEqual([]);
  });

  it("slows the model down when the reader is slow", async () => {
    const { url } = await open();
    const wait = async (): Promise<void> => {
      await vi.waitFor(() => expect(model.waiting).toBe(1), 10_000);
      expect(model.generated).toBeLessThan(400);
    };
    const reading = await read(url, "tokens=400 first=0 pace=0 size=50000", { beforeReading: wait });
    expect(reading).toMatchObject({ status: 200, tokens: 400 });
    expect(model.generated).toBe(400);
  });

  it("ends its streams with a last event when it shuts down", async () => {
    const { url, gateway } = await open();
    let report: unknown;
    const shutDown = (tokens: number): undefined => {
      if (tokens === 3) report = gateway.shutdown();
      return undefined;
    };
    const reading = await read(url, "tokens=100000 first=1 pace=2", { onToken: shutDown });
    expect(reading).toMatchObject({ status: 200, end: { reason: "shutdown" } });
    expect(await report).toMatchObject({ running: 1, cancelled: 0, stuck: [] });
    await nothingRuns();
    expect(printed).toEqual([]);
  });

  it("answers 400 for a question without messages, and 502 when the model fails", async () => {
    const failing = createServer((_request, response) => response.writeHead(429).end());
    failing.listen(0, "127.0.0.1");
    await once(failing, "listening");
    const { url } = await open({ url: urlOf(failing) });
    const headers = { "content-type": "application/json" };
    const empty = await fetch(`${url}/chat`, { method: "POST", headers, body: "{}" });
    expect(empty.status).toBe(400);
    expect(await read(url, "anything")).toMatchObject({ status: 502 });
    failing.closeAllConnections();
    failing.close();
  });

  it("ends the stream with a last event when the model breaks off", async () => {
    const breaking = createServer((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write('data: {"choices":[{"delta":{"content":"one"}}]}\n\n', () => response.destroy());
    });
    breaking.listen(0, "127.0.0.1");
    await once(breaking, "listening");
    const { url } = await open({ url: urlOf(breaking) });
    expect(await read(url, "anything")).toMatchObject({ status: 200, tokens: 1, end: { reason: "error" } });
    breaking.close();
  });

  it("serves the page and its data", async () => {
    const { url } = await open();
    const answer = await fetch(url);
    expect(answer.headers.get("content-type")).toContain("text/html");
    expect(await answer.text()).toContain("<title>");
    expect(await (await fetch(`${url}/stats`)).json()).toEqual({});
  });
});

it("says how many tokens were saved, for readers of every kind", async () => {
  const gateway = await (frameworks["Express"] as (typeof frameworks)[string])({
    model: { url: modelUrl, name: "fake", firstToken: 60_000, total: 60_000 },
    grace: 5_000,
    stats: () => ({}),
  });
  gateway.server.listen(0, "127.0.0.1");
  await once(gateway.server, "listening");
  const timeless = scenes.filter(({ isLate }) => isLate !== true);
  const rows = await play(gateway, urlOf(gateway.server), model, timeless);
  expect(rows.map(({ got }) => got)).toEqual(["200", "left", "left", "200, shutdown"]);
  const [complete, ...others] = rows;
  expect(complete).toMatchObject({ planned: 800, generated: 800, read: 800, stopped: undefined });
  for (const { planned, generated, read } of others) {
    expect(planned).toBe(800);
    expect(generated).toBeLessThan(800);
    expect(read).toBeLessThanOrEqual(generated);
  }
});

describe("framesOf()", () => {
  const split = async (...chunks: string[]): Promise<string[]> => {
    const frames: string[] = [];
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (const chunk of chunks) yield new TextEncoder().encode(chunk);
    }
    for await (const frame of framesOf(pieces() as unknown as ReadableStream<Uint8Array>)) frames.push(frame);
    return frames;
  };

  it("finds the events, wherever the chunks begin and end", async () => {
    expect(await split("data: a\n\ndata: b\n\n")).toEqual(["data: a\n\n", "data: b\n\n"]);
    expect(await split("data: a\n", "\nda", "ta: b\n\n", "rest")).toEqual([
      "data: a\n\n",
      "data: b\n\n",
      "rest",
    ]);
    expect(await split("data: a\r\n\r\ndata: b\r\n\r\n")).toEqual(["data: a\r\n\r\n", "data: b\r\n\r\n"]);
  });

  it("finds the token of an event", () => {
    expect(tokenOf('data: {"choices":[{"delta":{"content":"hi"}}]}\n\n')).toBe("hi");
    expect(tokenOf('data: {"choices":[]}\n\n')).toBe(undefined);
    expect(tokenOf("data: [DONE]\n\n")).toBe(undefined);
  });
});
