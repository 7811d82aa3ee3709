import assert from "node:assert/strict";
import { ProtocolError, type ProtocolErrorCode } from "../../src/protocol/errors.ts";

/** Asserts that `act` throws a `ProtocolError` of this code, and nothing else. */
export function refuses(code: ProtocolErrorCode, act: () => unknown, message?: RegExp): void {
  assert.throws(act, (error) => {
    assert.ok(error instanceof ProtocolError, `expected a ProtocolError, got ${error}`);
    assert.equal(error.code, code, error.message);
    if (message) assert.match(error.message, message);
    return true;
  });
}
