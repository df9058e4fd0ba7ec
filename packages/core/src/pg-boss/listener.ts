import pg from "pg";
import { Pause } from "../remote/time.js";

/** How often to check the connection with a query, and how long to wait before connecting again, in ms. */
const CHECK_INTERVAL = 5_000;
const RETRY = 200;

/**
 * The connection that listens for hints. It connects again for ever; the listeners are called without a payload after that,
 * since notifications that were sent meanwhile are lost.
 */
export class Listener {
  readonly #config: pg.ClientConfig;
  readonly #onError: (error: unknown) => void;
  readonly #listeners = new Map<string, (payload?: string) => void>();
  readonly #pause = new Pause();
  #client: pg.Client | undefined;
  #isClosed = false;
  #loop: Promise<void> | undefined;

  constructor(config: pg.ClientConfig, onError: (error: unknown) => void) {
    this.#config = config;
    this.#onError = onError;
  }

  async listen(channel: string, listener: (payload?: string) => void): Promise<void> {
    this.#listeners.set(channel, listener);
    if (this.#loop === undefined) {
      await this.#connect();
      this.#loop = this.#watch();
    } else {
      await this.#client?.query(`LISTEN ${channel}`);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#pause.end();
    this.#drop();
    await this.#loop;
  }

  async #connect(): Promise<void> {
    const client = new pg.Client({
      ...this.#config,
      keepAlive: true,
      connectionTimeoutMillis: 2_000,
      query_timeout: CHECK_INTERVAL,
      application_name: "bough",
    });
    client.on("error", (error) => {
      this.#onError(error);
      this.#pause.end();
    });
    client.on("end", () => {
      if (this.#client !== client) return;
      this.#client = undefined;
      this.#pause.end();
    });
    client.on("notification", ({ channel, payload }) => this.#listeners.get(channel)?.(payload ?? ""));
    await client.connect();
    this.#client = client;
    if (this.#isClosed) return this.#drop(); // `close` did not find it
    for (const channel of this.#listeners.keys()) await client.query(`LISTEN ${channel}`);
  }

  /** Checks the connection periodically, and repairs it. */
  async #watch(): Promise<void> {
    while (!this.#isClosed) {
      await this.#pause.wait(this.#client === undefined ? RETRY : CHECK_INTERVAL);
      if (this.#isClosed) return;
      try {
        if (this.#client === undefined) {
          await this.#connect();
          for (const listener of this.#listeners.values()) listener();
        } else {
          await this.#client.query("SELECT 1");
        }
      } catch (error) {
        this.#onError(error);
        this.#drop();
      }
    }
  }

  #drop(): void {
    const client = this.#client;
    this.#client = undefined;
    client?.end().catch(() => {});
  }
}
