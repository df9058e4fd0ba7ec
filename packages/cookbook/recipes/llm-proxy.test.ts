import OpenAI from "openai";
import { expect, it, vi } from "vitest";
import { eventually } from "../support/eventually.js";
import { serve, type TestServer } from "../support/servers.js";
import { chatApp } from "./llm-proxy.js";

/** Speaks the protocol of the chat completions API: says `words`, and then goes on for ever unless it is to end. */
async function serveModel(
  words: readonly string[],
  ends: boolean,
): Promise<TestServer & { left: () => number }> {
  let left = 0;
  const model = await serve((_, response) => {
    response.on("close", () => (left += response.writableEnded ? 0 : 1));
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (const content of words) {
      response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`);
    }
    if (ends) response.end("data: [DONE]\n\n");
  });
  return { ...model, left: () => left };
}

const clientOf = (model: TestServer): OpenAI =>
  new OpenAI({ apiKey: "none", baseURL: `${model.url}/v1`, maxRetries: 0 });

const ask = (url: string, signal?: AbortSignal): Promise<Response> =>
  fetch(`${url}/chat`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ messages: [{ role: "user", content: "Hello?" }] }),
    signal: signal ?? null,
  });

it("passes the words on as events", async () => {
  await using model = await serveModel(["Hel", "lo"], true);
  await using app = await serve(chatApp(clientOf(model)));
  const text = await (await ask(app.url)).text();
  expect(text).toBe('data: "Hel"\n\ndata: "lo"\n\nevent: done\ndata:\n\n');
  expect(model.left()).toBe(0);
});

it("stops the model when the client leaves, and reports no error", async () => {
  const log = vi.spyOn(console, "error").mockReturnValue();
  await using model = await serveModel(["Hel"], false);
  await using app = await serve(chatApp(clientOf(model)));
  const controller = new AbortController();
  const response = await ask(app.url, controller.signal);
  const reader = response.body?.getReader();
  await reader?.read();
  controller.abort();
  await eventually(() => expect(model.left()).toBe(1));
  expect(log).not.toHaveBeenCalled();
  log.mockRestore();
});
