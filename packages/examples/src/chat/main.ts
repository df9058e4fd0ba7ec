// Without arguments: readers of every kind ask each gateway, and a table shows how many tokens were saved.
// With --page: serves the page until Ctrl-C, on Express, or on the framework that --framework names.

import { once } from "node:events";
import type { AddressInfo, Server } from "node:net";
import { parseArgs } from "node:util";
import { sleep } from "bough";
import { main } from "bough/process";
import { table } from "../showcase/terminal/table.js";
import { limits, play, type Row } from "./crowd.js";
import { FakeModel } from "./fake-model.js";
import { frameworks } from "./frameworks.js";

const { values } = parseArgs({
  options: {
    page: { type: "boolean", default: false },
    framework: { type: "string", default: "Express" },
    port: { type: "string", default: "8080" },
  },
});

async function listen(server: Server, port: number): Promise<string> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Plays the readers on every framework, and prints what came of it. */
async function demonstrate(): Promise<void> {
  for (const [name, create] of Object.entries(frameworks)) {
    const model = new FakeModel();
    const options = { url: await model.listen(), name: "fake", ...limits };
    const gateway = await create({ model: options, grace: 2_000, stats: () => ({}) });
    const rows = await play(gateway, await listen(gateway.server, 0), model);
    await model.close();
    console.log(`\n${name}`);
    for (const line of table(linesOf(rows))) console.log(`  ${line}`);
  }
  console.log(
    "\nplanned: what the answers would have had. generated: what the model was asked to pay for. saved: the rest.",
  );
}

function linesOf(rows: readonly Row[]): string[][] {
  const head = [
    "readers that …",
    "readers",
    "planned",
    "generated",
    "read",
    "saved",
    "they got",
    "model stopped after",
  ];
  const lines = rows.map(({ scene, readers, planned, generated, read, got, stopped }) => {
    const numbers = [readers, planned, generated, read, planned - generated].map(String);
    return [scene, ...numbers, got, stopped === undefined ? "" : `${stopped.toFixed(1)} ms`];
  });
  return [head, ...lines];
}

/** Serves the page. The real model is that of the environment. */
async function servePage(): Promise<void> {
  const { OPENAI_BASE_URL: url, OPENAI_API_KEY: apiKey, OPENAI_MODEL: name = "gpt-5" } = process.env;
  const create = frameworks[values.framework];
  if (create === undefined)
    throw new RangeError(`--framework must be one of ${Object.keys(frameworks).join(", ")}`);
  await main(async (scope) => {
    const fake = new FakeModel();
    scope.defer(() => fake.close());
    const model = url === undefined ? { url: await fake.listen(), name: "fake" } : { url, apiKey, name };
    const stats = () => {
      const { planned, generated, running, saved } = fake;
      return { framework: values.framework, planned, generated, running, saved };
    };
    const gateway = await create({
      model: { ...model, firstToken: 5_000, total: 60_000 },
      grace: 5_000,
      stats,
    });
    scope.defer(() => gateway.shutdown());
    console.log(
      `${await listen(gateway.server, Number(values.port))} asks ${url ?? "the fake model"}; Ctrl-C ends it`,
    );
    await sleep(scope, Infinity);
  });
}

await (values.page ? servePage() : demonstrate());
