/**
 * Many attested clients come to a running instance at once: how fast every server has judged them,
 * and what that does to the rounds. Processes over libp2p; the clients' quotes are real in all but
 * their root. The newcomers register and send nothing.
 */
import { encodeEvidence, REGISTER, TAKEN, WANTED } from "../../src/roles/evidence.ts";
import { makeTicket, TICKET_MS } from "../../src/attest/ticket.ts";
import { openPlatform } from "../../src/ops/platform_folder.ts";
import { systemClock, systemRandom } from "../../src/ops/system.ts";
import { agreement, type Signer, signer } from "../../src/protocol/keys.ts";
import { instanceId, universeId } from "../../src/protocol/names.ts";
import { createRegistration } from "../../src/protocol/registration.ts";
import { Writer } from "../../src/protocol/bytes.ts";
import { CLIENT_REGISTRY } from "../../src/roles/streams.ts";
import type { Stream } from "../../src/universe/network.ts";
import { libp2pNetwork } from "../../src/universe/libp2p.ts";
import { INSTANCE } from "../../testnet/command.ts";
import { Instance } from "../process/instance.ts";

/** Lines in which they come, in each one after the other. */
const LINES = 8;
/** Rounds before they come, as the reference. */
const REFERENCE_ROUNDS = 8;
/** Times of the interactive preset, which instances with as many clients have. */
const TIMES = ["--round-period", "1s", "--fold-deadline", "400ms", "--round-deadline", "5s"];

/** What came of it. */
export interface Admitted {
  readonly clients: number;
  /** The most that stood in a roster. */
  readonly roster: number;
  /** From the first that came to the last that stood, ms; and what that is a second. */
  readonly ms: number;
  readonly perSecond: number;
  /** Median and longest time between two records, before and meanwhile, ms. */
  readonly before: readonly [median: number, longest: number];
  readonly meanwhile: readonly [median: number, longest: number];
  readonly rounds: number;
  readonly voids: number;
}

/** Lets `count` clients come to an instance of three servers in which four take part. */
export async function admit(count: number): Promise<Admitted> {
  await using it = new Instance(`admit-${count}`, 3, () => TIMES, undefined, true);
  await it.start(4);
  const [reader] = it.readers;
  await it.until("a reference", () => reader.records.length >= REFERENCE_ROUNDS);
  const times = () =>
    [...it.servers[0].log.matchAll(/"time":"([^"]+)"[^\n]*"event":"round finalized"/g)].map((m) =>
      Date.parse(m[1])
    );
  const reference = times(), before = gaps(reference);
  const voids = () => it.logs.split('"event":"round void"').length - 1;
  const voidsBefore = voids(), began = performance.now();
  const { source } = openPlatform(it.site.platforms!.machine("newcomers"));
  const anchor = Deno.readFileSync(it.site.platforms!.anchor);
  const fingerprint = new Uint8Array(await crypto.subtle.digest("SHA-256", anchor));
  const instance = instanceId(universeId(), INSTANCE);

  const bring = async (line: number) => {
    const secret = systemRandom(32), who = signer(secret);
    const network = libp2pNetwork({
      environment: { clock: systemClock, random: systemRandom, observe: () => {} },
      secret,
      universe: universeId(),
      instance,
      role: "client",
      listen: [],
      bootstrap: [...it.servers[line % 3].addresses!],
    });
    await network.start();
    const answers = new Answers();
    try {
      const server = await known(network);
      const stream = await network.open(server, CLIENT_REGISTRY, () => answers);
      const wanted = await answers.to(stream, registration(who, instance));
      if (wanted[0] !== WANTED) throw new Error(`asked for nothing: ${wanted}`);
      const from = systemClock.now(), until = from + TICKET_MS, freshness = wanted.slice(2);
      const bound = { instance, anchor: fingerprint, key: who.key, from, until, freshness };
      const ticket = await makeTicket(source, { ...bound, role: "client" });
      const answer = await answers.to(
        stream,
        registration(who, instance, encodeEvidence({ ticket })),
      );
      if (answer[0] !== TAKEN) throw new Error(`not admitted: ${answer}`);
    } finally {
      await network.stop();
    }
  };
  const lines = async (line: number) => {
    for (let i = line; i < count; i += LINES) await bring(line);
  };
  await Promise.all(Array.from({ length: LINES }, (_, line) => lines(line)));
  const rosters = () =>
    [...it.logs.matchAll(/"event":"opening round","round":\d+,"roster":(\d+)/g)].map((m) => +m[1]);
  await it.until("all stand in a roster", () => Math.max(...rosters()) >= count + 4);
  const ms = performance.now() - began;
  const during = times().slice(reference.length - 1);
  return {
    clients: count,
    roster: Math.max(...rosters()),
    ms: Math.round(ms),
    perSecond: Math.round(count / ms * 1_000),
    before,
    meanwhile: gaps(during),
    rounds: during.length - 1,
    voids: voids() - voidsBefore,
  };
}

/** The server that was dialed. */
async function known(network: ReturnType<typeof libp2pNetwork>) {
  const { promise, resolve } = Promise.withResolvers<void>();
  network.onPeer(({ role }) => role === "server" && resolve());
  await promise;
  return network.peers("server")[0];
}

/** Answers, one to each frame that is sent. */
class Answers {
  #next: ((bytes: Uint8Array) => void) | undefined;
  #reason: string | undefined;
  #fail: (error: Error) => void = () => {};
  frame(bytes: Uint8Array): void {
    this.#next?.(bytes.slice());
  }
  closed(reason: string): void {
    this.#reason = reason;
    this.#fail(new Error(reason));
  }
  to(stream: Stream, frame: Uint8Array): Promise<Uint8Array> {
    if (this.#reason !== undefined) throw new Error(this.#reason);
    return new Promise((resolve, reject) => {
      this.#next = resolve;
      this.#fail = reject;
      stream.send(frame);
    });
  }
}

function registration(who: Signer, instance: Uint8Array, evidence: Uint8Array = new Uint8Array(0)) {
  const { key } = agreement(systemRandom(32));
  const fields = { instance, agreement: key, session: systemClock.now() };
  return new Writer().u8(REGISTER).bytes(createRegistration("register", who, fields).bytes)
    .bytes(evidence).end();
}

/** Median and longest time between two. */
function gaps(times: readonly number[]): [number, number] {
  const all = times.slice(1).map((time, i) => time - times[i]).sort((a, b) => a - b);
  return [all[all.length >> 1], all[all.length - 1]];
}
