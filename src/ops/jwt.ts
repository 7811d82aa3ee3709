/**
 * Tokens (JWT, RFC 7519) that admit a client: signed by the one issuer whose keys a server names,
 * made for this instance, and bound to the client's own key, so that a copied token is of no use to
 * another. Nothing is fetched, and no key in a token is looked at. A token or what it claims is in
 * no error: whoever reads logs could present it.
 *
 * ```text
 * header   alg: ES256 or EdDSA (also spelled Ed25519), as the issuer's key has it; no crit
 * aud      the instance's name, or a list with it
 * sub      the client's Ed25519 key, 64 hex digits
 * exp      required; nbf and iat are judged where they are given; all in seconds, with 60 s of slack
 * ```
 */
import { errors, jwtVerify, type JWTVerifyOptions } from "jose";
import { hex } from "../protocol/bytes.ts";
import { ALGORITHMS, base64url, type IssuerKey, readIssuerKeys } from "./jwt_key.ts";

/** Characters of a token. */
export const MAX_JWT_BYTES = 4_096;
/** How far the issuer's clock may differ, s. */
export const JWT_SLACK_S = 60;
/** Latest `exp` that is taken for a time: the end of the year 9999, s. */
const MAX_TIME_S = 253_402_300_799;

/** Why a token is refused, by code. */
export const JWT_REASONS = {
  "jwt-malformed": "it is no signed token of the expected form",
  "jwt-algorithm": "its algorithm is of none of the issuer's keys",
  "jwt-signature": "it is not signed by a key of the issuer",
  "jwt-audience": "it is made for another instance",
  "jwt-subject": "it is not bound to the key of this client",
  "jwt-early": "it does not hold yet",
  "jwt-expired": "it does not hold any more",
} as const;

/** One of them. */
export type JwtCode = keyof typeof JWT_REASONS;

/** A token that is refused. `code` is stable; neither it nor the message shows what the token says. */
export class JwtError extends Error {
  override readonly name = "JwtError";
  constructor(readonly code: JwtCode, detail?: string) {
    super(`${code}: ${JWT_REASONS[code]}${detail === undefined ? "" : `; ${detail}`}`);
  }
}

/** Judges tokens of one issuer for one instance. */
export interface JwtVerifier {
  /**
   * Verifies the token of the client with that Ed25519 key (32 bytes) at `now` (Unix ms). Answers
   * the last Unix ms at which it would be accepted; throws a `JwtError`.
   */
  verify(token: string, client: Uint8Array, now: number): Promise<{ readonly until: number }>;
}

/** What tokens are judged by. */
export interface JwtTerms {
  /** The issuer's public keys as `readIssuerKeys` takes them: any of them may have signed. */
  readonly key: string;
  /** The instance's name. */
  readonly instance: string;
}

/** A verifier. Rejects with an `IssuerKeyError` for keys that cannot be used. */
export async function jwtVerifier({ key: text, instance }: JwtTerms): Promise<JwtVerifier> {
  const keys = await Promise.all(readIssuerKeys(text).map(imported));
  return {
    async verify(token, client, now) {
      checkForm(token);
      const currentDate = new Date(now), clockTolerance = JWT_SLACK_S;
      const options = { audience: instance, currentDate, clockTolerance };
      const { sub, exp, iat } = await claims(token, keys, options);
      if (typeof sub !== "string" || sub.toLowerCase() !== hex(client)) {
        throw new JwtError("jwt-subject", "expected its sub to be the client's key, 64 hex digits");
      }
      if (exp === undefined || !(exp <= MAX_TIME_S)) {
        throw new JwtError("jwt-malformed", "expected its exp to be a time in seconds");
      }
      if (iat !== undefined && iat > Math.floor(now / 1000) + JWT_SLACK_S) {
        throw new JwtError("jwt-early", "it says that it is issued later");
      }
      // Refused is from `exp` plus slack on, in whole seconds.
      return { until: (Math.ceil(exp) + JWT_SLACK_S) * 1000 - 1 };
    },
  };
}

interface VerifyingKey {
  readonly key: CryptoKey;
  readonly algorithms: string[];
}

async function imported({ kind, spki }: IssuerKey): Promise<VerifyingKey> {
  const algorithm = kind === "P-256" ? { name: "ECDSA", namedCurve: kind } : { name: kind };
  const key = await crypto.subtle.importKey("spki", spki.slice(), algorithm, false, ["verify"]);
  return { key, algorithms: [...ALGORITHMS[kind]] };
}

/** What a token claims that one of the keys signed; else what the key that came closest says. */
async function claims(token: string, keys: readonly VerifyingKey[], options: JWTVerifyOptions) {
  let closest: JwtError | undefined;
  for (const { key, algorithms } of keys) {
    try {
      return (await jwtVerify(token, key, { ...options, algorithms }).catch(refused)).payload;
    } catch (error) {
      if (!(error instanceof JwtError)) throw error;
      if (!NOT_ITS_KEY.includes(error.code)) throw error;
      if (closest?.code !== "jwt-signature") closest = error;
    }
  }
  throw closest!;
}
const NOT_ITS_KEY: readonly JwtCode[] = ["jwt-algorithm", "jwt-signature"];

/** Three parts, each base64url in its one form; the library would skip white space and stray bits. */
function checkForm(token: string): void {
  if (token.length > MAX_JWT_BYTES) {
    throw new JwtError("jwt-malformed", `${token.length} characters, at most ${MAX_JWT_BYTES}`);
  }
  const parts = token.split(".");
  const canonical = parts.length === 3 && parts.every((part) => {
    try {
      return base64url(Uint8Array.fromBase64(part, { alphabet: "base64url" })) === part;
    } catch {
      return false;
    }
  });
  if (!canonical) {
    throw new JwtError("jwt-malformed", "expected three parts in base64url, with dots between");
  }
}

/** The library's refusal as ours. Its errors hold the token's claims, so none goes on as a cause. */
function refused(error: unknown): never {
  if (!(error instanceof errors.JOSEError)) throw error;
  if (error instanceof errors.JWTExpired) throw new JwtError("jwt-expired");
  if (error instanceof errors.JOSEAlgNotAllowed) throw new JwtError("jwt-algorithm");
  if (error instanceof errors.JWSSignatureVerificationFailed) throw new JwtError("jwt-signature");
  if (error instanceof errors.JWTClaimValidationFailed && error.claim === "aud") {
    throw new JwtError("jwt-audience", "expected its aud to be the instance's name");
  }
  const early = error instanceof errors.JWTClaimValidationFailed && error.claim === "nbf" &&
    error.reason === "check_failed";
  throw new JwtError(early ? "jwt-early" : "jwt-malformed");
}
