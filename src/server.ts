/** The committee server's process. */
import { etcdEngine } from "./committee/etcd/engine.ts";
import { raftEngine } from "./committee/raft_engine.ts";
import { decodeSaved } from "./committee/genesis_saved.ts";
import { memoryFolder, openFolder } from "./ops/folder.ts";
import { keepProof } from "./ops/proof_file.ts";
import { readStored } from "./ops/store.ts";
import { equal } from "./protocol/bytes.ts";
import { PRESETS } from "./protocol/parameters.ts";
import { Gate } from "./roles/admission.ts";
import { Gathering } from "./roles/gathering.ts";
import { runRole } from "./roles/process.ts";
import { Server } from "./roles/server.ts";

/** File of the data folder that holds the committee's manifest. */
const MANIFEST_FILE = "manifest";

await runRole("server", Deno.args, async (p) => {
  const { options, environment, network, signer, instance: { id: instance }, up, onStop, fail } = p;
  const { admission, data, committeeSize: size, connectTimeout: remindMs, etcd: url } = options;
  const folder = data === undefined ? memoryFolder() : openFolder(data, { fail });
  onStop(() => folder.close());
  const journal = folder.journal("order");
  const raft = await raftEngine({ servers: size, journal, environment });
  const open = (client: Uint8Array) =>
    admission.kind === "open" || admission.keys.some((key) => equal(key, client));
  const gate = new Gate({ network, environment, instance, secrets: options.committeeSecrets });
  const common = { network, environment, gate, signer, remindMs };
  const gathering = new Gathering({
    ...common,
    instance,
    size,
    parameters: { ...PRESETS[options.preset], ...options.parameters },
    store: folder.file(MANIFEST_FILE),
    failed: fail,
    formed({ manifest, lineage }) {
      const archive = folder.archive("archive");
      archive.describe(lineage);
      const server = new Server({
        ...common,
        manifest,
        store: folder.file("state"),
        archive,
        engine: url === undefined ? raft : etcdEngine({ url, fetch, manifest, environment }),
        admits: (client) => open(client) ? undefined : "not on the list",
        keepProof: data === undefined ? undefined : (name, proof) => keepProof(data, name, proof),
      });
      onStop(() => server.stop());
      server.serve();
      server.start();
    },
  });
  onStop(() => gathering.stop());
  await up();
  gathering.start();
}, ({ options: { data }, instance }) => {
  const bytes = data === undefined ? undefined : readStored(data, MANIFEST_FILE);
  const saved = bytes && decodeSaved(bytes, instance.id);
  return { committee: saved?.lineage ? saved.manifest.fingerprint : "not formed yet" };
});
