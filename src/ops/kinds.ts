/**
 * Kinds of option values: how one is written, and what it is once parsed. A kind refuses what it
 * does not fully understand, and says what it would have taken where that can be guessed.
 */
import { isIPv4, isIPv6 } from "node:net";
import { type Fingerprint, unhex } from "../protocol/bytes.ts";
import { nodeSeed } from "../protocol/names.ts";
import { nearest } from "./nearest.ts";

/** How the value of an option is written and read. */
export interface Kind<T> {
  /** How it stands in `--help`. Empty for a flag that takes no value. */
  readonly placeholder: string;
  /** What an error says was expected. */
  readonly expected: string;
  /** True if no flag, log or error may ever show the value. */
  readonly secret?: true;
  /** The value, or throws `Malformed`. */
  read(text: string): T;
}

/** A text that is not of the kind; `suggestion` is one that is. No error shows a `hidden` text. */
export class Malformed extends Error {
  constructor(readonly suggestion?: string, readonly hidden = false) {
    super("malformed value");
  }
}

/** True or false; as a flag its presence is enough. */
export const flag: Kind<boolean> = {
  placeholder: "",
  expected: "true or false",
  read(text) {
    if (text === "true" || text === "1") return true;
    if (text === "false" || text === "0") return false;
    throw new Malformed(/^(y|yes|on|t)$/i.test(text) ? "true" : undefined);
  },
};

/** One of the words. */
export function choice<const Word extends string>(...words: Word[]): Kind<Word> {
  return {
    placeholder: words.join("|"),
    expected: words.join(" or "),
    read(text) {
      if ((words as string[]).includes(text)) return text as Word;
      throw new Malformed(nearest(text, words));
    },
  };
}

/** A whole number from `min` to `max`. */
export function integer(min: number, max: number): Kind<number> {
  return {
    placeholder: "N",
    expected: `a whole number from ${min} to ${max}`,
    read(text) {
      const inRange = (digits: string) =>
        /^\d{1,15}$/.test(digits) && Number(digits) >= min && Number(digits) <= max;
      if (inRange(text)) return Number(text);
      const digits = text.replaceAll(/[\s_,']/g, "");
      throw new Malformed(inRange(digits) ? digits : undefined);
    },
  };
}

const MILLISECONDS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000 };
const SPELLINGS: readonly [pattern: RegExp, ms: number][] = [
  [/^(msec|millis|milliseconds?|)$/, 1],
  [/^(sec|secs|seconds?|s)$/, 1_000],
  [/^(min|mins|minutes?|m)$/, 60_000],
  [/^(h|hr|hours?)$/, 3_600_000],
];

/** A time in ms, written `500ms`, `3s` or `1m`, up to a day. */
export const duration: Kind<number> = {
  placeholder: "TIME",
  expected: "a duration from 1ms to 1440m, such as 500ms, 3s or 1m",
  read(text) {
    const match = /^(\d{1,9})(ms|s|m)$/.exec(text);
    const value = match ? Number(match[1]) * MILLISECONDS[match[2]] : 0;
    if (value >= 1 && value <= 86_400_000) return value;
    throw new Malformed(match ? undefined : likelyDuration(text));
  },
};

function likelyDuration(text: string): string | undefined {
  const match = /^(\d{1,6}(?:\.\d{1,3})?) *([a-z]*)$/.exec(text.toLowerCase());
  const unit = match && SPELLINGS.find(([pattern]) => pattern.test(match[2]))?.[1];
  if (!match || !unit) return undefined;
  const ms = Math.round(Number(match[1]) * unit);
  if (ms < 1 || ms > 86_400_000) return undefined;
  if (ms % 60_000 === 0) return `${ms / 60_000}m`;
  return ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`;
}

/** Any text that is not empty. */
export function text(placeholder: string, expected: string): Kind<string> {
  return {
    placeholder,
    expected,
    read(value) {
      if (value === "") throw new Malformed();
      return value;
    },
  };
}

/** The name of an instance. */
export const instanceName: Kind<string> = {
  placeholder: "NAME",
  expected: "a name of 1 to 64 characters of a-z 0-9 . -",
  read(value) {
    const valid = /^[a-z0-9.-]{1,64}$/;
    if (valid.test(value)) return value;
    const near = value.trim().toLowerCase().replaceAll(/[\s_/]+/g, "-");
    throw new Malformed(valid.test(near) ? near : undefined);
  },
};

/** The name of a universe. */
export const universeName: Kind<string> = {
  placeholder: "NAME",
  expected: "a name of 1 to 64 characters",
  read(value) {
    if (value.length < 1 || value.length > 64) throw new Malformed();
    return value;
  },
};

/** A committee fingerprint, 32 bytes in hex. */
export const fingerprint: Kind<Fingerprint> = {
  placeholder: "HEX",
  expected: "a committee fingerprint of 64 hex digits, as its servers log it",
  read(value) {
    if (/^[0-9a-fA-F]{64}$/.test(value)) return unhex(value, 32);
    const digits = value.replace(/^0x/, "").replaceAll(/[\s:]/g, "");
    throw new Malformed(/^[0-9a-fA-F]{64}$/.test(digits) ? digits : undefined);
  },
};

/** Most keys that one option names. */
const MAX_KEYS = 64;

/** The public keys of nodes, comma-separated, 32 bytes each in hex. */
export const nodeKeys: Kind<readonly Uint8Array[]> = {
  placeholder: "HEX,...",
  expected: `1 to ${MAX_KEYS} keys of 64 hex digits, comma-separated, none twice, as nodes log ` +
    "theirs (peer)",
  read(value) {
    const keys = value.split(",").map((key) => key.trim().toLowerCase());
    const valid = keys.every((key) => /^[0-9a-f]{64}$/.test(key));
    if (!valid || keys.length > MAX_KEYS || new Set(keys).size < keys.length) throw new Malformed();
    return keys.map((key) => unhex(key, 32));
  },
};

/** The public key of a node, 32 bytes in hex. */
export const nodeKey: Kind<Uint8Array> = {
  placeholder: "HEX",
  expected: "a key of 64 hex digits, as the node logs it (peer)",
  read(value) {
    if (!/^[0-9a-fA-F]{64}$/.test(value)) throw new Malformed();
    return unhex(value.toLowerCase(), 32);
  },
};

/** TCP multiaddrs, comma-separated; also those that lead through a relay, `…/p2p/…/p2p-circuit`. */
export const multiaddrs: Kind<readonly string[]> = {
  placeholder: "ADDR,...",
  expected: "TCP multiaddrs, comma-separated, such as /ip4/203.0.113.7/tcp/4400",
  read(value) {
    const addresses = value.split(",").map((address) => address.trim());
    if (addresses.every(isTcp)) return addresses;
    const guesses = addresses.map((address) => isTcp(address) ? address : likelyTcp(address));
    throw new Malformed(guesses.includes(undefined) ? undefined : guesses.join(","));
  },
};

function isTcp(address: string): boolean {
  const match = /^\/(ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d{1,5})(?:\/p2p\/[a-zA-Z0-9]+)?$/
    .exec(address.replace(/(\/p2p\/[a-zA-Z0-9]+)\/p2p-circuit(\/p2p\/[a-zA-Z0-9]+)?$/, "$1"));
  if (!match || Number(match[3]) > 65_535) return false;
  const [, protocol, host] = match;
  if (protocol === "ip4") return isIPv4(host);
  if (protocol === "ip6") return isIPv6(host);
  return /^[a-zA-Z0-9._-]{1,253}$/.test(host);
}

/** The multiaddr of a `host:port`. */
function likelyTcp(address: string): string | undefined {
  const match = /^(?:tcp:\/\/)?\[?([^[\]/]+?)\]?:(\d{1,5})$/.exec(address);
  if (!match) return undefined;
  const protocol = isIPv4(match[1]) ? "ip4" : isIPv6(match[1]) ? "ip6" : "dns";
  const guess = `/${protocol}/${match[1]}/tcp/${match[2]}`;
  return isTcp(guess) ? guess : undefined;
}

/** Most hosts that one option names. */
const MAX_HOSTS = 16;

/** Hosts and their ports, comma-separated. */
export const hostPorts: Kind<readonly string[]> = {
  placeholder: "HOST:PORT,...",
  expected: `1 to ${MAX_HOSTS} IPv4 addresses or names, each with a port, comma-separated, such ` +
    "as router.bittorrent.com:6881",
  read(value) {
    const hosts = value.split(",").map((host) => host.trim());
    const valid = (host: string) => {
      const match = /^([a-zA-Z0-9._-]{1,253}):([1-9]\d{0,4})$/.exec(host);
      return match !== null && Number(match[2]) <= 65_535;
    };
    if (hosts.length > MAX_HOSTS || !hosts.every(valid)) throw new Malformed();
    return hosts;
  },
};

/** The origin of an HTTP service. One with a user or password is refused, and never shown. */
export const origin: Kind<string> = {
  placeholder: "URL",
  expected: "an http or https URL of a host and port alone, without user and password, such as " +
    "http://10.0.0.1:2379",
  read(value) {
    const url = /^https?:\/\/[^\s/]/.test(value) && URL.canParse(value)
      ? new URL(value)
      : undefined;
    if (!url) throw new Malformed(undefined, value.includes("@"));
    const bare = value.replace(/\/$/, "").toLowerCase();
    if (bare === url.origin || bare === `${url.protocol}//${url.hostname}:${portOf(url)}`) {
      return url.origin;
    }
    throw new Malformed(url.origin, value.includes("@"));
  },
};

function portOf({ port, protocol }: URL): string {
  return port || (protocol === "https:" ? "443" : "80");
}

/** Where something is served: a host's address and a port, 0 for any free one. */
export interface BindAddress {
  readonly host: string;
  readonly port: number;
  /** Whether only this machine reaches it. */
  readonly loopback: boolean;
}

/** An address and a port to serve at. */
export const bindAddress: Kind<BindAddress> = {
  placeholder: "HOST:PORT",
  expected: "an address and a port, such as 127.0.0.1:9464 or [::1]:9464",
  read(value) {
    const match = /^(?:\[([0-9a-fA-F:]+)\]|([0-9.]+)):(\d{1,5})$/.exec(value);
    const host = match?.[1] ?? match?.[2] ?? "", port = Number(match?.[3]);
    if (match && port <= 65_535 && (match[1] ? isIPv6(host) : isIPv4(host))) {
      return { host, port, loopback: host.startsWith("127.") || host === "::1" };
    }
    const bare = /^(?:localhost)?:?(\d{1,5})$/.exec(value);
    throw new Malformed(bare && Number(bare[1]) <= 65_535 ? `127.0.0.1:${bare[1]}` : undefined);
  },
};

/** The seed of a node's identity, 32 bytes: 64 hex digits are the seed, other text is hashed. */
export const seed: Kind<Uint8Array> = {
  placeholder: "SEED",
  expected: "64 hex digits or any other text, not empty",
  secret: true,
  read(value) {
    if (value === "") throw new Malformed();
    return nodeSeed(value);
  },
};

/** Fewest bytes of a committee's secret: what cannot be guessed must not be short either. */
export const MIN_COMMITTEE_SECRET = 16;

/** The secret of a committee: any text that is long enough, as UTF-8. */
export const committeeSecret: Kind<Uint8Array> = {
  placeholder: "SECRET",
  expected: `${MIN_COMMITTEE_SECRET} bytes or more, such as the output of openssl rand -hex 32`,
  secret: true,
  read(value) {
    const bytes = new TextEncoder().encode(value);
    if (bytes.length < MIN_COMMITTEE_SECRET) throw new Malformed();
    return bytes;
  },
};
