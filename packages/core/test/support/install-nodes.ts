import { installNodes } from "./nodes.js";
import { installRuntimes } from "./runtimes.js";

/** Runs once before the tests of a project. */
export function setup(): void {
  if (process.env["BOUGH_ALL_NODES"] !== "1") return;
  installNodes();
  installRuntimes();
}
