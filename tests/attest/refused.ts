import assert from "node:assert/strict";
import { AttestationError, type ReasonCode } from "../../src/attest/reasons.ts";

/** The code with which `act` is refused; undefined where it is not. Other errors are thrown on. */
export async function refusalOf(act: () => unknown): Promise<ReasonCode | undefined> {
  try {
    await act();
  } catch (error) {
    if (error instanceof AttestationError) return error.code;
    throw error;
  }
}

/** Asserts that `act` is refused for this reason. */
export async function refused(code: ReasonCode, act: () => unknown, what = ""): Promise<void> {
  const found = await refusalOf(act);
  assert.equal(found, code, `${what}: ${found}`);
}
