import { Hono, type ErrorHandler } from "hono";
import { fetchBough, requestScope } from "../../src/web/index.js";
import { MixedLog, playMixed } from "../support/mixed-log.js";
import type { Handler } from "./app.js";

// Hono in `fetchBough`, with the handlers of test/web-mixed.test.ts. The test requests what the
// server knows from paths below `/control`.

const encoder = new TextEncoder();

/** A stream that is as fast as its reader. */
function streamOf(parts: AsyncGenerator<string>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await parts.next();
        if (done === true) controller.close();
        else controller.enqueue(encoder.encode(value));
      },
      cancel: async () => void (await parts.return(undefined)),
    },
    { highWaterMark: 0 },
  );
}

/** The points that requests reach, a line each. */
function pointsOf(log: MixedLog): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(encoder.encode("ready\n"));
      log.listen((line) => controller.enqueue(encoder.encode(`${line}\n`)));
    },
  });
}

export function mixedApp(onError: ErrorHandler, printed: readonly string[]): Handler {
  const log = new MixedLog();
  const app = new Hono();
  app.get("/control/points", (c) => c.body(pointsOf(log)));
  app.get("/control/release/:id", (c) => {
    log.release(c.req.param("id"));
    return c.json(true);
  });
  app.get("/control/rows", (c) => c.json(log.rows()));
  app.get("/control/errors", (c) => c.json(printed));
  app.get("/control/left", (c) => c.json(log.left(handle.scope)));
  app.all("/:id/:what", async (c) => {
    await log.arrive(c.req.path);
    const { id, what } = c.req.param();
    const scope = requestScope(c.req.raw);
    const body = () => c.req.raw.text();
    const answer = await playMixed(log, { id, what, scope, root: handle.scope, body });
    return typeof answer === "string" ? c.text(answer) : c.body(streamOf(answer));
  });
  app.onError(onError);
  const handle = fetchBough(app, { onCancelled: log.onCancelled });
  return handle as unknown as Handler;
}
