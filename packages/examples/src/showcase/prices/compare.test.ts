import { get, type ClientRequest, type IncomingMessage } from "node:http";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { createScope, type ScopeHandle } from "bough";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openComparison } from "./compare.js";
import { Ledger } from "./ledger.js";
import { openShops } from "./shops.js";

let street: ScopeHandle;
let server: ScopeHandle;
let ledger: Ledger;
let url: string;

beforeEach(async () => {
  ledger = new Ledger();
  street = createScope({ name: "shops" });
  server = createScope({ name: "server" });
  const shops = await openShops(street, { fast: 1, slow: 5, chunk: 2, failing: 1 }, ledger);
  url = await openComparison(server, shops, ledger);
});
afterEach(async () => {
  await server.close();
  await street.close();
});

const ask = (shops: string, within = 10_000): ClientRequest =>
  get(`${url}/?shops=${shops}`, { agent: false, headers: { "x-request-timeout-ms": within } });

async function answer(request: ClientRequest): Promise<{ status: number | undefined; body: unknown }> {
  const [response] = (await once(request, "response")) as [IncomingMessage];
  return { status: response.statusCode, body: JSON.parse(await text(response)) };
}

/** Resolves when so many calls have reached the silent shop. */
const silentHas = (calls: number): Promise<void> =>
  vi.waitFor(() => expect(ledger.shop("silent").served).toBe(calls), 10_000);

describe("the comparison", () => {
  it("answers with the prices of all shops", async () => {
    const { status, body } = await answer(ask("fast,slow,chunked"));
    expect(status).toBe(200);
    expect(body).toEqual({ fast: 12.49, slow: 11.99, chunked: 10.95 });
    expect(Object.fromEntries(ledger.endings)).toEqual({ answered: 1 });
  });

  it("closes the sockets to the shops when the client hangs up", async () => {
    const request = ask("silent,silent").on("error", () => {});
    await silentHas(2);
    expect(ledger.shop("silent").sockets()).toBe(2);
    request.destroy();
    await vi.waitFor(() => expect(ledger.shop("silent").hungUp).toBe(2), 10_000);
    expect(ledger.shop("silent").sockets()).toBe(0);
    expect(ledger.shop("silent").tasks).toBe(0);
    expect(ledger.recent[0]).toMatchObject({ ending: "disconnected", why: "the client hung up" });
  });

  it("answers 504 at its deadline, and closes the sockets to the shops", async () => {
    const { status } = await answer(ask("silent,fast", 50));
    expect(status).toBe(504);
    expect(ledger.shop("silent").ended.get("deadline")).toBe(1);
    await vi.waitFor(() => expect(ledger.shop("silent").sockets()).toBe(0), 10_000);
  });

  it("answers 502 when a shop fails, and cancels the calls to the others", async () => {
    const { status } = await answer(ask("silent,failing"));
    expect(status).toBe(502);
    expect(ledger.shop("failing").ended.get("failed")).toBe(1);
    expect(ledger.shop("silent").ended.get("failure")).toBe(1);
    await vi.waitFor(() => expect(ledger.shop("silent").sockets()).toBe(0), 10_000);
  });

  it("answers 400 and asks no shop when a name is unknown", async () => {
    expect((await answer(ask("silent,none"))).status).toBe(400);
    expect(ledger.running.size).toBe(0);
    expect(ledger.shop("silent").tasks).toBe(0);
  });

  it("cancels the running tasks when the server closes", async () => {
    const request = ask("silent");
    const ended = once(request, "close");
    request.on("error", () => {});
    await silentHas(1);
    await server.close();
    await ended;
    expect(ledger.shop("silent").ended.get("closed")).toBe(1);
    await vi.waitFor(() => expect(ledger.shop("silent").sockets()).toBe(0), 10_000);
  });
});
