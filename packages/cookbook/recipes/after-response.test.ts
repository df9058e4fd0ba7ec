import { expect, it, vi } from "vitest";
import { eventually } from "../support/eventually.js";
import { ordersApp } from "./after-response.js";

it("answers at once, and shutdown waits for the work", async () => {
  const events: string[] = [];
  let finish: () => void = () => {};
  const finished = new Promise<void>((resolve) => (finish = resolve));
  const app = await ordersApp(async (order) => {
    await finished;
    events.push(`receipt ${order}`);
  });
  const response = await app.inject({ method: "POST", url: "/orders/7" });
  expect(response.statusCode).toBe(202);
  expect(events).toEqual([]);
  const closed = app.close().then(() => events.push("closed"));
  await new Promise((resolve) => setTimeout(resolve, 50)); // an app without work has closed by then
  expect(events).toEqual([]);
  finish();
  await closed;
  expect(events).toEqual(["receipt 7", "closed"]);
});

it("reports a failure with the path of the task, and goes on", async () => {
  const log = vi.spyOn(console, "error").mockReturnValue();
  const failure = new Error("no route to the mail server");
  const app = await ordersApp(() => Promise.reject(failure));
  expect((await app.inject({ method: "POST", url: "/orders/7" })).statusCode).toBe(202);
  await eventually(() => expect(log).toHaveBeenCalledWith("server/receipt", failure));
  expect((await app.inject({ method: "POST", url: "/orders/8" })).statusCode).toBe(202);
  await app.close();
  log.mockRestore();
});
