/**
 * The files of a configfs-tsm item. Deno reads nothing below `/sys`, whatever it is granted: whoever
 * starts the process makes the item and mounts it elsewhere (`mount --bind`), by default at
 * `/run/zipnet-tsm`.
 */
import { QuoteSourceError } from "../attest/quote_source.ts";
import { TsmBusy, type TsmItem } from "../attest/tsm.ts";

/** Longest quote file; kernels write up to 32 KiB. */
const MAX_OUTBLOB = 65_536;
/** Longest of the small files. */
const MAX_WORD = 256;

/** Errors after which a later try may work. */
const TRANSIENT =
  /EBUSY|EINTR|ETIMEDOUT|resource busy|interrupted|timed out|os error (4|16|110)\b/i;

/** The item at `path`. Its methods reject with `TsmBusy`, or `QuoteSourceError` with what to do. */
export function tsmItem(path: string): TsmItem {
  const word = async (name: string) => {
    const bytes = await told(path, () => readAtMost(`${path}/${name}`, MAX_WORD));
    return new TextDecoder().decode(bytes).trim();
  };
  return {
    path,
    provider: () => word("provider"),
    async generation() {
      const text = await word("generation");
      if (/^\d{1,15}$/.test(text)) return Number(text);
      throw new QuoteSourceError(`${path}/generation: expected a number, got ${text.slice(0, 20)}`);
    },
    writeInblob: (bytes) =>
      told(path, async () => {
        using file = await Deno.open(`${path}/inblob`, { write: true });
        const written = await file.write(bytes);
        if (written !== bytes.length) throw new TsmBusy(`${written} of 64 bytes were written`);
      }),
    readOutblob: () => told(path, () => readAtMost(`${path}/outblob`, MAX_OUTBLOB)),
  };
}

/** A file's bytes: such files say no size, so it is read to its end, or to one byte too many. */
async function readAtMost(path: string, most: number): Promise<Uint8Array> {
  using file = await Deno.open(path);
  const out = new Uint8Array(most + 1);
  let have = 0;
  while (have < out.length) {
    const count = await file.read(out.subarray(have));
    if (count === null) break;
    have += count;
  }
  if (have > most) throw new QuoteSourceError(`${path}: over ${most} bytes`);
  return out.slice(0, have);
}

async function told<T>(path: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (cause) {
    if (cause instanceof TsmBusy || cause instanceof QuoteSourceError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    if (TRANSIENT.test(reason)) throw new TsmBusy(`the host is busy (${reason})`, { cause });
    throw new QuoteSourceError(`${path}: ${advice(cause, path)}`, { cause });
  }
}

function advice(cause: unknown, path: string): string {
  if (cause instanceof Deno.errors.NotFound) {
    return "there is no such item. On a TDX guest make one and mount it: mkdir " +
      "/sys/kernel/config/tsm/report/zipnet, then mount --bind it here, or name where it is in " +
      "ZIPNET_PLATFORM. If that mkdir fails, this machine is no TDX guest, or its kernel lacks " +
      "CONFIG_TSM_REPORTS";
  }
  if (cause instanceof Deno.errors.NotCapable) {
    return path.startsWith("/sys")
      ? "Deno reads nothing below /sys: mount --bind the item elsewhere, and name that in " +
        "ZIPNET_PLATFORM"
      : `may not be used: run with --allow-read=${path} --allow-write=${path} (beside -P they ` +
        "replace the set's own folders)";
  }
  if (cause instanceof Deno.errors.PermissionDenied) {
    return "its files belong to another user: chown them to the user that this process runs as";
  }
  const reason = cause instanceof Error ? cause.message : String(cause);
  return `the quote failed: ${reason}`;
}
