import { readFileSync } from "node:fs";
import type { Server } from "node:http";
import type { ShutdownReport } from "bough/http";
import type { Model } from "./answer.js";

/** The dependencies of a gateway. */
export interface GatewayOptions {
  readonly model: Model;
  /** Milliseconds that a shutdown leaves to requests. */
  readonly grace: number;
  /** The data that the page shows beside the answer. */
  readonly stats: () => unknown;
}

/** A gateway in one of the frameworks. */
export interface Gateway {
  readonly name: string;
  readonly server: Server;
  shutdown(): Promise<ShutdownReport>;
}

/** The page that asks and shows the answer. */
export const page: string = readFileSync(new URL("page.html", import.meta.url), "utf8");
