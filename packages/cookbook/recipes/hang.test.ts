import { createScope, spawn } from "bough";
import { expect, it, vi } from "vitest";
import { eventually } from "../support/eventually.js";
import "./hang.js";

it("prints the tree at a signal, and names the stuck tasks", async () => {
  const log = vi.spyOn(console, "error").mockReturnValue();
  const server = createScope({ name: "server", grace: 1 });
  let release: () => void = () => {};
  spawn(server, function deaf() {
    return new Promise<void>((resolve) => (release = resolve));
  });
  process.emit("SIGUSR2");
  expect(log.mock.lastCall?.[0]).toMatch(/server\b.*\n.*deaf/);
  await server.close().catch(() => {});
  expect(log.mock.calls.at(-1)?.[0]).toMatch(/^stuck: server\/deaf, \d+ ms old, waits for$/);
  log.mockRestore();
  release();
  await eventually(() => expect(server.state).toBe("closed"));
});
