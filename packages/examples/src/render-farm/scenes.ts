import { all, sleep, type Scope } from "bough";
import { Farm, type Member } from "./farm.js";
import { LEASE, machineNow } from "./tile.js";

/** The outcomes of the scenes. */
export interface Outcome {
  /** Pictures whose client waited, and got all tiles. */
  readonly complete: number;
  /** Tiles that ran when their client hung up. */
  readonly abandoned: number;
  /** From the moment at which a client hung up to the last of its tiles that stopped, in ms: the longest. */
  readonly hangUp: number;
  /** Tiles that ran when the API was killed, and how long until the last one stopped, in ms. */
  readonly orphaned: number;
  readonly apiKill: number;
  /** Tiles that ran on the worker that was killed, and how many of them another worker rendered. */
  readonly stranded: number;
  readonly moved: number;
  /** Tiles that are still being rendered at the end. */
  readonly left: number;
}

/** The current state, for the display. */
export interface Progress {
  farm: Farm | undefined;
  scene: string;
}

/** Starts an API and three workers on the database, and plays what can happen to them. */
export async function playScenes(scope: Scope, database: string, progress: Progress): Promise<Outcome> {
  const farm = new Farm(scope, database);
  progress.farm = farm;
  progress.scene = "an API and three workers start";
  const [api, other, first] = await all(scope, [
    () => farm.start("api"),
    () => farm.start("api"),
    () => farm.start("worker"),
    () => farm.start("worker"),
    () => farm.start("worker"),
  ]);

  progress.scene = "a worker is killed; its tiles wait until its lock has run out";
  const longPicture = render(api, "long", 9, 3_000);
  await farm.until(() => farm.of("long", "start").length === 9);
  const stranded = farm.running.filter(({ process }) => process === first.name);
  first.kill();
  await sleep(scope, 1_500);

  let hangUp = 0;
  let abandoned = 0;
  let complete = 0;
  for (let n = 0; n < 4; n++) {
    progress.scene = "clients wait for their pictures, or hang up";
    const [short, gone] = [`short-${n}`, `gone-${n}`];
    const waiting = render(api, short, 3, 300);
    const client = new AbortController();
    const left = render(api, gone, 4, 60_000, client.signal).catch(() => {});
    await farm.until(() => farm.of(gone, "start").length > 0);
    await sleep(scope, 300);
    const running = farm.running.filter(({ tile }) => tile.picture === gone).length;
    const at = machineNow();
    client.abort();
    await left;
    await farm.until(() => farm.of(gone, "stopped").length >= running);
    abandoned += running;
    hangUp = Math.max(hangUp, ...farm.of(gone, "stopped").map((event) => event.at - at));
    if ((await waiting) === 3) complete += 1;
  }

  progress.scene = `the other API is killed: its tiles stop within its lease (${LEASE} ms)`;
  void render(other, "orphan", 4, 60_000).catch(() => {});
  await farm.until(() => farm.of("orphan", "start").length === 4);
  const killedAt = machineNow();
  other.kill();
  await farm.until(() => farm.of("orphan", "stopped").length === 4, 10_000);
  const orphaned = farm.of("orphan", "stopped");

  progress.scene = "the tiles of the killed worker are rendered by the others";
  if ((await longPicture) === 9) complete += 1;
  const moved = stranded.filter(({ tile: { number } }) =>
    farm.of("long", "end").some(({ tile, process }) => tile?.number === number && process !== first.name),
  );
  await farm.until(() => farm.running.length === 0, 5_000);
  progress.scene = "the end";
  return {
    complete,
    abandoned,
    hangUp,
    orphaned: orphaned.length,
    apiKill: Math.max(...orphaned.map(({ at }) => at - killedAt)),
    stranded: stranded.length,
    moved: moved.length,
    left: farm.running.length,
  };
}

/** Asks for a picture. Resolves with the number of its tiles. */
async function render(
  api: Member,
  picture: string,
  tiles: number,
  ms: number,
  signal?: AbortSignal,
): Promise<number> {
  const url = `${api.url}/pictures/${picture}?tiles=${tiles}&ms=${ms}`;
  const response = await fetch(url, signal === undefined ? {} : { signal });
  return ((await response.json()) as readonly string[]).length;
}
