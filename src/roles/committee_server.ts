/**
 * A server of an instance from epoch to epoch: it gathers with the others, runs a `Server` in each
 * epoch that it is a member of, and carries over what outlasts one: the archive, the feeds, and who
 * stood in the roster. When an epoch stands without it, it goes on serving the log as it was, and
 * waits to be added again.
 */
import type { Seat } from "../committee/change.ts";
import type { Formed } from "../committee/formed.ts";
import type { Engine, EngineHost } from "../committee/engine.ts";
import type { Store } from "../committee/release.ts";
import type { Manifest } from "../protocol/manifest.ts";
import { Archivist } from "./archivist.ts";
import { formingTag } from "./diagnosis.ts";
import { Epochs } from "./epochs.ts";
import { Feed } from "./feed.ts";
import { Gathering, type GatheringOptions } from "./gathering.ts";
import { type Archive, memoryArchive } from "./records.ts";
import { Server, type ServerOptions } from "./server.ts";

/** What a server needs in one epoch: its register, and what orders its commands. */
export interface Post {
  readonly store: Store;
  readonly engine: (host: EngineHost, self: number) => Engine;
}

/** What a server is made of. */
export interface CommitteeServerOptions extends
  Omit<GatheringOptions, "stands" | "without">,
  Pick<
    ServerOptions,
    "admits" | "admissions" | "keepProof" | "aggregators" | "deskLimits"
  > {
  /** What it has in an epoch; asked once for each. */
  readonly post: (manifest: Manifest) => Post;
  /** All certified records, as far as it has them; in memory, the newest, unless given. */
  readonly archive?: Archive;
  /** It runs in an epoch. */
  readonly joined?: (server: Server) => void;
}

/** See the module comment. */
export class CommitteeServer {
  readonly #gathering: Gathering;
  readonly #archive: Archive;
  #log: { readonly epochs: Epochs; readonly archivist: Archivist; readonly feed: Feed } | undefined;
  #server: Server | undefined;

  constructor(readonly options: CommitteeServerOptions) {
    this.#archive = options.archive ?? memoryArchive();
    this.#gathering = new Gathering({
      ...options,
      stands: (formed) => this.#stands(formed),
      without: (formed) => this.#without(formed),
    });
  }

  /** The server of the present epoch, once its committee stands. */
  get server(): Server | undefined {
    return this.#server;
  }

  /** Begins, once the network is up. */
  start(): void {
    this.options.network.entry.addTag(formingTag(this.options.size));
    this.#gathering.start();
  }

  /** Stops for good; the network is the caller's to stop. */
  stop(): void {
    this.#gathering.stop();
    this.#server?.stop();
    this.#log?.archivist.stop();
  }

  #stands(formed: Formed): Seat {
    this.#formed();
    const { manifest, start, record } = formed, { post, joined } = this.options;
    const { archivist, feed } = this.#reads(formed);
    // One that is new asks for the log at once: it judges by it how fresh a ticket is.
    archivist.expect(start.round);
    const before = this.#leave();
    const server = new Server({
      ...this.options,
      ...post(manifest),
      manifest,
      start,
      record,
      ...before,
      archivist,
      feed,
    });
    this.#server = server;
    server.serve();
    server.start();
    joined?.(server);
    return server.member.seat;
  }

  #without(formed: Formed): void {
    this.#formed();
    this.#leave();
    // Who was never a member has nothing to serve.
    if (this.#log) this.#reads(formed);
  }

  /** A committee stands: nobody has to wait for it any more. */
  #formed(): void {
    this.options.network.entry.removeTag(formingTag(this.options.size));
  }

  /** Ends the present epoch; gives who stood in its roster, and whom this server vouched for. */
  #leave(): Pick<ServerOptions, "clients" | "vouches"> {
    if (!this.#server) return {};
    const { member } = this.#server, { registry, vouches } = member.state;
    const before = {
      clients: [...registry.registrations()],
      vouches: [...vouches.by(member.options.self)],
    };
    this.#server.stop();
    this.#server = undefined;
    return before;
  }

  /** Keeps and serves the log from now on, of this epoch too. */
  #reads({ epochs, lineage }: Formed) {
    const { network, environment } = this.options, archive = this.#archive;
    const manifests = epochs.map(({ manifest }) => manifest);
    if (this.#log) {
      archive.describe(lineage);
      this.#log.epochs.adopt(manifests);
      return this.#log;
    }
    const known = new Epochs(manifests);
    const feed = new Feed(known.root, archive), grown = () => feed.grown();
    const archivist = new Archivist({ network, environment, epochs: known, archive, grown });
    // Not before: what it holds may be of another committee, and is verified with that.
    archive.describe(lineage);
    feed.serve(network, known.parameters);
    archivist.start();
    return this.#log = { epochs: known, archivist, feed };
  }
}
