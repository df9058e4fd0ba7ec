import { crc32 } from "node:zlib";
import { describe, expect, it } from "vitest";
import { rejection } from "../../test/support/deferred.js";
import { BoughError, createScope, spawn, withScope } from "../index.js";
import { createRecorder, decodeRecording, encodeRecording, recordedScopes, type Recording } from "./index.js";

async function record(bytes?: number): Promise<Recording> {
  using recorder = createRecorder(bytes === undefined ? {} : { bytes });
  const open = createScope({ name: "still öpen 🌳" });
  for (let round = 0; round < 3; round++)
    await withScope({ name: "round" }, (scope) => {
      for (let job = 0; job < 600; job++) spawn(scope, function job() {});
    });
  await rejection(
    withScope({ name: "bad" }, () => {
      throw new RangeError("no");
    }),
  );
  const recording = recorder.take();
  await open.close();
  return recording;
}

const plain = ({ startedAt, from, takenAt, dropped, totals, events, alive }: Recording): object => ({
  startedAt,
  from,
  takenAt,
  dropped,
  totals,
  events: [...events],
  alive: [...alive],
});

/** The error that decoding throws. */
function refusal(bytes: Uint8Array): BoughError {
  let thrown: unknown;
  try {
    decodeRecording(bytes);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(BoughError);
  expect(thrown).toMatchObject({ code: "BOUGH_RECORDING" });
  return thrown as BoughError;
}

const view = (file: Uint8Array): DataView => new DataView(file.buffer, file.byteOffset);

/** Writes the checksum that belongs to a changed file. */
function seal(file: Uint8Array): Uint8Array {
  view(file).setUint32(16, crc32(file.subarray(24)), true);
  return file;
}

describe("the file of a recording", () => {
  it.each([undefined, 65_536])("holds everything that was taken, with %s bytes", async (bytes) => {
    const recording = await record(bytes);
    expect(recording.dropped.events > 0).toBe(bytes !== undefined);
    const read = decodeRecording(encodeRecording(recording));
    expect(plain(read)).toEqual(plain(recording));
    expect(recordedScopes(read)).toEqual(recordedScopes(recording));
    expect([...encodeRecording(read)]).toEqual([...encodeRecording(recording)]);
  });

  it("begins with the bytes that the documentation describes", async () => {
    const file = encodeRecording(await record());
    expect(new TextDecoder().decode(file.subarray(0, 8))).toBe("BOUGHREC");
    expect(view(file).getUint32(8, true)).toBe(1);
    const length = view(file).getUint32(12, true);
    const header = JSON.parse(new TextDecoder().decode(file.subarray(24, 24 + length))) as {
      names: string[];
      alive: number;
      events: number;
    };
    expect(header.names).toContain("still öpen 🌳");
    expect(file.length).toBe(24 + length + 32 * (header.alive + header.events));
    expect(view(file).getUint32(16, true)).toBe(crc32(file.subarray(24)));
    // The first record: the scope that was alive.
    const record32 = new DataView(file.buffer, 24 + length, 32);
    expect(header.names[record32.getUint16(24, true)]).toBe("still öpen 🌳");
    expect(record32.getUint8(30)).toBe(0);
  });

  it("can be read at any place in memory, as in the buffers of Node", async () => {
    const file = encodeRecording(await record());
    const shifted = new Uint8Array(file.length + 3).subarray(3);
    shifted.set(file);
    expect([...decodeRecording(shifted).events]).toHaveLength([...decodeRecording(file).events].length);
  });

  it("of a recorder without events is empty, and can be read", () => {
    using recorder = createRecorder();
    const read = decodeRecording(encodeRecording(recorder.take()));
    expect([...read.events]).toEqual([]);
  });

  it("is refused if another version has written it, with what to do", async () => {
    const file = encodeRecording(await record());
    for (const version of [0, 2, 4_000_000_000]) {
      view(file).setUint32(8, version, true);
      expect(refusal(file).message).toBe(
        `decodeRecording: the file has version ${version}, and this version of bough reads version 1. ` +
          "Read it with the version of bough that wrote it",
      );
    }
  });

  it.each([
    ["nothing", ""],
    ["a Chrome trace", '{"traceEvents":[]}'],
    ["text", "BOUGHREP"],
    ["only its first word", "BOUGHREC"],
  ])("is refused if it is %s, with what to do", (_, text) => {
    const { message } = refusal(new TextEncoder().encode(text));
    expect(message).toMatch(/not a recording of bough/);
    expect(message).toMatch(/Give the file that `bough inspect --record`/);
  });

  it("is refused if it was truncated at any place", async () => {
    const file = encodeRecording(await record(65_536));
    for (const length of [24, 25, 40, file.length >> 1, file.length - 32, file.length - 1])
      expect(refusal(file.subarray(0, length)).message).toMatch(/damaged.*Copy it again, or record again/);
  });

  it("is refused if any byte has changed", async () => {
    const file = encodeRecording(await record(65_536));
    for (const at of [12, 16, 24, 100, file.length >> 1, file.length - 1]) {
      const changed = file.slice();
      (changed[at] as number) ^= 0x10;
      expect(refusal(changed).message).toMatch(/damaged/);
    }
  });

  it("is refused if it was copied as text", async () => {
    const file = encodeRecording(await record(65_536));
    expect(refusal(new TextEncoder().encode(new TextDecoder().decode(file))).message).toMatch(/damaged/);
  });

  it("is refused if its parts do not fit together, although its checksum is right", async () => {
    const file = encodeRecording(await record(65_536));
    expect(refusal(seal(file.slice(0, -32))).message).toMatch(/damaged/);
    const broken = file.slice();
    broken[24] = 0x5b;
    expect(refusal(seal(broken)).message).toMatch(/damaged/);
  });

  it.each([undefined, "BOUGHREC", {}, [1], new ArrayBuffer(64)])("is refused by type: %o", (bytes) => {
    expect(() => decodeRecording(bytes as Uint8Array)).toThrow(TypeError);
    expect(() => decodeRecording(bytes as Uint8Array)).toThrow(/bytes must be a Uint8Array, got /);
  });

  it("is not made from a value that is not a recording", () => {
    expect(() => encodeRecording({} as Recording)).toThrow(TypeError);
    expect(() => encodeRecording({} as Recording)).toThrow(/recording must be one that take\(\)/);
  });
});
