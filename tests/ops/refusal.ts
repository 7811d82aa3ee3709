/** One way to check a refusal: its class, exit code, form and message, and that no secret is in it. */
import { equal, throws } from "node:assert/strict";
import { OptionError, parseOptions } from "../../src/ops/options.ts";
import type { Role } from "../../src/universe/network.ts";

/** Bad options and (part of) what they are refused with. */
export type Refusal = [
  what: string,
  role: Role,
  args: string[],
  environment: Record<string, string | undefined>,
  message: string,
];

/** What no error may hold; the cases use it as their secret. */
export const SECRET = "hunter2";

/** A secret of a committee. */
export const COMMITTEE_SECRET = "correct horse battery staple";

/** Where a server needs the fewest options. */
export const DEV = { ZIPNET_PRESET: "dev" };

/** An Ed25519 public key (RFC 8032, test 1), and a text that may stand for a fingerprint. */
export const KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

const FILES: Record<string, string> = {
  "empty": "",
  "secret": SECRET,
  "keys": `${KEY}\n`,
  "keys-short": "abcd\n",
  "keys-weak": `# weak\n01${"00".repeat(31)}\n`,
  "keys-twice": `${KEY}\n\n${KEY.toUpperCase()}\n`,
};

function readTextFile(path: string): string {
  if (path in FILES) return FILES[path];
  throw path === "closed" ? new Deno.errors.NotCapable(path) : new Deno.errors.NotFound(path);
}

/**
 * Makes a test of each. `ZIPNET_INSTANCE` is set, and a server's `ZIPNET_COMMITTEE_SECRET`, unless
 * the case says otherwise.
 */
export function testRefusals(cases: Refusal[]): void {
  for (const [what, role, args, changes, expected] of cases) {
    const environment: Record<string, string> = {};
    const given = {
      ZIPNET_INSTANCE: "acme",
      ZIPNET_COMMITTEE_SECRET: role === "server" ? COMMITTEE_SECRET : undefined,
      ...changes,
    };
    for (const [name, value] of Object.entries(given)) {
      if (value !== undefined) environment[name] = value;
    }
    Deno.test(`options refused: ${what}`, () => {
      throws(() => parseOptions(role, args, environment, readTextFile), (error: unknown) => {
        if (!(error instanceof OptionError)) throw error;
        const { message, exitCode } = error;
        equal(exitCode, 2);
        equal(message.includes(expected), true, message);
        equal(/^[^\p{C}]+$/u.test(message), true, "one visible line");
        equal(message.includes(SECRET), false, "the secret is in the error");
        equal(message.includes(COMMITTEE_SECRET), false, "the committee's secret is in the error");
        return true;
      });
    });
  }
}
