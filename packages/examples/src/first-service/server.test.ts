import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { serverScope } from "bough/http";
import { checkLeaks } from "bough/vitest";
import { expect, it } from "vitest";
import { createApp } from "./server.js";

checkLeaks(); // fails a test that leaves something running

async function withApp(use: (address: string) => Promise<void>): Promise<void> {
  const server = createApp();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    const { stuck } = await serverScope(server).shutdown();
    expect(stuck).toEqual([]);
  }
}

it("answers with the quotes of all suppliers", () =>
  withApp(async (address) => {
    const response = await fetch(`${address}/?item=lamp`);
    expect(await response.text()).toBe("north: 34 €\nsouth: 64 €\nwest: 124 €\n");
  }));

it("stops asking when the client goes away", () =>
  withApp(async (address) => {
    const answer = fetch(`${address}/?item=piano`, { signal: AbortSignal.timeout(200) });
    await expect(answer).rejects.toThrow("timeout");
  }));
