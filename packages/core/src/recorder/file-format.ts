import { BoughError } from "../errors/bough-error.js";
import { describe } from "../errors/describe.js";
import { wrongType } from "../errors/validate.js";
import { RECORD_SIZE } from "./records.js";
import { RecordedData, type Recording, type RecordingHeader } from "./recording.js";

// The format of a file, which `docs/diagnostics.md` describes, too. Numbers are little-endian.
//
//   0  8 bytes  "BOUGHREC"
//   8  uint32   version: 1
//  12  uint32   length of the header in bytes
//  16  uint32   CRC-32 of all that follows
//  20  uint32   0
//  24  header   JSON in UTF-8, filled up with spaces to a multiple of 8 bytes
//      records  32 bytes each, see records.ts: first `alive` of the header, then `events`

const MAGIC = "BOUGHREC";
const VERSION = 1;
const PREFIX = 24;

/**
 * Writes a recording as bytes, for a file. The format has a version, and is described in `docs/diagnostics.md`.
 *
 * @param recording - What a recorder has returned, or {@link decodeRecording}.
 * @returns The content of the file.
 * @throws {TypeError} If `recording` is not one.
 * @example
 * ```ts
 * const recorder = createRecorder();
 * await withScope({ name: "shop" }, (scope) => spawn(scope, async function order() {}));
 * const file = encodeRecording(recorder.take());
 * recorder.stop();
 * console.log([...decodeRecording(file).events].length > 0); // true
 * ```
 */
export function encodeRecording(recording: Recording): Uint8Array<ArrayBuffer> {
  if (!(recording instanceof RecordedData))
    throw wrongType(
      "encodeRecording",
      "recording must be one that take() or decodeRecording() has returned",
      recording,
    );
  return assemble(JSON.stringify(recording.header), recording.records.bytes);
}

/** Joins the parts of a file. */
export function assemble(header: string, records: Uint8Array): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(header);
  const headerLength = Math.ceil(text.length / 8) * 8;
  const file = new Uint8Array(PREFIX + headerLength + records.length);
  const view = new DataView(file.buffer);
  file.set(new TextEncoder().encode(MAGIC));
  view.setUint32(8, VERSION, true);
  view.setUint32(12, headerLength, true);
  file.fill(0x20, PREFIX, PREFIX + headerLength);
  file.set(text, PREFIX);
  file.set(records, PREFIX + headerLength);
  view.setUint32(16, crc32(file.subarray(PREFIX)), true);
  return file;
}

/**
 * Reads a recording from the bytes of a file.
 *
 * @param bytes - The content of the file.
 * @returns The recording.
 * @throws {BoughError} With the code `BOUGH_RECORDING`, if the file is not a recording, is damaged, or was written by another version.
 * @throws {TypeError} If `bytes` is not a `Uint8Array`.
 * @example
 * ```ts
 * const recorder = createRecorder();
 * const file = encodeRecording(recorder.take());
 * recorder.stop();
 * try {
 *   decodeRecording(file.subarray(0, 100));
 * } catch (error) {
 *   console.log(error instanceof BoughError && error.code); // BOUGH_RECORDING
 * }
 * ```
 */
export function decodeRecording(bytes: Uint8Array): Recording {
  if (!(bytes instanceof Uint8Array)) throw wrongType("decodeRecording", "bytes must be a Uint8Array", bytes);
  const magic = String.fromCharCode(...bytes.subarray(0, MAGIC.length));
  if (magic !== MAGIC || bytes.length < PREFIX)
    throw refused(
      `these ${bytes.length} bytes are not a recording of bough, which begins with ${MAGIC}, but begin with ${describe(magic)}. ` +
        "Give the file that `bough inspect --record` or encodeRecording() wrote",
    );
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint32(8, true);
  if (version !== VERSION)
    throw refused(
      `the file has version ${version}, and this version of bough reads version ${VERSION}. ` +
        "Read it with the version of bough that wrote it",
    );
  const headerLength = view.getUint32(12, true);
  if (crc32(bytes.subarray(PREFIX)) !== view.getUint32(16, true)) throw damaged(bytes.length);
  const header = readHeader(bytes.subarray(PREFIX, PREFIX + headerLength));
  const records = new Uint8Array(bytes.subarray(PREFIX + headerLength));
  if (header === undefined || records.length !== (header.alive + header.events) * RECORD_SIZE)
    throw damaged(bytes.length);
  return new RecordedData(header, records);
}

function readHeader(bytes: Uint8Array): RecordingHeader | undefined {
  try {
    const header = JSON.parse(new TextDecoder().decode(bytes)) as RecordingHeader;
    const numbers = [header.startedAt, header.from, header.takenAt, header.alive, header.events];
    const isWhole = numbers.every((number) => typeof number === "number") && Array.isArray(header.names);
    return isWhole ? header : undefined;
  } catch {
    return undefined;
  }
}

function damaged(length: number): BoughError {
  return refused(
    `the file is damaged: the checksum of its ${length} bytes is wrong. It may have been cut off, or copied as text. ` +
      "Copy it again, or record again",
  );
}

function refused(message: string): BoughError {
  return new BoughError("BOUGH_RECORDING", `decodeRecording: ${message}`);
}

let table: Uint32Array | undefined;

/** The CRC-32 of ISO 3309, PNG and zlib. */
function crc32(bytes: Uint8Array): number {
  table ??= Uint32Array.from({ length: 256 }, (_, byte) => {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    return value;
  });
  let crc = 0xffffffff;
  for (let index = 0; index < bytes.length; index++)
    crc = (crc >>> 8) ^ (table[(crc ^ (bytes[index] as number)) & 0xff] as number);
  return (crc ^ 0xffffffff) >>> 0;
}
