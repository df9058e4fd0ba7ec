// What the runs of real frameworks (`test:next`, `test:nitro`) share: installing one, copying the built package into it, and
// asking its server.

import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const core = fileURLToPath(new URL("..", import.meta.url));

/** Installs `packages` on the first run. Returns the folder, which has a copy of the built package in `node_modules`. */
export function prepare(name, packages) {
  const cache = join(core, "../../node_modules/.cache/bough", name);
  if (!existsSync(join(core, "dist/web/index.js"))) throw new Error("build first: npm run build");
  if (!existsSync(join(cache, "node_modules/.bin", name))) {
    console.log(`installing ${packages.join(", ")} …`);
    mkdirSync(cache, { recursive: true });
    execFileSync("npm", ["install", "--no-audit", "--no-fund", "--silent", "--prefix", cache, ...packages]);
  }
  // A copy, as it would be installed: Next.js does not follow links out of its folder.
  const installed = join(cache, "node_modules/bough");
  rmSync(installed, { recursive: true, force: true });
  cpSync(join(core, "dist"), join(installed, "dist"), { recursive: true });
  cpSync(join(core, "package.json"), join(installed, "package.json"));
  return cache;
}

/** A folder for the files of an application, to begin with those that docs/web.md gives for `host`. */
export class App {
  constructor(cache, host) {
    this.folder = mkdtempSync(join(cache, "app-"));
    const docs = readFileSync(join(core, "../../docs/web.md"), "utf8");
    for (const [, path, code] of docs.matchAll(new RegExp(`\`\`\`js\n// ${host}: (\\S+)\n(.*?)\`\`\``, "gs")))
      this.write(path, code);
  }

  write(path, code) {
    mkdirSync(dirname(join(this.folder, path)), { recursive: true });
    writeFileSync(join(this.folder, path), code);
  }

  remove() {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export async function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Asks a server. */
export class Client {
  constructor(port) {
    this.port = port;
  }

  /** Sends a request; with `leave`, goes away when that says so. Resolves with the status, 0 for none, and the text. */
  get(path, leave) {
    return new Promise((resolve) => {
      const target = { host: "127.0.0.1", port: this.port, path, agent: false };
      const request = http.get(target, (response) => {
        let text = "";
        response.on("data", (chunk) => {
          text += chunk;
          if (leave === "in the body") request.destroy();
        });
        response.on("error", () => resolve([0]));
        response.on("end", () => resolve([response.statusCode, text]));
      });
      request.on("error", () => resolve([0]));
      if (leave === "before") setTimeout(() => request.destroy(), 500);
    });
  }

  /** Waits until the server answers `path`. */
  async ready(path, isOver) {
    while ((await this.get(path))[0] !== 200) {
      if (isOver()) throw new Error("the server has ended");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** The kind of the cancellation of a request, which the application tells by `/kinds`; null if there is none. */
  async kindOf(name, tries = 100) {
    for (let count = 0; count < tries; count++) {
      const [, text] = await this.get("/kinds");
      const kind = JSON.parse(text ?? "{}")[name];
      if (kind !== undefined) return kind;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return null;
  }
}

/** The results of the checks, as a table. */
export class Checks {
  failures = 0;
  #rows = [];

  check(what, got, wanted) {
    const isRight = JSON.stringify(got) === JSON.stringify(wanted);
    if (!isRight) this.failures += 1;
    this.#rows.push({ what, got: JSON.stringify(got), wanted: JSON.stringify(wanted), right: isRight });
  }

  print() {
    console.table(this.#rows);
    process.exitCode = this.failures === 0 ? 0 : 1;
  }
}
