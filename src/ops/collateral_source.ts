/**
 * Sources of collateral, as `ZIPNET_COLLATERAL` names them: files that an operator put there, and
 * services (Intel's PCS, or a PCCS) by their base URL. A source that fails says why in one line of
 * the log and gives nothing; what is believed already stays. Nothing here is verified.
 */
import type { Collateral } from "../attest/collateral.ts";
import { MAX_COLLATERAL_JSON, parseCollateral } from "../attest/collateral_json.ts";
import { type Family, familyName } from "../attest/family.ts";
import {
  assemble,
  MAX_PCS_BYTES,
  PCS_PARTS,
  type PcsAnswer,
  type PcsPart,
  pcsUrls,
} from "../attest/pcs.ts";
import type { Clock, Observe } from "../universe/environment.ts";
import { MAX_LISTED } from "./attestation_kinds.ts";

/** Sources of a process: those that its operator lists, and its own platform's. */
export const MAX_SOURCES: number = MAX_LISTED + 1;
/** How long a service may take for all that it is asked at once, ms. */
export const SERVICE_MS = 15_000;

/** Somewhere to get collateral from. */
export interface CollateralSource {
  /** What logs call it: the path, or the URL without what could be secret in it. */
  readonly name: string;
  readonly kind: "file" | "service";
  /**
   * Collateral for a family, as it came; undefined if there is none now. Never rejects. A file
   * gives what it has, whatever the family.
   */
  fetch(family?: Family): Promise<Collateral | undefined>;
}

/** What sources reach the outside by. */
export interface SourceSeams {
  readonly fetch: (url: URL, init: RequestInit) => Promise<Response>;
  /** The bytes of a file. */
  readonly readFile: (path: string) => Uint8Array | Promise<Uint8Array>;
  readonly clock: Pick<Clock, "after">;
  readonly observe: Observe;
}

/**
 * The sources of these entries, in their order. Throws a `RangeError` for more than `MAX_SOURCES`,
 * and for a URL that is none, or not of `http` or `https`.
 */
export function collateralSources(
  entries: readonly string[],
  seams: SourceSeams,
): CollateralSource[] {
  if (entries.length > MAX_SOURCES) {
    throw new RangeError(
      `${entries.length} sources of collateral, expected ${MAX_SOURCES} at most`,
    );
  }
  return entries.map((entry) => {
    const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(entry)?.[1].toLowerCase();
    if (scheme !== "http" && scheme !== "https") {
      if (scheme === undefined || !entry.includes("://")) return fileSource(entry, seams);
      throw new RangeError(`a source of collateral by ${scheme}, expected a path, http or https`);
    }
    // The text is not shown: it may hold a password.
    if (!URL.canParse(entry)) throw new RangeError(`a source of collateral is no ${scheme} URL`);
    return serviceSource(new URL(entry), seams);
  });
}

/** One set as JSON in a file. It is read often: a failure is told once, until it is another one. */
function fileSource(path: string, { readFile, observe }: SourceSeams): CollateralSource {
  let told = "";
  return {
    name: path,
    kind: "file",
    fetch: async () => {
      try {
        const bytes = await readFile(path);
        if (bytes.length > MAX_COLLATERAL_JSON) {
          throw new RangeError(`${bytes.length} bytes, expected ${MAX_COLLATERAL_JSON} at most`);
        }
        const collateral = parseCollateral(new TextDecoder().decode(bytes));
        told = "";
        return collateral;
      } catch (error) {
        const reason = reasonOf(error);
        if (reason !== told) observe("warn", "collateral source failed", { source: path, reason });
        told = reason;
      }
    },
  };
}

/** A PCS or PCCS. */
function serviceSource(given: URL, { fetch, clock, observe }: SourceSeams): CollateralSource {
  const base = new URL(given);
  base.username = base.password = "";
  base.search = base.hash = "";
  const secret = given.username !== "" || given.password !== "";
  const authorization: HeadersInit = secret ? { authorization: basic(given) } : {};

  const ask = async (part: PcsPart, url: URL, signal: AbortSignal): Promise<PcsAnswer> => {
    const headers = url.origin === base.origin ? authorization : {};
    const answer = await fetch(url, { signal, headers, redirect: "error" });
    if (answer.status !== 200) {
      await answer.body?.cancel();
      throw new Error(`${part}: status ${answer.status}`);
    }
    const body = await readWithin(MAX_PCS_BYTES[part], answer.body);
    if (!body) throw new Error(`${part}: more than ${MAX_PCS_BYTES[part]} bytes`);
    return { body, headers: answer.headers };
  };

  return {
    name: base.href,
    kind: "service",
    fetch: async (family) => {
      if (family === undefined) return undefined;
      const urls = pcsUrls(base, family), end = new AbortController();
      const late = Promise.withResolvers<never>();
      const cancel = clock.after(
        SERVICE_MS,
        () => late.reject(new Error(`no answer within ${SERVICE_MS} ms`)),
      );
      try {
        const asked = PCS_PARTS.map((part) => ask(part, urls[part], end.signal));
        const answers = await Promise.race([Promise.all(asked), late.promise]);
        const named = PCS_PARTS.map((part, i) => [part, answers[i]]);
        return assemble(Object.fromEntries(named) as Record<PcsPart, PcsAnswer>);
      } catch (error) {
        const fields = { source: base.href, family: familyName(family), reason: reasonOf(error) };
        observe("warn", "collateral source failed", fields);
      } finally {
        cancel();
        end.abort();
      }
    },
  };
}

/** The credentials of a URL as a header: requests must not carry them in the URL. */
function basic({ username, password }: URL): string {
  try {
    const text = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    return `Basic ${new TextEncoder().encode(text).toBase64()}`;
  } catch {
    throw new RangeError("the user or password of a source of collateral is not URL-encoded");
  }
}

/** All bytes of a body, read as far as `most`; undefined if there are more. */
async function readWithin(
  most: number,
  body: ReadableStream<Uint8Array> | null,
): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body ?? []) {
    length += chunk.length;
    if (length > most) return undefined;
    chunks.push(chunk);
  }
  const out = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    out.set(chunk, at);
    at += chunk.length;
  }
  return out;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
