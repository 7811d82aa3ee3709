/** Two servers prove a secret to each other; nobody else gets in, or learns it. */
import assert from "node:assert/strict";
import {
  calculateGenerator,
  confirmation,
  lvCat,
  sampleScalar,
  scalarMult,
  scalarMultVfy,
  sessionKey,
} from "../../src/committee/cpace.ts";
import { Answering, type Channel, Dialing } from "../../src/committee/handshake.ts";
import { concat, equal } from "../../src/protocol/bytes.ts";
import { ProtocolError } from "../../src/protocol/errors.ts";
import { Random } from "../protocol/random.ts";
import { refuses } from "../protocol/refuses.ts";

const text = new TextEncoder();
const RIGHT = text.encode("the committee's secret"), WRONG = text.encode("a guess at the secret");
const OLD = text.encode("the secret of last year");
const random = new Random(4_001);
const CHANNEL: Channel = {
  instance: random.bytes(32),
  kind: "committee",
  dialer: random.bytes(32),
  answerer: random.bytes(32),
};
const bytes = (length: number) => random.bytes(length);

const dialing = (secret = RIGHT, channel = CHANNEL, theirs = 0) =>
  new Dialing(bytes, channel, secret, theirs);
const answering = (secrets = [RIGHT], channel = CHANNEL) => new Answering(bytes, channel, secrets);

/** Frames 1 to 3 and, if the answerer is satisfied, 4. */
function run(dialer: Dialing, answerer: Answering): Uint8Array[] {
  const second = answerer.reply(dialer.first), third = dialer.reply(second);
  const fourth = answerer.finish(third);
  dialer.finish(fourth);
  return [dialer.first, second, third, fourth];
}

Deno.test("handshake: who shares the secret succeeds, and no frame is the same twice", () => {
  const a = run(dialing(), answering()), b = run(dialing(), answering());
  assert.deepEqual(a.map(({ length }) => length), [33, 64, 96, 64]);
  a.forEach((frame, i) => assert.ok(!equal(frame, b[i])));
});

Deno.test("handshake: a wrong secret is refused by the answerer before it confirms anything", () => {
  const dialer = dialing(WRONG), answerer = answering();
  const third = dialer.reply(answerer.reply(dialer.first));
  refuses("mismatch", () => answerer.finish(third));
  // And there is no second try: that needs a new scalar, a new nonce and a new connection.
  refuses("type", () => answerer.finish(third));
});

Deno.test("handshake: an answerer with a wrong secret is refused by the dialer", () => {
  const dialer = dialing(), answerer = answering([WRONG]);
  const third = dialer.reply(answerer.reply(dialer.first));
  refuses("mismatch", () => answerer.finish(third));
  for (const frame of [random.bytes(64), new Uint8Array(64), new Uint8Array(0), third.slice(32)]) {
    refuses("mismatch", () => dialer.finish(frame));
  }
  refuses("type", () => dialer.reply(answering([WRONG]).reply(dialer.first)));
});

Deno.test("handshake: any one secret that two servers have in common will do, one a run", () => {
  const sets = [[RIGHT], [RIGHT, OLD], [OLD, RIGHT], [OLD]];
  for (const mine of sets) {
    for (const theirs of sets) {
      let worked = 0;
      for (let own = 0; own < mine.length; own++) {
        for (const slot of [0, 1]) {
          try {
            run(dialing(mine[own], CHANNEL, slot), answering(theirs));
            worked++;
          } catch (error) {
            assert.equal((error as ProtocolError).code, "mismatch");
          }
        }
      }
      assert.equal(worked > 0, mine.some((secret) => theirs.includes(secret)));
    }
  }
});

Deno.test("handshake: another instance, stream or peer, or the peers swapped, is refused", () => {
  const { dialer, answerer } = CHANNEL;
  for (
    const other of [
      { instance: random.bytes(32) },
      { kind: "genesis" },
      { dialer: random.bytes(32) },
      { answerer: random.bytes(32) },
      { dialer: answerer, answerer: dialer },
    ]
  ) refuses("mismatch", () => run(dialing(), answering([RIGHT], { ...CHANNEL, ...other })));
});

Deno.test("handshake: a relay between two honest servers, with its own keys, is refused", () => {
  const relay = random.bytes(32);
  // Each honest side sees the relay's key where the other one's should be.
  const dialer = dialing(RIGHT, { ...CHANNEL, answerer: relay });
  const answerer = answering([RIGHT], { ...CHANNEL, dialer: relay });
  const third = dialer.reply(answerer.reply(dialer.first));
  refuses("mismatch", () => answerer.finish(third));
});

Deno.test("handshake: frames sent back to their sender, or of another run, are refused", () => {
  const [first, , third, fourth] = run(dialing(), answering());
  const again = answering();
  again.reply(first);
  refuses("mismatch", () => again.finish(third));

  const dialer = dialing(), answerer = answering();
  const second = answerer.reply(dialer.first);
  dialer.reply(second);
  refuses("mismatch", () => dialer.finish(fourth));
  // The answerer's own share and the dialer's own confirmation, turned back.
  refuses("mismatch", () => answerer.finish(concat(second.subarray(32), random.bytes(64))));
  const other = dialing(), reflected = other.reply(answering().reply(other.first));
  refuses("mismatch", () => other.finish(reflected.subarray(32)));
});

/**
 * One guess a connection. An attacker that took part with a guess knows its scalar and the whole
 * transcript. It may test that guess; the right secret, tried afterwards, it cannot recognise,
 * since its share was made from another generator.
 */
Deno.test("handshake: who answered with a wrong guess cannot test another one afterwards", () => {
  for (const guess of [WRONG, RIGHT]) {
    const dialer = dialing(), nonce = random.bytes(32);
    const session = concat(dialer.first.subarray(1), nonce);
    const { instance, kind } = CHANNEL;
    const label = text.encode("zipnet/1/committee-secret\0");
    const channel = lvCat(label, instance, text.encode(kind), CHANNEL.dialer, CHANNEL.answerer);
    const scalar = sampleScalar(random.bytes(64));
    const share = scalarMult(scalar, calculateGenerator(guess, channel, session));
    const third = dialer.reply(concat(nonce, share));
    const parts = {
      mine: { share, said: text.encode("answerer") },
      theirs: { share: third.subarray(0, 32), said: text.encode("dialer") },
    };
    const fits = (mine: Uint8Array) => {
      const shared = scalarMultVfy(scalar, parts.theirs.share);
      const key = sessionKey(session, shared, { ...parts.mine, share: mine }, parts.theirs);
      return equal(confirmation(session, key, parts.theirs), third.subarray(32));
    };
    assert.equal(fits(share), guess === RIGHT);
    const right = scalarMult(scalar, calculateGenerator(RIGHT, channel, session));
    assert.equal(fits(right), guess === RIGHT);
  }
});

Deno.test("handshake: damaged, cut and lengthened frames are refused, and nothing else is thrown", () => {
  for (let n = 0; n < 300; n++) {
    const damage = (frame: Uint8Array) => {
      const kind = random.below(4), out = frame.slice();
      if (kind === 0) return out.subarray(0, random.below(out.length));
      if (kind === 1) return concat(out, random.bytes(1 + random.below(40)));
      if (kind === 2) return random.bytes(out.length);
      out[random.below(out.length)] ^= 1 << random.below(8);
      return out;
    };
    const at = random.below(4), dialer = dialing(), answerer = answering();
    assert.throws(
      () => {
        const second = answerer.reply(at === 0 ? damage(dialer.first) : dialer.first);
        const third = dialer.reply(at === 1 ? damage(second) : second);
        const fourth = answerer.finish(at === 2 ? damage(third) : third);
        dialer.finish(at === 3 ? damage(fourth) : fourth);
        // Which of its secrets the answerer takes is no part of the proof.
        if (at === 0) throw new ProtocolError("mismatch", "the same secret in both places");
      },
      (error) => error instanceof ProtocolError,
      `seed 4001, run ${n}, frame ${at + 1}`,
    );
  }
});
