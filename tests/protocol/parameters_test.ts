import assert from "node:assert/strict";
import { Reader } from "../../src/protocol/bytes.ts";
import { padCipher } from "../../src/protocol/pad.ts";
import {
  checkParameters,
  encodeParameters,
  type Limit,
  LIMITS,
  PARAMETERS_BYTES,
  PRESETS,
  readParameters,
  slotBytes,
  unitsOf,
} from "../../src/protocol/parameters.ts";
import { refuses } from "./refuses.ts";

const read = (bytes: Uint8Array) => readParameters(new Reader(bytes, "parameters"));

Deno.test("presets are valid and come back from their 101 bytes", () => {
  for (const preset of Object.values(PRESETS)) {
    const bytes = encodeParameters(preset);
    assert.equal(bytes.length, PARAMETERS_BYTES);
    assert.equal(bytes.length, 101);
    assert.deepEqual(read(bytes), { ...preset });
  }
});

Deno.test("each number is refused one below its least and one above its most", () => {
  const widest = {
    ...PRESETS.dev,
    maxClients: 65_536,
    maxVectorBytes: 16_777_216,
    minParticipants: 2,
    foldDeadline: 1,
    roundDeadline: 86_400_000,
  };
  for (const [name, [min, max]] of Object.entries(LIMITS)) {
    refuses("range", () => checkParameters({ ...widest, [name]: min - 1 }), new RegExp(name));
    refuses("range", () => checkParameters({ ...widest, [name]: max + 1 }), new RegExp(name));
    refuses("range", () => checkParameters({ ...widest, [name]: min + 0.5 }), new RegExp(name));
  }
  const together = { maxMessageBytes: 1_048_576, maxTalkers: 4_096, minParticipants: 65_536 };
  checkParameters({ ...widest, ...together });
});

Deno.test("rules between numbers", () => {
  const p = PRESETS.dev;
  const broken: Partial<Record<Limit, number>>[] = [
    { maxVectorBytes: slotBytes(p.maxMessageBytes) - 1 },
    { minParticipants: p.maxClients + 1 },
    { foldDeadline: p.roundDeadline },
  ];
  for (const some of broken) refuses("range", () => checkParameters({ ...p, ...some }));
  checkParameters({ ...p, maxVectorBytes: slotBytes(p.maxMessageBytes) });
});

Deno.test("an unknown pad suite is refused, and one that this build lacks", () => {
  const bytes = encodeParameters(PRESETS.dev);
  bytes[0] = 2;
  refuses("range", () => read(bytes));
  bytes[0] = 1;
  assert.equal(read(bytes).suite, "aes-128-ctr");
  refuses("range", () => padCipher("aes-128-ctr"));
  assert.equal(padCipher("xchacha20").suite, "xchacha20");
});

Deno.test("units: salt, length and payload in whole 64 bytes", () => {
  assert.deepEqual([1, 44, 45, 108, 109, 4_096, 1_048_576].map(unitsOf), [
    1,
    1,
    2,
    2,
    3,
    65,
    16_385,
  ]);
  assert.equal(slotBytes(44), 64);
});
