/**
 * How a client, reader or aggregator gets to know the committee: its lineage, signed by every
 * member, from anyone who has it and serves; against the pin where there is one.
 */
import { type Fingerprint, hex } from "../protocol/bytes.ts";
import { acceptLineage, decodeLineage } from "../protocol/lineage.ts";
import type { Environment } from "../universe/environment.ts";
import type { Network, Peer } from "../universe/network.ts";
import { diagnosis } from "./diagnosis.ts";
import { Epochs } from "./epochs.ts";
import { ConnectTimeout, Refused } from "./errors.ts";
import { isMirror } from "./holders.ts";
import { Link } from "./link.ts";
import { SERVER_REGISTRY } from "./streams.ts";

/** What to look for, and how long. */
export interface MeetOptions {
  readonly network: Network;
  readonly environment: Environment;
  readonly instance: { readonly id: Uint8Array; readonly name: string };
  readonly universe: string;
  /** Fingerprint of the one committee to accept. */
  readonly pin?: Fingerprint;
  /** Milliseconds until `ConnectTimeout`. */
  readonly timeout: number;
}

/** Those who can answer for an instance: aggregators and servers, in the order given. */
export function holders(network: Network, ...roles: readonly ("aggregator" | "server")[]): Peer[] {
  return roles.flatMap((role) => network.peers(role));
}

/** Whom to ask for the committee: readers ask those who serve too, after all others. */
function introducers(network: Network): Peer[] {
  const mirrors = network.self.role === "reader" ? network.peers("reader").filter(isMirror) : [];
  return [...holders(network, "server", "aggregator"), ...mirrors];
}

/** A committee that was met. */
export interface Committee {
  /** All epochs of its lineage; the one list of this process. */
  readonly epochs: Epochs;
  /** The lineage as it came. */
  readonly lineage: Uint8Array;
}

/**
 * The committee of the instance, or `ConnectTimeout`, or `Refused` where every holder that is known
 * has another committee than the pinned one.
 */
export function meetCommittee(options: MeetOptions): Promise<Committee> {
  const { network, environment, instance, pin } = options;
  const { clock, observe } = environment;
  if (!pin) {
    observe("warn", "committee not pinned", {
      trusting: "the first committee that answers",
      mend: "set ZIPNET_COMMITTEE",
    });
  }
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => {
      cancel();
      link.close();
      act();
    };
    /** Holders of another committee; one of them alone may be behind, or lie. */
    const refusing = new Map<string, Refused>();
    const others = () => introducers(network).filter(({ id }) => !refusing.has(id));
    let unreached: { readonly id: string; readonly reason: string } | undefined;
    const cancel = clock.after(options.timeout, () => {
      const [refused] = refusing.values();
      settle(() => reject(refused ?? new ConnectTimeout(diagnosis({ ...options, unreached }))));
    });
    const link: Link = new Link({
      network,
      clock,
      kind: SERVER_REGISTRY,
      candidates: others,
      failed: ({ id }, reason) => void (unreached = { id, reason }),
      events: (stream) => ({
        frame: (bytes) => {
          const lineage = decodeLineage(bytes, instance.id);
          const answer = acceptLineage(lineage, { pin });
          if ("refused" in answer) {
            observe("warn", "another committee", {
              peer: stream.peer.id,
              fingerprint: hex(lineage[lineage.length - 1].manifest.fingerprint),
              reason: answer.message,
            });
            const refused = new Refused(`${instance.name}: ${answer.message}`);
            refusing.set(stream.peer.id, refused);
            if (others().length > 0) return stream.close("another committee");
            return settle(() => reject(refused));
          }
          const manifest = answer.accepted;
          observe("info", "committee met", {
            fingerprint: hex(manifest.fingerprint),
            servers: manifest.servers.length,
          });
          const epochs = new Epochs(lineage.map(({ manifest }) => manifest));
          settle(() => resolve({ epochs, lineage: bytes }));
        },
        closed: () => {},
      }),
    });
  });
}
