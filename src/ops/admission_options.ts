/** Who is admitted as a client: what a server requires, from its options. */
import { equal, unhex } from "../protocol/bytes.ts";
import { checkPublicKey } from "../protocol/keys.ts";
import { readIssuerKeys } from "./jwt_key.ts";
import type { Parser } from "./role_options.ts";
import type { OptionName, Values } from "./table.ts";

/** What a client must bring: all that is given here. With none of it anyone is admitted. */
export interface Admission {
  /** Its key is one of these Ed25519 keys, 32 bytes each. */
  readonly list?: readonly Uint8Array[];
  /** A token of the issuer with these public keys, PEM or JWK; they were read once, and are some. */
  readonly jwt?: string;
  /** A quote that the rules for clients accept. */
  readonly attested: boolean;
}

/** Why a client with that key is not admitted, whatever it shows; undefined if nothing is in its way. */
export function refusesKey({ list }: Pick<Admission, "list">, key: Uint8Array) {
  return list && !list.some((it) => equal(it, key)) ? "not on the list" : undefined;
}

/** Files that a requirement needs, by its word. */
const FILES = [["list", "clients"], ["jwt", "jwtKey"]] as const;
const WHAT = { clients: "the file of client keys", jwtKey: "the file of the issuer's public keys" };
const OF_CLIENTS: readonly OptionName[] = [
  "clientMrtd",
  "clientRtmr0",
  "clientRtmr1",
  "clientRtmr2",
];

/** What is required of clients. Refuses what contradicts it. */
export function admission(values: Values, parser: Parser): Admission {
  const { refuse, both, read } = parser;
  const words = values.admission ?? (values.preset === "dev" ? ["open"] : undefined);
  if (words === undefined) {
    return refuse(
      `${both("admission")} is required with preset ${values.preset}: expected open, or what a ` +
        "client must bring: list, jwt, attested",
    );
  }
  const asks = (word: "open" | "list" | "jwt" | "attested") => words.some((it) => it === word);
  if (asks("open") && words.length > 1) {
    refuse(`${both("admission")}: open admits anyone: leave out open, or all others`);
  }
  for (const [word, file] of FILES) {
    if (asks(word) === (values[file] !== undefined)) continue;
    if (asks(word)) refuse(`${both("admission")} has ${word}: name ${WHAT[file]} in ${both(file)}`);
    refuse(`${both(file)} needs ${both("admission")} to have ${word}: add it, or leave both out`);
  }
  const stray = OF_CLIENTS.find((name) => values[name] !== undefined);
  if (stray && !asks("attested")) {
    refuse(`${both(stray)} needs ${both("admission")} to have attested: add it, or leave both out`);
  }
  const textOf = (name: "clients" | "jwtKey") => read(values[name]!, both(name));
  return {
    list: asks("list") ? clientKeys(textOf("clients"), refuse) : undefined,
    jwt: asks("jwt") ? issuerKeys(textOf("jwtKey"), parser) : undefined,
    attested: asks("attested"),
  };
}

function issuerKeys(text: string, { refuse, both }: Parser): string {
  try {
    readIssuerKeys(text);
  } catch (error) {
    refuse(`the file named by ${both("jwtKey")}: ${(error as Error).message}`);
  }
  return text;
}

/** Ed25519 public keys, one in hex a line; empty lines and what follows `#` are skipped. */
function clientKeys(text: string, refuse: (message: string) => never): Uint8Array[] {
  const lineOf = new Map<string, number>();
  const keys: Uint8Array[] = [];
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    const digits = line.replace(/#.*/, "").trim().toLowerCase();
    if (digits === "") continue;
    const where = `line ${i + 1} of the file of client keys`;
    const before = lineOf.get(digits);
    if (before) refuse(`${where} repeats line ${before}: leave one of them out`);
    lineOf.set(digits, i + 1);
    try {
      keys.push(checkPublicKey(unhex(digits, 32)));
    } catch (error) {
      refuse(
        `${where}: expected an Ed25519 public key of 64 hex digits: ${(error as Error).message}`,
      );
    }
  }
  if (keys.length === 0) refuse("the file of client keys holds no key: add one, or admit anyone");
  return keys;
}
