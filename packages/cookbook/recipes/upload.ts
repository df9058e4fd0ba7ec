import { randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { expressBough } from "bough/express";
import { pipe } from "bough/streams";
import express, { type Express } from "express";

export function uploadApp(folder: string): Express {
  const app = express();
  app.use(expressBough({ timeout: 60_000 }));

  app.put("/files", async (req, res) => {
    const id = randomUUID();
    const partial = join(folder, `${id}.part`);
    req.scope.defer(() => rm(partial, { force: true })); // also runs when the client disconnects
    await pipe(req.scope, req, createWriteStream(partial));
    await rename(partial, join(folder, id));
    res.status(201).json({ id });
  });
  return app;
}
