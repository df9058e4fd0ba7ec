/** Calls `run` again and again until the event loop has turned `count` times. Returns how often it has turned. */
export async function turnsWhile(run: () => Promise<unknown>, count = 3): Promise<number> {
  let turns = 0;
  setImmediate(function next() {
    if (++turns < count) setImmediate(next);
  });
  for (let calls = 0; turns < count && calls < 100_000; calls++) await run().catch(() => undefined);
  return turns;
}
