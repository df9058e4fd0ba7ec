import { createChannel, spawn, withScope, type Scope } from "bough";

export interface PipelineOptions<A, B> {
  readonly items: Iterable<A> | AsyncIterable<A>;
  /** How many consumers there are. */
  readonly consumers: number;
  /** How many items may wait between the producer and the consumers, and behind them. */
  readonly capacity: number;
  readonly work: (scope: Scope, item: A, consumer: number) => Promise<B>;
  readonly onProduced?: (item: A) => void;
  readonly onResult: (result: B) => void;
}

/**
 * A producer, consumers, and a collector, joined by channels. Each side waits for the other: a producer that is too fast
 * stops when the channel is full. A failure of any of them cancels the rest; when the items are used up, each ends
 * when the one before it has.
 */
export function runPipeline<A, B>(scope: Scope, options: PipelineOptions<A, B>): Promise<void> {
  return withScope(scope, { name: "pipeline" }, async (own) => {
    const items = createChannel<A>(options.capacity);
    const results = createChannel<B>(options.capacity);

    spawn(own, async function producer(task) {
      task.defer(() => items.close());
      for await (const item of options.items) {
        await items.send(task, item);
        options.onProduced?.(item);
      }
    });

    spawn(own, async function consumers(group) {
      group.defer(() => results.close()); // when the last of them has ended
      for (let number = 1; number <= options.consumers; number++) {
        spawn(
          group,
          async (task) => {
            for await (const item of items.values(task)) {
              await results.send(task, await options.work(task, item, number));
            }
          },
          { name: `consumer ${number}` },
        );
      }
    });

    for await (const result of results.values(own)) options.onResult(result);
  });
}
