/**
 * A TSM item as files: a folder that the machine's start mounted for this process. `/sys` itself is
 * closed to Deno unless it runs with every permission, and a link into it as well, so the item is
 * bind-mounted elsewhere, its files owned by the user of this process:
 *
 * ```text
 * mkdir /sys/kernel/config/tsm/report/zipnet
 * mount --bind /sys/kernel/config/tsm/report/zipnet /run/zipnet-tsm
 * ```
 *
 * `inblob` is opened as it stands, neither made nor cut; what was written takes effect when it is
 * closed. Reads run beside the event loop: that of `outblob` takes a second, or until the host
 * answers.
 */
import type { QuoteSource } from "../attest/quote_source.ts";
import {
  MAX_OUTBLOB_BYTES,
  TsmError,
  type TsmFault,
  type TsmItem,
  tsmSource,
} from "../attest/tsm.ts";
import type { Clock } from "../universe/environment.ts";

/** Bytes of an attribute that is one line of text. */
const MAX_LINE_BYTES = 64;
/** Digits of a generation. */
const GENERATION = /^\d{1,15}$/;

/** Linux's error numbers, and what they mean here; all others are `io`. */
const FAULTS: ReadonlyMap<number, TsmFault> = new Map([
  ...faults("mount", { ENOENT: 2, ENOTDIR: 20 }),
  ...faults("permission", { EPERM: 1, EACCES: 13, EROFS: 30 }),
  ...faults("busy", { EAGAIN: 11, EBUSY: 16 }),
  ...faults("interrupted", { EINTR: 4 }),
  ...faults("raced", { EINVAL: 22 }),
  ...faults("timeout", { ETIMEDOUT: 110 }),
  ...faults("refused", { EIO: 5 }),
  ...faults("driver", { ENXIO: 6, ENODEV: 19, ENOTTY: 25 }),
]);

function faults(fault: TsmFault, numbers: Readonly<Record<string, number>>): [number, TsmFault][] {
  return Object.values(numbers).map((number) => [number, fault]);
}

/** What an error of Deno's means: only its message always has the number, its `code` not. */
function faultOf({ message }: Error): TsmFault {
  return FAULTS.get(Number(message.match(/\(os error (\d+)\)/)?.[1])) ?? "io";
}

/** Quotes of this guest, by the item that is mounted at `folder`. */
export function tdxSource(folder: string, clock: Clock): QuoteSource {
  return tsmSource(tsmItem(folder), clock);
}

/** The item that is mounted at `folder`. */
export function tsmItem(folder: string): TsmItem {
  const read = (name: string, most: number) => explained(folder, name, (path) => load(path, most));
  const line = async (name: string) =>
    new TextDecoder().decode(await read(name, MAX_LINE_BYTES)).trimEnd();
  return {
    provider: () => line("provider"),
    async generation() {
      const text = await line("generation");
      if (GENERATION.test(text)) return Number(text);
      throw new TsmError(
        "io",
        `${folder}/generation: expected digits, got ${JSON.stringify(text)}`,
      );
    },
    writeInblob: (bytes) => explained(folder, "inblob", (path) => store(path, bytes)),
    readOutblob: () => read("outblob", MAX_OUTBLOB_BYTES),
  };
}

/** All bytes of a file, whose size says nothing before. */
async function load(path: string, most: number): Promise<Uint8Array> {
  using file = await Deno.open(path, { read: true });
  const buffer = new Uint8Array(most + 1);
  let length = 0;
  while (length <= most) {
    const count = await file.read(buffer.subarray(length));
    if (count === null) return buffer.slice(0, length);
    length += count;
  }
  throw new TsmError("io", `${path} has over ${most} bytes`);
}

/** One write of all bytes. */
async function store(path: string, bytes: Uint8Array): Promise<void> {
  using file = await Deno.open(path, { write: true });
  const written = await file.write(bytes);
  if (written === bytes.length) return;
  throw new TsmError("io", `${path} took ${written} of ${bytes.length} bytes`);
}

/** Runs an operation on an attribute; what fails becomes a `TsmError`. */
async function explained<T>(
  folder: string,
  name: string,
  operation: (path: string) => Promise<T>,
): Promise<T> {
  const path = `${folder}/${name}`;
  try {
    return await operation(path);
  } catch (cause) {
    if (!(cause instanceof Error) || cause instanceof TsmError) throw cause;
    if (cause instanceof Deno.errors.NotCapable) {
      throw new TsmError("permission", advice(folder, cause.message), { cause });
    }
    const fault = faultOf(cause);
    const detail = fault === "mount"
      ? await missing(folder, name)
      : fault === "permission"
      ? `${path} must be of this process's user, and mounted to be written: ${cause.message}`
      : `${path}: ${cause.message}`;
    throw new TsmError(fault, detail, { cause });
  }
}

/** What to do about a permission that Deno was not given. */
function advice(folder: string, message: string): string {
  return /^\/sys\//.test(folder) || /all access/.test(message)
    ? `Deno opens nothing in /sys, as ${folder} is: bind-mount the item elsewhere, as to /run/zipnet-tsm`
    : `run with --allow-read=${folder} --allow-write=${folder} ` +
      "(beside -P they replace the set's own folders)";
}

async function missing(folder: string, name: string): Promise<string> {
  try {
    await Deno.stat(folder);
    return `${folder} is there but has no ${name}: nothing is mounted on it`;
  } catch {
    return `${folder} is not there: mount --bind /sys/kernel/config/tsm/report/… ${folder}`;
  }
}
