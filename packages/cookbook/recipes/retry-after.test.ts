import { withScope } from "bough";
import { expect, it, vi } from "vitest";
import { serve } from "../support/servers.js";
import { fetchPatiently } from "./retry-after.js";

it("tries again when the server says, and not after an error that stays", async () => {
  const log = vi.spyOn(console, "warn").mockReturnValue();
  let requests = 0;
  await using server = await serve((request, response) => {
    requests += 1;
    if (request.url === "/gone") response.writeHead(410).end();
    else if (requests === 1) response.writeHead(503, { "retry-after": "0" }).end();
    else response.end("hello");
  });
  const answer = await withScope((scope) => fetchPatiently(scope, server.url));
  expect(await answer.text()).toBe("hello");
  expect(log.mock.calls).toEqual([[`attempt 1 of ${server.url}: Error: HTTP 503; retrying in 0 ms`]]);
  await expect(withScope((scope) => fetchPatiently(scope, `${server.url}/gone`))).rejects.toThrow("HTTP 410");
  expect(requests).toBe(3);
  log.mockRestore();
});
