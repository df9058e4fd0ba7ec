import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { eventually } from "../support/eventually.js";
import { recipesFolder } from "../support/pages.js";
import { runNode } from "../support/programs.js";

it("says that it is not ready, finishes its requests, and closes its connections last", async () => {
  await using program = runNode(["--import", "tsx", "recipes/kubernetes.ts"], {
    HOST: "127.0.0.1",
    PORT: "0",
    DRAIN_DELAY: "2000",
  });
  await eventually(() => expect(program.output()).toContain("listening"));
  const url = /http:\S+/.exec(program.output())?.[0] ?? "";
  expect((await fetch(`${url}/ready`)).status).toBe(200);

  const work = fetch(`${url}/work`);
  await new Promise((resolve) => setTimeout(resolve, 50));
  program.kill("SIGTERM");
  await eventually(async () => expect((await fetch(`${url}/ready`)).status).toBe(503));
  expect(await (await work).text()).toBe("done");
  expect(await program.ended).toEqual({ code: 143, signal: null });
  expect(program.output()).toMatch(/connections closed\n$/);
});

it("leaves Kubernetes more time than a shutdown takes", () => {
  const manifest = readFileSync(`${recipesFolder}${"kubernetes.yaml"}`, "utf8");
  const code = readFileSync(`${recipesFolder}${"kubernetes.ts"}`, "utf8");
  const seconds = Number(/terminationGracePeriodSeconds: (\d+)/.exec(manifest)?.[1]);
  const drainDelay = Number(/DRAIN_DELAY = "(\d+)"/.exec(code)?.[1]);
  const grace = Number(/grace: ([\d_]+)/.exec(code)?.[1]?.replace("_", ""));
  expect(drainDelay + 2 * grace + 500).toBeLessThan(25_000); // after which `main` forces the exit
  expect(seconds * 1_000).toBeGreaterThan(25_000);
});
