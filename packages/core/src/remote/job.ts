import { optionNames } from "../errors/option-names.js";
import {
  checkOptionsObject,
  outOfRange,
  refuseOptions,
  requireCount,
  requireFunction,
  requireType,
  wrongType,
} from "../errors/validate.js";
import type { Scope } from "../kernel/scope.js";
import type { EngineRef } from "./engine.js";

/** A schema of any library that implements Standard Schema, version 1: Zod, Valibot, ArkType and others. */
export interface StandardSchema<Out = unknown> {
  /** The interface of the specification. */
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<Out> | Promise<StandardResult<Out>>;
  };
}

/** The result of a {@link StandardSchema} for a value. */
export type StandardResult<Out> =
  | { readonly value: Out; readonly issues?: undefined }
  | {
      readonly issues: readonly {
        readonly message: string;
        readonly path?: readonly unknown[] | undefined;
      }[];
    };

/** Checks a received value, and returns it. A function throws if the value does not fit. */
export type Parser<T> = StandardSchema<T> | ((value: unknown) => T | PromiseLike<T>);

/** The options of {@link defineJob}. */
export interface JobOptions<In, Out> {
  /** Workers of one version never see jobs of another. Default 1. */
  readonly version?: number | undefined;
  /** Checks the data in the worker's process. Default: anything is accepted. */
  readonly parse?: Parser<In> | undefined;
  /** Checks the result in the owner's process. Default: anything is accepted. */
  readonly parseResult?: Parser<Out> | undefined;
}

/** A kind of job: a name and two types, shared by owners and workers. */
export interface Job<In, Out> {
  /** As given to `defineJob`. */
  readonly name: string;
  /** As given to `defineJob`, otherwise 1. */
  readonly version: number;
  /** `name@version`: the engine has one queue for it. */
  readonly queue: string;
  /** Checks the data in the worker's process. */
  readonly parse: Parser<In> | undefined;
  /** Checks the result in the owner's process. */
  readonly parseResult: Parser<Out> | undefined;
}

/** A detached job. A JSON value: keep it in a database, and attach to it later, in any process. */
export interface JobRef<Out = unknown> extends EngineRef {
  /** Carries the type only. */
  readonly result?: Out | undefined;
}

/** The information about a job for its worker function. */
export interface JobInfo {
  /** The id of the job in its queue. */
  readonly id: string;
  /** The name of the job, without its version. */
  readonly name: string;
  /** How often the job has been started, this time included. */
  readonly attempt: number;
  /**
   * The fencing token: greater for every start of the job. Store it with your data, and refuse a write with a smaller
   * one.
   */
  readonly fence: number;
  /** The id of the owner's lease; `undefined` for a detached job. */
  readonly owner: string | undefined;
  /** The path of the task in the owner's process. */
  readonly path: string | undefined;
}

/** The code of a job, in the worker's process. */
export interface Implementation<In = unknown, Out = unknown> {
  /** Made by `defineJob`. */
  readonly job: Job<In, Out>;
  /** Called for each job. */
  readonly worker: JobWorker<In, Out>;
}

/** An implementation of any job, as `serve` takes it. */
export interface AnyImplementation {
  /** Made by `defineJob`. */
  readonly job: Job<unknown, unknown>;
  /** Called for each job. */
  readonly worker: JobWorker<never, unknown>;
}

/** Called with a scope that is cancelled with the owner's task, the data, and the information about the job. */
export type JobWorker<In, Out> = (scope: Scope, data: In, info: JobInfo) => Out | PromiseLike<Out>;

const jobOptionNames = optionNames<JobOptions<unknown, unknown>>({
  version: true,
  parse: true,
  parseResult: true,
});

/**
 * Names a kind of job. Owners and workers share the definition; it has no code.
 *
 * @param name - Letters, digits, `.`, `_` and `-`.
 * @param options - The version, and the checks of received values.
 * @returns The definition.
 * @throws {TypeError | RangeError} If an argument is bad.
 * @example
 * ```ts
 * const resize = defineJob<{ url: string }, { key: string }>("resize", { version: 2 });
 * console.log(resize.queue); // resize@2
 * ```
 */
export function defineJob<In = undefined, Out = void>(
  name: string,
  options: JobOptions<In, Out> = {},
): Job<In, Out> {
  requireType("defineJob", "name", "string", name);
  if (!/^[\w.-]{1,100}$/.test(name))
    throw outOfRange(
      "defineJob",
      "name must be 1 to 100 letters, digits, dots, underscores or hyphens",
      name,
    );
  checkOptionsObject("defineJob", options, jobOptionNames, "{ version: 2 }");
  const { version = 1, parse, parseResult } = options;
  requireCount("defineJob", "version", version, 1);
  checkParser("parse", parse);
  checkParser("parseResult", parseResult);
  return Object.freeze({ name, version, queue: `${name}@${version}`, parse, parseResult });
}

function checkParser(name: string, value: unknown): void {
  if (value === undefined || typeof value === "function") return;
  if (typeof value === "object" && value !== null && "~standard" in value) return;
  throw wrongType("defineJob", `${name} must be a function or a Standard Schema`, value);
}

/**
 * Gives a job its code, for `serve`.
 *
 * @param job - Made by `defineJob`.
 * @param worker - Called for each job, with a scope, the data, and the information about the job.
 * @returns Both together.
 * @throws {TypeError} If an argument is of the wrong type.
 * @example
 * ```ts
 * const double = defineJob<number, number>("double");
 * const implementation = implement(double, (scope, data) => data * 2);
 * console.log(implementation.job.queue); // double@1
 * ```
 */
export function implement<In, Out>(job: Job<In, Out>, worker: JobWorker<In, Out>): Implementation<In, Out>;
export function implement<In, Out>(
  job: Job<In, Out>,
  worker: JobWorker<In, Out>,
  extra?: unknown,
): Implementation<In, Out> {
  refuseOptions("implement", extra);
  requireJob("implement", job);
  requireFunction("implement", "worker", worker);
  return { job, worker };
}

export function requireJob(operation: string, job: unknown): asserts job is Job<unknown, unknown> {
  const isJob =
    typeof job === "object" && job !== null && typeof (job as { queue?: unknown }).queue === "string";
  if (!isJob) throw wrongType(operation, "job must be a job made by defineJob", job);
}

export function requireRef(operation: string, ref: unknown): asserts ref is EngineRef {
  const { queue, id } = (ref ?? {}) as { queue?: unknown; id?: unknown };
  if (typeof queue !== "string" || typeof id !== "string")
    throw wrongType(operation, "ref must be a JobRef, as detach returns it", ref);
}
