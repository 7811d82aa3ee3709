import assert from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { agreement, signer } from "../../src/protocol/keys.ts";
import {
  createRegistration,
  decodeRegistration,
  REGISTRATION_BYTES,
} from "../../src/protocol/registration.ts";
import { Random } from "./random.ts";
import { refuses } from "./refuses.ts";

const random = new Random(50), client = signer(random.bytes(32));
const fields = {
  instance: random.bytes(32),
  agreement: agreement(random.bytes(32)).key,
  session: Number.MAX_SAFE_INTEGER,
};

Deno.test("a registration and a leave come back", () => {
  for (const kind of ["register", "leave"] as const) {
    const made = createRegistration(kind, client, fields);
    assert.equal(made.bytes.length, REGISTRATION_BYTES);
    const read = decodeRegistration(kind, made.bytes, fields.instance);
    assert.deepEqual([hex(read.client), hex(read.agreement), read.session], [
      hex(client.key),
      hex(fields.agreement),
      fields.session,
    ]);
  }
});

Deno.test("a leave does not pass as a registration, nor the other way", () => {
  const register = createRegistration("register", client, fields).bytes;
  const leave = createRegistration("leave", client, fields).bytes;
  refuses("signature", () => decodeRegistration("leave", register, fields.instance));
  refuses("signature", () => decodeRegistration("register", leave, fields.instance));
});

Deno.test("another instance, another signer, another session are refused", () => {
  const { bytes } = createRegistration("register", client, fields);
  const decode = (b: Uint8Array) => decodeRegistration("register", b, fields.instance);
  refuses("mismatch", () => decodeRegistration("register", bytes, random.bytes(32)));
  const other = bytes.slice();
  other.set(signer(random.bytes(32)).key, 32);
  refuses("signature", () => decode(other));
  const later = bytes.slice();
  later[96] ^= 1;
  refuses("signature", () => decode(later));
  const far = bytes.slice();
  far[103] = 0x20;
  refuses("range", () => decode(far));
});

Deno.test("an X25519 key that gives all zeros is refused, though signed", () => {
  for (const first of [0, 1]) {
    const weak = new Uint8Array(32);
    weak[0] = first;
    const { bytes } = createRegistration("register", client, { ...fields, agreement: weak });
    refuses("key", () => decodeRegistration("register", bytes, fields.instance));
  }
});

Deno.test("a client key of small order is refused", () => {
  const { bytes } = createRegistration("register", client, fields);
  const weak = bytes.slice();
  weak.fill(0, 32, 64);
  refuses("key", () => decodeRegistration("register", weak, fields.instance));
});
