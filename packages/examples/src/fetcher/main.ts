// Downloads files in parallel. See README.md, or run it with --demo.

import { main } from "bough/process";
import { openStage } from "../showcase/terminal/stage.js";
import { readArguments, usage, UsageError, type Arguments } from "./arguments.js";
import { withDemoServer } from "./demo-server.js";
import { fetchAll } from "./fetch-all.js";
import { itemsOf, type Item } from "./items.js";

function argumentsOrExit(): Arguments | undefined {
  try {
    return readArguments(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`fetcher: ${error.message}\n\n${usage}`);
    process.exitCode = 2;
    return undefined;
  }
}

const given = argumentsOrExit();
if (given !== undefined) {
  await main(async function fetcher(scope) {
    const stage = openStage(scope, process.stdout);
    const run = (items: readonly Item[]): Promise<boolean> => fetchAll(scope, items, { ...given, stage });
    const complete = given.demo
      ? await withDemoServer(scope, (urls) => run(itemsOf(urls)))
      : await run(given.items);
    if (!complete) process.exitCode = 1;
  });
}
