import { pathToFileURL } from "node:url";
import type * as Bough from "../src/index.js";
import { options } from "./options.js";

/** The package as its users get it: what is measured is the built code, not the sources. */
const bough = (await import(pathToFileURL(options.dist).href)) as typeof Bough;

export const {
  close,
  createChannel,
  createScope,
  createSemaphore,
  map,
  race,
  selfCleaning,
  sleep,
  spawn,
  withScope,
} = bough;
export type { Scope } from "../src/index.js";
