import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { eventually } from "../support/eventually.js";
import { serve } from "../support/servers.js";
import { uploadApp } from "./upload.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "bough-upload-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it("keeps a file that arrived whole", async () => {
  await using app = await serve(uploadApp(folder));
  const response = await fetch(`${app.url}/files`, { method: "PUT", body: "x".repeat(100_000) });
  const { id } = (await response.json()) as { id: string };
  expect((await readFile(join(folder, id), "utf8")).length).toBe(100_000);
  await rm(join(folder, id));
});

it("removes the partial file when the client breaks off, and reports no error", async () => {
  const log = vi.spyOn(console, "error").mockReturnValue();
  await using app = await serve(uploadApp(folder));
  const upload = request(`${app.url}/files`, { method: "PUT" });
  upload.on("error", () => {}); // the answer that never comes
  upload.write("half of it");
  await eventually(async () => expect(await readdir(folder)).toHaveLength(1));
  upload.destroy();
  await eventually(async () => expect(await readdir(folder)).toEqual([]));
  expect(log).not.toHaveBeenCalled();
  log.mockRestore();
});
