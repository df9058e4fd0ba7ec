/**
 * Types that the compiler must infer for streams and for Effection, and code that it must refuse. See `flow.ts`; it is
 * never run.
 */
import type { EventEmitter } from "node:events";
import { Writable, type Readable } from "node:stream";
import type { Operation, Scope as EffectionScope } from "effection";
import { effectionScope, useBoughScope, useOperation } from "../../src/effection/index.js";
import type { Scope } from "../../src/index.js";
import { events, iterate, pipe, toReadableStream } from "../../src/streams/index.js";
import { expectType } from "./same.js";

declare const scope: Scope;
declare const words: ReadableStream<string>;
declare const letters: AsyncGenerator<string>;
declare const file: Readable;
declare const wordSink: WritableStream<string>;
declare const numberSink: WritableStream<number>;
declare const target: EventTarget;
declare const emitter: EventEmitter;

// Items.
expectType<AsyncIterableIterator<string>>()(iterate(scope, words));
expectType<AsyncIterableIterator<string>>()(iterate(scope, letters));
expectType<AsyncIterableIterator<number>>()(iterate(scope, new Set([1])));
expectType<AsyncIterableIterator<string>>()(iterate(scope, "abc"));
expectType<AsyncIterableIterator<Buffer>>()(iterate<Buffer>(scope, file));
expectType<ReadableStream<string>>()(toReadableStream(scope, letters));
// @ts-expect-error -- not iterable
iterate(scope, 5);
// @ts-expect-error -- the scope comes first
iterate(words);
// @ts-expect-error -- where it goes to is no source
toReadableStream(scope, wordSink);

// From one to another.
expectType<Promise<void>>()(pipe(scope, words, wordSink));
expectType<Promise<void>>()(pipe(scope, file, new Writable()));
// @ts-expect-error -- words are no numbers
void pipe(scope, words, numberSink);
// @ts-expect-error -- a Readable can't be written to
void pipe(scope, words, file);

// Events.
expectType<AsyncIterableIterator<Event>>()(events(scope, target, "click"));
expectType<AsyncIterableIterator<CustomEvent<number>>>()(events<CustomEvent<number>>(scope, target, "tick"));
expectType<AsyncIterableIterator<readonly unknown[]>>()(events(scope, emitter, Symbol("tick")));
expectType<AsyncIterableIterator<[number]>>()(events<[number]>(scope, emitter, "tick", { buffer: 1 }));
// @ts-expect-error -- an EventTarget has no symbols
events(scope, target, Symbol("tick"));
// @ts-expect-error -- misspelt
events(scope, emitter, "tick", { bufer: 1 });
// @ts-expect-error -- a Readable is no event
events<Readable>(scope, target, "tick");

// Effection.
declare const operation: Operation<number>;
expectType<Promise<number>>()(useOperation(scope, () => operation));
expectType<Promise<EffectionScope>>()(effectionScope(scope));
expectType<Operation<Scope>>()(useBoughScope({ timeout: 1 }));
// @ts-expect-error -- an operation is made for it
void useOperation(scope, operation);
// @ts-expect-error -- a promise is no operation
void useOperation(scope, async () => 1);
// @ts-expect-error -- no option of a scope
useBoughScope({ timeOut: 1 });
