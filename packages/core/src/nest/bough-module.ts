import { Inject, Injectable, Module, Scope as Lifetime } from "@nestjs/common";
import type { DynamicModule, FactoryProvider, ModuleMetadata, Provider } from "@nestjs/common";
import { HttpAdapterHost, REQUEST } from "@nestjs/core";
import { optionNames } from "../errors/option-names.js";
import { checkOptionsObject, requireFunction } from "../errors/validate.js";
import { BoughService } from "./bough-service.js";
import { REQUEST_SCOPE } from "./decorators.js";
import { checkModuleOptions, optionsToken, type BoughModuleOptions } from "./options.js";

export type { BoughModuleOptions };

/** The options of `BoughModule.forRootAsync`. */
export interface BoughModuleAsyncOptions extends Pick<ModuleMetadata, "imports"> {
  /** The tokens whose providers are passed to `useFactory`. Default: nothing. */
  readonly inject?: FactoryProvider["inject"];
  /** Makes the options. */
  // oxlint-disable-next-line typescript/no-explicit-any -- Nest has no types for the injected values
  readonly useFactory: (...injected: any[]) => BoughModuleOptions | Promise<BoughModuleOptions>;
}

const asyncOptionNames = optionNames<BoughModuleAsyncOptions>({
  imports: true,
  inject: true,
  useFactory: true,
});

/**
 * Gives each request of a Nest app a scope, a child of the scope of its server.
 *
 * For Nest 12, with the adapter for Express or for Fastify. Import it once, in the root module; it is global.
 *
 * **Cancellation:** as with `requestScope`: when the client goes away, by the `timeout`, by the header if
 * `deadlineHeader` is on, and by `app.close()`. `app.close()` lets running requests finish within `grace` before Nest
 * calls its shutdown hooks.
 *
 * **Failure:** a handler, guard, pipe, interceptor or middleware that fails because its client has gone is not answered
 * and not logged. A request that runs out of time is answered with 503, or with 504 if another server ran out of time,
 * and is logged at level warn. Neither reaches an exception filter. Every other failure does. If a failing task
 * cancelled the request, that is the failure of the task.
 *
 * @example
 * ```ts no-run
 * import { Module } from "@nestjs/common";
 * import { NestFactory } from "@nestjs/core";
 * import { BoughModule } from "bough/nest";
 *
 * @Module({ imports: [BoughModule.forRoot({ timeout: 10_000, grace: 5_000 })] })
 * class AppModule {}
 *
 * const app = await NestFactory.create(AppModule);
 * app.enableShutdownHooks();
 * await app.listen(3000);
 * ```
 */
export class BoughModule {
  /**
   * Returns the module with these options.
   *
   * @throws {TypeError | RangeError} If an option is of the wrong type or out of range.
   */
  static forRoot(options: BoughModuleOptions = {}): DynamicModule {
    checkModuleOptions("BoughModule.forRoot", options);
    return moduleWith({ provide: optionsToken, useValue: options });
  }

  /**
   * Returns the module with the options that `useFactory` makes, for example of the app's configuration.
   *
   * @throws {TypeError} If `useFactory` is not a function. The options that it makes are checked when the app starts.
   */
  static forRootAsync(options: BoughModuleAsyncOptions): DynamicModule {
    checkOptionsObject("BoughModule.forRootAsync", options, asyncOptionNames);
    const { imports, inject, useFactory } = options;
    requireFunction("BoughModule.forRootAsync", "useFactory", useFactory);
    const provider: FactoryProvider<BoughModuleOptions> = {
      provide: optionsToken,
      inject: inject ?? [],
      useFactory: async (...injected) => {
        const options = await useFactory(...injected);
        checkModuleOptions("BoughModule.forRootAsync", options);
        return options;
      },
    };
    return { ...moduleWith(provider), ...(imports !== undefined && { imports }) };
  }
}

function moduleWith(options: Provider): DynamicModule {
  return {
    module: BoughModule,
    global: true,
    providers: [options, BoughService, requestScopeProvider],
    exports: [BoughService, REQUEST_SCOPE],
  };
}

/** Nest calls this for a request only if a controller or provider of the request injects the scope. */
const requestScopeProvider: FactoryProvider = {
  provide: REQUEST_SCOPE,
  scope: Lifetime.REQUEST,
  inject: [BoughService, REQUEST],
  useFactory: (bough: BoughService, request: unknown) => bough.requestScope(request),
};

// Decorators are called as functions: the syntax needs compiler settings that would apply to the whole package.
Module({})(BoughModule);
Injectable()(BoughService);
Inject(HttpAdapterHost)(BoughService, undefined, 0);
Inject(optionsToken)(BoughService, undefined, 1);
