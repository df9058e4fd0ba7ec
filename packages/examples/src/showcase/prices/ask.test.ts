import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { RequestListener } from "node:http";
import { createScope, type ScopeHandle } from "bough";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ask, ShopError } from "./ask.js";
import { serve, type Listening } from "./serve.js";

let scope: ScopeHandle;
beforeEach(() => {
  scope = createScope({ name: "test" });
});
afterEach(() => scope.close());

const open = (listener: RequestListener): Promise<Listening> => serve(scope, { name: "shop" }, listener);
const never = new AbortController().signal;

/** Resolves when a client in this process has got the head of a response. */
function responseHead(): Promise<void> {
  return new Promise((resolve) => {
    const listener = (): void => {
      unsubscribe("http.client.response.finish", listener);
      resolve();
    };
    subscribe("http.client.response.finish", listener);
  });
}

describe("ask()", () => {
  it("resolves with the price", async () => {
    const shop = await open((_, response) => response.end('{"price":3}'));
    expect(await ask("cheap", shop.url, never)).toBe(3);
  });

  it("rejects with a ShopError when the shop answers with an error", async () => {
    const shop = await open((_, response) => response.writeHead(500).end());
    await expect(ask("poor", shop.url, never)).rejects.toBeInstanceOf(ShopError);
  });

  it("rejects with the reason and closes the socket when it is cancelled before the answer", async () => {
    const { promise: asked, resolve } = deferred();
    const shop = await open(() => resolve());
    const controller = new AbortController();
    const price = ask("silent", shop.url, controller.signal).catch((error: unknown) => error);
    await asked;
    controller.abort();
    expect(await price).toBe(controller.signal.reason);
    await vi.waitFor(() => expect(shop.sockets()).toBe(0), 10_000);
  });

  it("rejects with the reason and closes the socket when it is cancelled within the body", async () => {
    const shop = await open((_, response) => response.write('{"pr'));
    const controller = new AbortController();
    const headed = responseHead();
    const price = ask("chunked", shop.url, controller.signal).catch((error: unknown) => error);
    await headed;
    controller.abort();
    expect(await price).toBe(controller.signal.reason);
    await vi.waitFor(() => expect(shop.sockets()).toBe(0), 10_000);
  });
});

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}
