// A producer that could make a million items, three consumers that are slow, and a channel of four between them.

import { sleep, withScope } from "bough";
import { runPipeline } from "./pipeline.js";

const total = 24;
let produced = 0;
let finished = 0;

function draw(): string {
  return `${"#".repeat(finished)}${"+".repeat(produced - finished)}`;
}

await withScope({ name: "main" }, async (scope) => {
  console.log("# done, + made but not done yet: never more than what fits between the two ends\n");
  await runPipeline(scope, {
    items: Array.from({ length: total }, (_, index) => index + 1),
    consumers: 3,
    capacity: 4,
    work: async (own, item) => {
      await sleep(own, 15 + (item % 3) * 5);
      return item;
    },
    onProduced: () => (produced += 1),
    onResult: (item) => {
      finished += 1;
      if (finished % 4 === 0) console.log(`${draw().padEnd(total)}  item ${item}`);
    },
  });
  console.log(`\n${produced} made, ${finished} done`);

  const broken = runPipeline(scope, {
    items: endless(),
    consumers: 3,
    capacity: 4,
    work: async (own, item) => {
      await sleep(own, 5);
      if (item === 10) throw new Error("item 10 is broken");
      return item;
    },
    onResult: () => undefined,
  });
  await broken.catch((error: unknown) =>
    console.log(`stopped an endless producer: ${(error as Error).message}`),
  );
});

function* endless(): Generator<number> {
  try {
    for (let item = 1; ; item++) yield item;
  } finally {
    console.log("the endless producer was closed");
  }
}
