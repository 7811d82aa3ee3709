/**
 * Files of a server's data folder beside its state: the known keys of its committee, and proofs
 * that a server convicted itself.
 */
import { equal, hex, unhex } from "../protocol/bytes.ts";
import { checkPublicKey } from "../protocol/keys.ts";
import { EXIT } from "./exit.ts";

/** The committee's keys cannot be used; `exitCode` 2. */
export class CommitteeFileError extends Error {
  override readonly name = "CommitteeFileError";
  readonly exitCode = EXIT.options;
}

/** The `size` server keys in `<folder>/committee`, one of 64 hex digits a line, `self` among them. */
export function readCommitteeKeys(folder: string, size: number, self: Uint8Array): Uint8Array[] {
  const file = `${folder}/committee`;
  const refuse = (what: string): never => {
    throw new CommitteeFileError(
      `${file}: ${what}; it holds the public key of each server, 64 hex digits a line`,
    );
  };
  let text = "";
  try {
    text = Deno.readTextFileSync(file);
  } catch (error) {
    refuse(error instanceof Deno.errors.NotFound ? "not found" : (error as Error).message);
  }
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  if (lines.length !== size) refuse(`${lines.length} keys, expected ZIPNET_COMMITTEE_SIZE ${size}`);
  const keys = lines.map((line, i) => {
    try {
      return checkPublicKey(unhex(line, 32));
    } catch (error) {
      return refuse(`line ${i + 1}: ${(error as Error).message}`);
    }
  });
  if (!keys.some((key) => equal(key, self))) {
    refuse(`the key of this server, ${hex(self)}, is not in it`);
  }
  return keys;
}

/** Writes a proof into the folder and answers its path; an existing one of that name stays. */
export function keepProof(folder: string, name: string, proof: Uint8Array): string {
  const path = `${folder}/${name}`;
  try {
    Deno.writeFileSync(path, proof, { createNew: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  return path;
}
