import { expect, it, vi } from "vitest";
import { eventually } from "../support/eventually.js";
import { serve } from "../support/servers.js";
import { dashboardApp } from "./client-leaves.js";

it("asks both at once, and answers with both", async () => {
  await using upstream = await serve((request, response) => response.end(JSON.stringify(request.url)));
  await using app = await serve(dashboardApp(upstream.url));
  expect(await (await fetch(`${app.url}/dashboard`)).json()).toEqual({ user: "/user", orders: "/orders" });
});

it("aborts both calls when the client leaves, and reports no error", async () => {
  const log = vi.spyOn(console, "error").mockReturnValue();
  let asked = 0;
  let left = 0;
  await using upstream = await serve((_request, response) => {
    asked += 1;
    response.on("close", () => (left += 1));
  });
  await using app = await serve(dashboardApp(upstream.url));
  const controller = new AbortController();
  const answer = fetch(`${app.url}/dashboard`, { signal: controller.signal });
  answer.catch(() => {});
  await eventually(() => expect(asked).toBe(2));
  controller.abort();
  await expect(answer).rejects.toThrow("aborted");
  await eventually(() => expect(left).toBe(2));
  expect(log).not.toHaveBeenCalled();
  log.mockRestore();
});
