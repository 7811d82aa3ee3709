/** What servers exchange for a round is kept until its record is certified, and no longer. */
import assert from "node:assert/strict";
import { concat, equal } from "../../src/protocol/bytes.ts";
import { decodeEvidence } from "../../src/committee/evidence.ts";
import { Stage } from "./stage.ts";

const WANT = 1, BLOB = 2, HEAD = 3;

/** What the honest server answers to a server that asks for something by its hash. */
function asked(stage: Stage, id: Uint8Array): Uint8Array[] {
  stage.frames.length = 0;
  stage.member.receive(0, concat(Uint8Array.of(WANT), id));
  return stage.frames.filter((frame) => frame[0] === BLOB || frame[0] === HEAD);
}

Deno.test("header, aggregate and shares are there until all have signed FINAL; then the record is", () => {
  const stage = new Stage(600), header = stage.open();
  const secrets = stage.prepared(stage.fixes(header));
  const shares = stage.member.state.live!.prepares.map((signed) => {
    const { statement } = signed!;
    return statement.kind === "prepare" ? statement.share : assert.fail();
  });
  stage.released(secrets);
  const all = [header.hash, secrets.aggregate.digest, ...shares];
  assert.equal(stage.said.at(-1)!.statement.kind, "final");
  for (const [i, id] of all.entries()) {
    const [frame] = asked(stage, id);
    assert.equal(frame?.[0], BLOB, `blob ${i}, while a FINAL is missing`);
    assert.ok(equal(frame.subarray(1, 33), id));
  }
  stage.finals();
  assert.equal(stage.certified.length, 1);
  for (const [i, id] of all.entries()) assert.deepEqual(asked(stage, id), [], `blob ${i}, after`);
  const { hash } = stage.certified[0].record, [head] = asked(stage, hash);
  assert.equal(head[0], HEAD);
  const evidence = decodeEvidence(head.subarray(1), stage.play.manifest);
  assert.ok("certified" in evidence && equal(evidence.certified.record.hash, hash));
});
