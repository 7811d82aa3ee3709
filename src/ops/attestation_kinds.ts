/** Kinds of the values that attestation and admission need; `kinds.ts` has the others. */
import { unhex } from "../protocol/bytes.ts";
import { MAX_ALLOWED, MEASUREMENT_BYTES } from "../attest/policy.ts";
import { type Kind, Malformed } from "./kinds.ts";
import { nearest } from "./nearest.ts";

/** Some of the words, each once. */
export function choices<const Word extends string>(
  placeholder: string,
  ...words: Word[]
): Kind<readonly Word[]> {
  return {
    placeholder,
    expected: `some of ${words.join(", ")}, comma-separated`,
    read(text) {
      const given = text.split(",").map((word) => word.trim());
      const known = given.every((word) => (words as string[]).includes(word));
      if (known && new Set(given).size === given.length) return given as Word[];
      const guesses = new Set(given.map((word) => nearest(word, words)));
      throw new Malformed(guesses.has(undefined) ? undefined : [...guesses].join(","));
    },
  };
}

const MEASUREMENT = new RegExp(`^[0-9a-fA-F]{${2 * MEASUREMENT_BYTES}}$`);

/** Measurements, 48 bytes each. */
export const measurements: Kind<readonly Uint8Array[]> = {
  placeholder: "HEX,...",
  expected: `1 to ${MAX_ALLOWED} measurements of ${2 * MEASUREMENT_BYTES} hex digits, ` +
    "comma-separated",
  read(text) {
    const given = text.split(",").map((value) => value.trim());
    const plain = given.map((value) => value.replace(/^0x/, "").replaceAll(/[\s:]/g, ""));
    const fits = (values: string[]) =>
      values.length <= MAX_ALLOWED && values.every((value) => MEASUREMENT.test(value));
    if (fits(given)) return given.map((value) => unhex(value, MEASUREMENT_BYTES));
    throw new Malformed(fits(plain) ? plain.join(",") : undefined);
  },
};

/** Entries of one list of sources. */
export const MAX_LISTED = 8;

/** Files and URLs, in order. A URL with a user or password is refused, and never shown. */
export const sources: Kind<readonly string[]> = {
  placeholder: "FILE|URL,...",
  expected: `1 to ${MAX_LISTED} files and http or https URLs without user and password, ` +
    "comma-separated",
  read(text) {
    const given = text.split(",").map((value) => value.trim());
    const fits = given.length <= MAX_LISTED && given.every(isSource);
    if (fits) return given;
    throw new Malformed(undefined, text.includes("@"));
  },
};

function isSource(text: string): boolean {
  if (!/^[a-z][a-z0-9+.-]*:/i.test(text)) return text !== "";
  const url = /^https?:\/\/[^\s/]/.test(text) && URL.canParse(text) ? new URL(text) : undefined;
  return url !== undefined && !url.username && !url.password && !url.search && !url.hash;
}

/** Characters of a token. */
export const MAX_JWT_BYTES = 4_096;

/** A token (JWT) as its issuer gave it. */
export const token: Kind<string> = {
  placeholder: "TOKEN",
  expected: `a token (JWT) of at most ${MAX_JWT_BYTES} characters, three parts with dots between`,
  secret: true,
  read(text) {
    if (text.length > MAX_JWT_BYTES || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(text)) {
      throw new Malformed();
    }
    return text;
  },
};
