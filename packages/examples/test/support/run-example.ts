import { spawn } from "node:child_process";
import { once } from "node:events";

const folder = new URL("../../", import.meta.url).pathname;

/** Runs the `main.ts` of an example as its README says, in a process of its own. */
export async function runExample(name: string, ...args: string[]): Promise<{ code: number; output: string }> {
  const child = spawn(process.execPath, ["--import", "tsx", `src/${name}/main.ts`, ...args], {
    cwd: folder,
    timeout: 30_000,
  });
  let output = "";
  child.stdout.on("data", (chunk) => (output += String(chunk)));
  child.stderr.on("data", (chunk) => (output += String(chunk)));
  const [code] = (await once(child, "close")) as [number | null];
  return { code: code ?? -1, output };
}
