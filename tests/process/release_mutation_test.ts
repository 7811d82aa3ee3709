/**
 * Every release rule is needed: with any one taken out of `release.ts`, the adversary gets an honest
 * server to say what it must never say. Prints what. The rules of `DOUBLED` have another behind them;
 * `release_test.ts` asks for each of these by its own refusal.
 */
import assert from "node:assert/strict";
import { REFUSALS, type ReleaseRules } from "../../src/committee/release.ts";
import { attack } from "../committee/adversary.ts";
import { VIOLATIONS } from "../committee/oracle.ts";
import type { Tally } from "../committee/subject.ts";

const SOURCE = new URL("../../src/committee/release.ts", import.meta.url);
const FOLDER = new URL("../../.testnet/mutants/", import.meta.url);
const ATTACK = { seed: 1, schedules: 300, steps: 150, longHead: 100 };

/** Guards in one line, by the code with which they refuse. */
const GUARD = /^ *if \(.*\) return (?:refuse\()?"([a-z]+-[a-z]+)"\)?;\n/gm;

/** Rules that have no refusal of their own: what is replaced by what. */
const OTHERS: Record<string, readonly [string, string]> = {
  "carry: FINAL in this boot": ["if (!this.#vouched) return false;", ""],
  "carry: nothing released": ["return this.#register.released.length === 0;", "return true;"],
  "carry: PARTIAL in this boot": ["record, attachment, vouched)", "record, attachment, true)"],
  "carry: not after adopting": ["record, attachment, false)", "record, attachment, true)"],
  "PARTIAL asks what PREPARE asks": [
    "const forbidden = this.#forbids(header, facts);\n    if (forbidden !== undefined) return refuse(forbidden);\n    const mine",
    "const mine",
  ],
  "durable before signed": ["this.#options.store.save(encodeRegister(next));", ""],
  "VOID is remembered": ["this.#save({ opened: { ...opened, voided: true } });", ""],
  "evidence: about that header": ["if (!pair.some(about)) return false;", ""],
  "evidence: signed by a server": [
    "if (!pair.every((signed) => this.#isServers(signed))) return false;",
    "",
  ],
  "evidence: a VOID": ['return evidence.void.statement.kind === "void";', "return true;"],
  "evidence: a conviction": [
    "return conviction(pair[0], pair[1], evidence.context) !== undefined;",
    "return true;",
  ],
  "close is remembered": ["this.#save({ closed: next.fingerprint.slice() });", ""],
  "closed: nothing is repeated": ["if (closed !== undefined) return undefined;", ""],
  "closed: nothing is adopted": ["if (this.closed !== undefined) return false;", ""],
  "adopt: higher": ["if (!(record.round > this.head.round)) return false;", ""],
  "adopt: signed by all": ["if (!certified) return false;", ""],
};

/** My own PREPARE among those of a PARTIAL is known from the register and by its signature. */
const DOUBLED: readonly string[] = ["partial-mine"];

async function load(name: string, source: string): Promise<typeof ReleaseRules> {
  const file = new URL(`${name.replace(/[^a-z]+/gi, "-")}.ts`, FOLDER);
  const absolute = source.replace(
    /from "(\.\.?\/[^"]+)"/g,
    (_, path) => `from "${new URL(path, SOURCE)}"`,
  );
  await Deno.mkdir(FOLDER, { recursive: true });
  await Deno.writeTextFile(file, absolute);
  return (await import(file.href)).ReleaseRules;
}

function worst({ violations }: Tally) {
  return [...VIOLATIONS, "threw" as const].find((what) => violations.has(what));
}

Deno.test("taking out any one release rule is detected", async () => {
  const source = await Deno.readTextFile(SOURCE);
  const mutants = new Map<string, string>();
  for (const [line, code] of source.matchAll(GUARD)) mutants.set(code, source.replace(line, ""));
  assert.deepEqual([...mutants.keys()].toSorted(), [...REFUSALS].toSorted(), "one guard a rule");
  for (const [name, [from, to]] of Object.entries(OTHERS)) {
    assert.equal(source.split(from).length, 2, `the text of: ${name}`);
    mutants.set(name, source.replace(from, to));
  }
  const missed: string[] = [];
  for (const [name, mutant] of mutants) {
    const tally = attack(await load(name, mutant), ATTACK);
    const found = worst(tally);
    const times = found && tally.violations.get(found);
    const verdict = found ? `${found} (${times} of ${tally.schedules})` : "another rule refused";
    console.log(`${name.padEnd(34)} ${verdict}`);
    if (found === undefined && !DOUBLED.includes(name)) missed.push(name);
  }
  await Deno.remove(FOLDER, { recursive: true });
  assert.deepEqual(missed, [], "rules whose absence the adversary cannot use");
});
