import { readFile, rename, stat, writeFile } from "node:fs/promises";
import { ticker, type Scope } from "bough";

export interface Config {
  /** Put before each message. */
  readonly prefix: string;
}

/** In one step, so that no reader sees half of it. */
export async function writeConfig(file: string, config: Config): Promise<void> {
  await writeFile(`${file}.new`, JSON.stringify(config));
  await rename(`${file}.new`, file);
}

/** A configuration file that may change at any time. */
export class ConfigFile {
  readonly #path: string;
  #version = "";

  constructor(path: string) {
    this.#path = path;
  }

  /** @throws If there is no such file, or no configuration in it (as a rejection). */
  async read(): Promise<Config> {
    this.#version = await this.#look(); // before: a change while we read is seen next time
    const config: unknown = JSON.parse(await readFile(this.#path, "utf8"));
    const prefix: unknown = typeof config === "object" && config !== null && Reflect.get(config, "prefix");
    if (typeof prefix === "string") return { prefix };
    throw new TypeError(`${this.#path}: prefix must be a string, got ${JSON.stringify(prefix)}`);
  }

  /**
   * The configurations after the last {@link read}, until `scope` is cancelled.
   *
   * @param interval - Milliseconds from one look to the next.
   * @param onBad - Told, once, why a file that changed is no configuration. The last good one stays.
   */
  async *changes(scope: Scope, interval: number, onBad: (error: unknown) => void): AsyncGenerator<Config> {
    for await (const _ of ticker(scope, interval)) {
      if ((await this.#look()) === this.#version) continue;
      let config: Config;
      try {
        config = await this.read();
      } catch (error) {
        onBad(error);
        continue;
      }
      yield config;
    }
  }

  /** A replaced file has another inode, even if it was within one tick of the file system's clock. */
  async #look(): Promise<string> {
    try {
      const { ino, mtimeNs, size } = await stat(this.#path, { bigint: true });
      return `${ino}:${mtimeNs}:${size}`;
    } catch {
      return "unreadable";
    }
  }
}
