import { createServer } from "node:http";
import { expect } from "@playwright/test";
import { serverScope } from "bough/http";
import { test } from "./playwright-fixture.js";

test("shows the page", async ({ scope, request }) => {
  const server = createServer((_, response) => response.end("hello"));
  serverScope(server, { parent: scope }); // stops with the test
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const answer = await request.get(`http://127.0.0.1:${server.address().port}`);
  expect(await answer.text()).toBe("hello");
});
