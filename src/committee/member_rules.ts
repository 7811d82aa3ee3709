/** The release rules of a member: its key signs, its store remembers. */
import {
  type Signed,
  signStatement,
  type Statement,
  verifyStatement,
} from "../protocol/statements.ts";
import type { MemberOptions } from "./member_terms.ts";
import { ReleaseRules } from "./release.ts";

/** The rules that a member's statements go through; `nonce` is of this boot. */
export function releaseRules(
  { manifest, start, signer, self, store }: MemberOptions,
  nonce: Uint8Array,
): ReleaseRules {
  return new ReleaseRules({
    servers: manifest.servers,
    self,
    scheme: {
      sign: <S extends Statement>(statement: S): Signed<S> => signStatement(signer, statement),
      verify: verifyStatement,
      signManifest: (fingerprint) => signer.sign("sign-manifest", fingerprint),
    },
    store,
    nonce,
    manifest,
    genesis: start,
    minParticipants: manifest.parameters.minParticipants,
  });
}
