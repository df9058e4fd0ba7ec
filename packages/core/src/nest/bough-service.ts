import type { Server } from "node:net";
import { Logger, type OnModuleInit } from "@nestjs/common";
import type { HttpAdapterHost } from "@nestjs/core";
import { BoughError } from "../errors/bough-error.js";
import type { CancelledError } from "../errors/cancelled.js";
import type { Scope } from "../kernel/scope.js";
import { recordOf } from "../http/request-records.js";
import type { ServerScope } from "../http/server-handle.js";
import { openServer, serverStateOf } from "../http/server-scope.js";
import { failureBehind, type CancelledOutcome } from "../http/outcome.js";
import type { AnyRequest } from "../http/messages.js";
import type { Adapter } from "./adapter.js";
import { mountOnExpress, mountOnFastify, type Mount } from "./mounts.js";
import { serverOptionsOf, type BoughModuleOptions } from "./options.js";
import { beforeShutdownHooks, interceptFailures, isIntercepted } from "./patches.js";
import { NestResponder } from "./responder.js";

/**
 * The server's scope, and the scopes of requests, for providers of a Nest app. Inject it where `BoughModule` is imported.
 *
 * @example
 * ```ts no-run
 * import { Injectable } from "@nestjs/common";
 * import { spawn } from "bough";
 * import { BoughService } from "bough/nest";
 *
 * @Injectable()
 * export class Mailer {
 *   constructor(private readonly bough: BoughService) {}
 *
 *   send(to: string): void {
 *     // Outlives the request; a shutdown waits for it.
 *     spawn(this.bough.scope, ({ signal }) => fetch(`http://mail.internal/${to}`, { method: "POST", signal }));
 *   }
 * }
 * ```
 */
export class BoughService implements OnModuleInit {
  readonly #host: HttpAdapterHost;
  readonly #options: BoughModuleOptions;
  readonly #logger: Logger = new Logger("Bough");
  #mount: Mount | undefined;

  /** Called by Nest. */
  constructor(host: HttpAdapterHost, options: BoughModuleOptions) {
    this.#host = host;
    this.#options = { ...options, onError: options.onError ?? logTo(this.#logger) };
    // An app of a test module gets its adapter later. An app without a server never gets one.
    if (hasAdapter(host)) this.#prepare(host.httpAdapter);
    else host.init$.subscribe(() => hasAdapter(host) && this.#prepare(host.httpAdapter));
  }

  /** Called by Nest before the server listens. */
  onModuleInit(): void {
    if (this.#mount === undefined) return;
    void this.scope; // the first call for a server decides on its name and its parent
    serverStateOf(this.#server).Responder = NestResponder;
  }

  /**
   * The scope of the server: the parent of the scopes of its requests, and the place for work that outlives a request.
   *
   * It exists once the app is initialised, so not in the constructor of a provider.
   *
   * @throws {BoughError} If the app has no HTTP server, or none yet.
   */
  get scope(): ServerScope {
    return openServer(this.#server, serverOptionsOf(this.#options), undefined);
  }

  /**
   * Returns the scope of a request for guards, interceptors and middleware, as `@RequestScope()` does for handlers.
   *
   * @param request - As `context.switchToHttp().getRequest()` returns it, or the first argument of middleware.
   * @throws {TypeError} If `request` is not a request of this app.
   */
  requestScope(request: unknown): Scope {
    if (this.#mount === undefined) throw noServer("requestScope");
    return this.#mount.scopeOf(request);
  }

  get #server(): Server {
    const server = this.#mount && (this.#host.httpAdapter.getHttpServer() as Server | undefined);
    if (server === undefined) throw noServer("scope");
    return server;
  }

  #prepare(adapter: Adapter): void {
    if (isIntercepted(adapter)) {
      const message = "BoughModule.forRoot: the app imports it twice; import it once, in the root module";
      throw new BoughError("BOUGH_SERVER_SCOPE", message);
    }
    const options: BoughModuleOptions = {
      ...this.#options,
      onCancelled: logAndCall(this.#logger, this.#options.onCancelled),
    };
    const mount = mounts[adapter.getType()]?.(adapter, options);
    if (mount === undefined) {
      const message = `BoughModule: the app's adapter must be "express" or "fastify", got ${JSON.stringify(adapter.getType())}`;
      throw new BoughError("BOUGH_SERVER_SCOPE", message);
    }
    this.#mount = mount;
    interceptFailures(adapter, {
      failureOf: (error, request, response) => failureOf(mount, error, request, response),
    });
    beforeShutdownHooks(adapter, () => this.#shutDown());
  }

  async #shutDown(): Promise<void> {
    // An app that has failed to start has no server.
    if ((this.#host.httpAdapter.getHttpServer() as Server | undefined) === undefined) return;
    this.#mount?.beforeShutdown?.();
    try {
      const { stuck } = await this.scope.shutdown();
      for (const { path, age } of stuck) this.#logger.warn(`${path} is stuck after ${age} ms`);
    } catch (error) {
      this.#logger.error(error); // as Nest handles a failing hook: it still calls the others
    }
  }
}

const mounts: Readonly<Record<string, (adapter: Adapter, options: BoughModuleOptions) => Mount>> = {
  express: mountOnExpress,
  fastify: mountOnFastify,
};

// Separate functions, so that the server's scope does not refer to the service, which refers to the server.

function logTo(logger: Logger): NonNullable<BoughModuleOptions["onError"]> {
  return (error, { path }) => {
    const { stack } = error instanceof Error ? error : {};
    logger.error(`${path} has failed: ${String(error)}`, stack);
  };
}

function logAndCall(
  logger: Logger,
  onCancelled: BoughModuleOptions["onCancelled"],
): NonNullable<BoughModuleOptions["onCancelled"]> {
  return (outcome, request: AnyRequest | { raw: AnyRequest }, response: unknown) => {
    log(logger, outcome, "raw" in request ? request.raw : request);
    return onCancelled?.(outcome, request, response);
  };
}

/** Does not log a client that has disconnected, since Nest does not log requests. */
function log(logger: Logger, { status, error }: CancelledOutcome, request: AnyRequest): void {
  if (status === 499) return;
  const { scope } = error as Partial<CancelledError>;
  const where = scope === undefined ? "" : `, in ${scope}`;
  logger.warn(`${nameOf(request)} has ended with ${status}: ${String(error)}${where}`);
}

function failureOf(
  mount: Mount,
  error: unknown,
  request: never,
  response: never,
): { readonly error: unknown } | undefined {
  if (mount.end(error, request, response)) return undefined;
  // After the failure of a task the filters get that failure, which may be an `HttpException` with a status.
  const node = recordOf((request as { raw?: AnyRequest }).raw ?? (request as AnyRequest))?.node;
  return { error: node === undefined ? error : failureBehind(node, error) };
}

function hasAdapter({ httpAdapter }: HttpAdapterHost): boolean {
  return (httpAdapter as Adapter | null | undefined) != null;
}

function nameOf(request: AnyRequest): string {
  return recordOf(request)?.node.name ?? `${request.method} request`;
}

function noServer(property: string): BoughError {
  const message = `BoughService.${property}: the app has no HTTP server${property === "scope" ? ", or none yet; read it in onModuleInit, or later" : ""}`;
  return new BoughError("BOUGH_SERVER_SCOPE", message);
}
