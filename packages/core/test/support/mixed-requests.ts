import { appendFileSync } from "node:fs";
import { once } from "node:events";
import http from "node:http";
import { RawConnection } from "./http-clients.js";
import { SLOW_LENGTH, type Point, type Row } from "./mixed-log.js";

// Mixed requests to a server of any host, over connections that are kept alive and others: clients that wait for their answers,
// and clients that leave. Finds each answered request that was cancelled, each that went on after its client had left, what was
// left behind, and what was logged as an error.

/** How many requests each server gets: `npm run test:mixed` sets it to ten thousand. */
export const TOTAL: number = Number(process.env["BOUGH_MIXED"] ?? 1_000);
const CLIENTS = 40;

/** A server whose handlers call `playMixed` for `/<id>/<what>`. */
export interface MixedHost {
  readonly port: number;
  /** Whether it serves a request that arrives before another of the connection is answered. */
  readonly pipelines: boolean;
  /** Settles when a request has come to a point. */
  reached(id: string, point: Point): Promise<void>;
  /** Lets a request for `late` go on. */
  release(id: string): unknown;
  rows(): Promise<readonly Row[]> | readonly Row[];
  /** Everything that was printed or logged as an error. */
  errors(): Promise<readonly unknown[]> | readonly unknown[];
  /** Everything that is left of requests. */
  left(): Promise<readonly unknown[]> | readonly unknown[];
}

/** The faults that a run has found. */
export interface Findings {
  /** Requests with a wrong answer, and those whose scope has ended in a wrong way. */
  readonly wrong: readonly unknown[];
  readonly left: readonly unknown[];
  readonly errors: readonly unknown[];
}

export const nothing: Findings = { wrong: [], left: [], errors: [] };

/** One client: the server, the connections that it shares with others, and the id of its request. */
interface Client {
  readonly host: MixedHost;
  readonly agent: http.Agent;
  readonly id: string;
}

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
}

/** Clients that wait for their answers. Each returns whether the answer was right. */
const stay: Readonly<Record<string, (client: Client) => Promise<boolean>>> = {
  work: async (client) => isWork(client, await send(client, "work")),
  body: async (client) => {
    const text = "x".repeat((Number(client.id) % 7) * 1_000);
    const { body } = await send(client, "body", { method: "POST", body: JSON.stringify({ text }) });
    return body === JSON.stringify({ text });
  },
  stream: async (client) => (await send(client, "stream")).body === "abc",
  HEAD: async (client) => {
    const { status, body } = await send(client, "work", { method: "HEAD" });
    return status === 200 && body === "";
  },
  "upload of known length": async (client) =>
    (await send(client, "upload", { method: "POST", body: "abc", type: "application/octet-stream" })).body ===
    "abc",
  pipelined: async (client) => {
    const connection = new RawConnection(client.host.port);
    const second = { ...client, id: `${client.id}-second` };
    const answers = [client, second].map(({ id }) => connection.request({ path: `/${id}/work` }).answer);
    const [first, last] = await Promise.all(answers);
    connection.socket.destroy();
    return isWork(client, first) && isWork(second, last);
  },
  "leaves when the answer has come": async (client) => {
    const connection = new RawConnection(client.host.port);
    const answer = await connection.request({ path: `/${client.id}/work` }).answer;
    connection.socket.resetAndDestroy();
    return isWork(client, answer);
  },
  "reads slowly": async (client) => {
    const response = await open(client, "slow");
    await new Promise((resolve) => setTimeout(resolve, 20)); // the sockets are full meanwhile
    let length = 0;
    for await (const chunk of response) length += (chunk as Buffer).length;
    return length === SLOW_LENGTH;
  },
};

/** Clients that leave, by the progress of their request. If its id ends in `maybe`, the request may not reach a handler. */
const leave: Readonly<Record<string, (client: Client) => Promise<void>>> = {
  "before the handler": async (client) => {
    const request = start(client, "late");
    await client.host.reached(client.id, "arrived");
    const closed = new Promise((resolve) => request.on("close", resolve));
    request.destroy();
    await closed;
    await client.host.release(client.id);
  },
  "during the handler": async (client) => {
    const request = start(client, "hang");
    await client.host.reached(client.id, "working");
    request.destroy();
  },
  "during the handler, of a HEAD": async (client) => {
    const request = start(client, "hang", { method: "HEAD" });
    await client.host.reached(client.id, "working");
    request.destroy();
  },
  "after another request on the connection": async (client) => {
    const connection = new RawConnection(client.host.port);
    await connection.request({ path: `/${client.id}-first/work` }).answer;
    connection.request({ path: `/${client.id}/hang` });
    await client.host.reached(client.id, "working");
    connection.socket.destroy();
  },
  pipelined: async (client) => {
    const connection = new RawConnection(client.host.port);
    connection.request({ path: `/${client.id}/hang` });
    // A host that does not serve it closes the connection.
    const others = client.host.pipelines ? ["hang", "idle", "endless", "flood"] : [];
    for (const what of others) connection.request({ path: `/${client.id}-${what}-maybe/${what}` });
    await client.host.reached(client.id, "working");
    connection.socket.destroy();
  },
  "while streaming": async (client) => {
    const response = await open(client, "endless");
    await once(response, "data");
    response.destroy();
  },
  "while streaming but idle": async (client) => {
    const response = await open(client, "idle");
    await once(response, "data");
    response.destroy();
  },
  "while reading slowly": async (client) => {
    const response = await open(client, "flood");
    await once(response, "data");
    response.pause();
    await new Promise((resolve) => setTimeout(resolve, 20));
    response.destroy();
  },
  "during the upload": async (client) => {
    const type = "application/octet-stream";
    const request = start(client, "upload", { method: "POST", body: "abc", length: 10, type });
    await client.host.reached(client.id, "working");
    request.destroy();
  },
  "during an upload that is parsed": async (client) => {
    const request = start({ ...client, id: `${client.id}-maybe` }, "body", {
      method: "POST",
      body: '{"',
      length: 10,
    });
    await client.host.reached(`${client.id}-maybe`, "arrived");
    request.destroy();
  },
};

/** Faults of a server, and the clients that find them. */
const plants: Readonly<Record<string, (client: Client) => Promise<unknown>>> = {
  "plant-false": (client) => send(client, "plant-false").catch(() => undefined),
  "plant-left": (client) => send(client, "plant-left"),
  "plant-missed": async (client) => {
    const request = start(client, "plant-missed");
    await client.host.reached(client.id, "working");
    request.destroy();
  },
  "plant-error": async (client) => {
    const request = start(client, "plant-error");
    await client.host.reached(client.id, "working");
    request.destroy();
  },
};

interface Input {
  readonly method?: string;
  readonly body?: string;
  /** Announced, when the client leaves before it has sent all. */
  readonly length?: number;
  readonly type?: string;
}

function start({ host, agent, id }: Client, what: string, input: Input = {}): http.ClientRequest {
  const { method = "GET", body, length, type = "application/json" } = input;
  const headers = body === undefined ? {} : { "content-type": type, "content-length": length ?? body.length };
  const path = `/${id}/${what}`;
  const request = http.request({ host: "127.0.0.1", port: host.port, agent, method, path, headers });
  request.on("error", () => undefined);
  if (length === undefined) request.end(body);
  else request.write(body);
  return request;
}

async function open(client: Client, what: string, input?: Input): Promise<http.IncomingMessage> {
  const [response] = (await once(start(client, what, input), "response")) as [http.IncomingMessage];
  return response.on("error", () => undefined);
}

async function send(client: Client, what: string, input?: Input): Promise<Answer> {
  const response = await open(client, what, input);
  let body = "";
  for await (const chunk of response) body += String(chunk);
  return { status: response.statusCode, body };
}

function isWork({ id }: Client, answer: Answer | undefined): boolean {
  return answer?.status === 200 && answer.body === `{"id":"${id}","sum":3}`;
}

const { "reads slowly": _, ...quick } = stay;
/** Most are quick, and few read slowly. */
const staying = [quick, quick, quick, stay].flatMap((clients) => Object.keys(clients));
const leaving = Object.keys(leave);
const leaves = (id: string): boolean => Number.parseInt(id, 10) % 10 === 0 && !id.endsWith("-first");

/** Guards against a request that is never answered, or never seen. */
function noAnswer(): Promise<string> {
  return new Promise((resolve) => setTimeout(resolve, 20_000, "no answer").unref());
}

/** The kind of client that sends a request. */
function nameOf(id: string, { pipelines }: MixedHost): string {
  const number = Number(id);
  const name = leaves(id) ? leaving[(number / 10) % leaving.length] : staying[number % staying.length];
  return name === undefined || (name === "pipelined" && !pipelines && !leaves(id)) ? "work" : name;
}

/**
 * Sends `total` requests, one in ten of which is left by its client, and returns the faults that it finds.
 *
 * @param planted - Sends a request to each fault of the server as well.
 */
export async function sendMixed(host: MixedHost, total: number, planted = false): Promise<Findings> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: CLIENTS });
  const wrong: unknown[] = [];
  const run = async (id: string): Promise<void> => {
    const client = { host, agent, id };
    const name = nameOf(id, host);
    const done = leaves(id) ? leave[name]?.(client).then(() => true) : stay[name]?.(client);
    const isRight = await Promise.race([done?.catch((error: unknown) => String(error)), noAnswer()]);
    if (isRight !== true) wrong.push(`${id}, ${name}: ${isRight === false ? "wrong answer" : isRight}`);
  };
  let id = 0;
  const clients = Array.from({ length: CLIENTS }, async () => {
    while (id < total) await run(String(id++));
  });
  await Promise.all(clients);
  for (const [name, meet] of planted ? Object.entries(plants) : []) await meet({ host, agent, id: name });
  agent.destroy();

  await settled(host, planted ? 20 : 500);
  const rows = await host.rows();
  wrong.push(...rows.filter((row) => isWrong(row)), ...missing(host, rows, total));
  return { wrong, left: await host.left(), errors: await host.errors() };
}

function isWrong([id, kind, state, status]: Row): boolean {
  const isLeft = leaves(id) || id === "plant-missed" || id === "plant-error";
  return isLeft
    ? kind !== "disconnected" || status !== 499
    : kind !== null || status !== null || state !== "closed";
}

/** The requests that no handler has seen. */
function missing(host: MixedHost, rows: readonly Row[], total: number): string[] {
  const seen = new Set(rows.map(([id]) => id));
  const expected = Array.from({ length: total }, (_, id) => String(id));
  return expected
    .filter((id) => !seen.has(id) && nameOf(id, host) !== "during an upload that is parsed")
    .map((id) => `${id} has not arrived`);
}

/** Waits until nothing is left. Gives up after `rounds` of 20 ms in which nothing has changed. */
async function settled(host: MixedHost, rounds: number): Promise<void> {
  let before = "";
  for (let silent = 0; silent < rounds; silent++) {
    const open = (await host.rows()).filter(([, , state]) => state !== "closed");
    const left = await host.left();
    if (open.length === 0 && left.length === 0) return;
    const now = JSON.stringify([open, left]);
    if (now !== before) silent = 0;
    before = now;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** For the table of `npm run test:mixed`, once everything is known to be right. */
export function reportMixed(host: string, rows: readonly Row[], ms: number): void {
  const report = process.env["BOUGH_MIXED_REPORT"];
  if (report === undefined) return;
  const left = rows.filter(([, kind]) => kind === "disconnected").length;
  const row = { host, requests: rows.length, answered: rows.length - left, "left by clients": left };
  appendFileSync(report, `${JSON.stringify({ ...row, wrong: 0, left: 0, errors: 0, ms: Math.round(ms) })}\n`);
}
