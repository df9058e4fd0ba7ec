import { execFileSync, spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** A running Go program that does one job per request, so that Go can take its turn among the others. */
export interface Go {
  /** ns to create, bytes, and ns to join, for each goroutine. `waitGroup` and `withCancel` give the whole in the first,
   * `orphans` the time from a collection to the end of all in the third. */
  readonly run: (
    job: "waitGroup" | "withCancel" | "suspended" | "orphans",
    count: number,
  ) => Promise<readonly number[]>;
  readonly version: string;
  readonly stop: () => void;
}

const source = fileURLToPath(new URL("go/main.go", import.meta.url));
const cache = fileURLToPath(new URL("../../../node_modules/.cache/bough/", import.meta.url));

/** Builds and starts the Go program; `undefined` where there is no Go toolchain. */
export function startGo(): Go | undefined {
  let version: string;
  const binary = `${cache}bench-go`;
  try {
    version = execFileSync("go", ["version"], { encoding: "utf8" }).trim().replace("go version ", "");
    mkdirSync(cache, { recursive: true });
    execFileSync("go", ["build", "-o", binary, source], { stdio: ["ignore", "ignore", "inherit"] });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const child = spawn(binary, { stdio: ["pipe", "pipe", "inherit"] });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    version,
    async run(job, count) {
      child.stdin.write(`${job} ${count}\n`);
      const answer = await answers.next();
      if (answer.done === true) throw new Error("The Go program has ended early");
      return answer.value.split(" ").map(Number);
    },
    stop: () => child.stdin.end(),
  };
}

export const withoutGo =
  "No Go toolchain on this machine, so no Go rows (Debian: apt-get install golang-go).";
