import assert from "node:assert/strict";
import { hex } from "../../src/protocol/bytes.ts";
import { instanceId, nodeSeed, subId, universeId } from "../../src/protocol/names.ts";
import { refuses } from "./refuses.ts";

Deno.test("an instance name is 1 to 64 of a-z 0-9 . -", () => {
  const universe = universeId();
  for (const good of ["a", "acme.mainnet", "0-9", "x".repeat(64)]) instanceId(universe, good);
  for (const bad of ["", "A", "a b", "a_b", "é", "a\n", "x".repeat(65), "a/b", "a\0"]) {
    refuses("range", () => instanceId(universe, bad));
  }
});

Deno.test("ids differ by universe, name and purpose", () => {
  const one = universeId(), two = universeId("isolated.federation");
  const ids = [
    instanceId(one, "a"),
    instanceId(one, "b"),
    instanceId(two, "a"),
    subId(instanceId(one, "a"), "submit"),
    subId(instanceId(one, "a"), "aggregate"),
    subId(instanceId(one, "b"), "submit"),
  ];
  assert.equal(new Set(ids.map(hex)).size, ids.length);
});

Deno.test("a universe name is 1 to 64 characters", () => {
  refuses("range", () => universeId(""));
  refuses("range", () => universeId("x".repeat(65)));
});

Deno.test("a node's seed is 64 hex digits as they are, any other text hashed", () => {
  assert.equal(hex(nodeSeed("0F".repeat(32))), "0f".repeat(32));
  for (const text of ["0f".repeat(31), "0f".repeat(33), "0g".repeat(32), " " + "0f".repeat(32)]) {
    assert.notEqual(hex(nodeSeed(text)), text.toLowerCase());
    assert.equal(nodeSeed(text).length, 32);
  }
});
