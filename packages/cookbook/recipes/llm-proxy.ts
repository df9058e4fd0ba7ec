import { expressBough } from "bough/express";
import { pipe } from "bough/streams";
import express, { type Express } from "express";
import type OpenAI from "openai";

export function chatApp(openai: OpenAI): Express {
  const app = express();
  app.use(expressBough({ timeout: 120_000 }));
  app.use(express.json());

  app.post("/chat", async (req, res) => {
    const completion = await openai.chat.completions.create(
      { model: "gpt-5", messages: req.body.messages, stream: true },
      { signal: req.scope.signal }, // aborts the request to OpenAI when the client disconnects
    );
    async function* events(): AsyncGenerator<string> {
      for await (const { choices } of completion) {
        yield `data: ${JSON.stringify(choices[0]?.delta.content ?? "")}\n\n`;
      }
      yield "event: done\ndata:\n\n";
    }
    res.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
    await pipe(req.scope, events(), res); // with back-pressure
  });
  return app;
}
