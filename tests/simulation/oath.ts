/**
 * Everything that the servers of an instance ever sign, whether or not it leaves them, held against
 * the convictions of the protocol: over all boots, nothing may be signed twice.
 *
 * What a header's hash stands for is read from the registers, which are written before a server
 * signs.
 */
import { decodeRegister } from "../../src/committee/register.ts";
import { concat, hex } from "../../src/protocol/bytes.ts";
import type { Signer } from "../../src/protocol/keys.ts";
import {
  conviction,
  decodeSigned,
  type Signed,
  STATEMENT_KINDS,
} from "../../src/protocol/statements.ts";

/** What one server said and wrote. */
class Words {
  readonly said = new Map<string, Signed>();
  readonly headers = new Map<string, { readonly round: number; readonly nonce: Uint8Array }>();
}

/** Whose register it is, by its own word: u8 version ‖ key (32) ‖ fingerprint of the manifest (32). */
function ownerOf(bytes: Uint8Array) {
  return { key: bytes.slice(1, 33), manifest: bytes.slice(33, 65) };
}

/** Listens to the signers and registers of all servers. */
export class Oath {
  readonly #words: Words[] = [];
  readonly #heard = new Set<number>();

  /** Listens to the signer of a server, through all its boots. */
  hear(index: number, signer: Signer): void {
    if (this.#heard.has(index)) return;
    this.#heard.add(index);
    const sign = signer.sign.bind(signer), { said } = this.#wordsOf(index);
    signer.sign = (label, ...parts) => {
      const signature = sign(label, ...parts);
      const kind = STATEMENT_KINDS.findIndex((name) => name === label);
      if (kind < 0) return signature;
      const bytes = concat(Uint8Array.of(kind), ...parts, signer.key, signature);
      said.set(hex(bytes), decodeSigned(bytes));
      return signature;
    };
  }

  /** A server wrote its register. */
  wrote(index: number, bytes: Uint8Array): void {
    const { headers } = this.#wordsOf(index);
    const { opened } = decodeRegister(bytes, ownerOf(bytes));
    if (opened) headers.set(hex(opened.hash), opened);
  }

  #wordsOf(index: number): Words {
    return this.#words[index] ??= new Words();
  }

  /** Statements of each kind that were signed, over all servers. */
  count(kind: Signed["statement"]["kind"]): number {
    const all = this.#words.flatMap(({ said }) => [...said.values()]);
    return all.filter(({ statement }) => statement.kind === kind).length;
  }

  /** What convicts a server. */
  get convictions(): string[] {
    return this.#words.flatMap(({ said, headers }, index) => {
      const context = { header: (hash: Uint8Array) => headers.get(hex(hash)) };
      const all = [...said.values()];
      return all.flatMap((a, i) =>
        all.slice(i + 1).flatMap((b) => {
          const why = conviction(a, b, context);
          return why ? [`server ${index}: ${why}`] : [];
        })
      );
    });
  }
}
