/** The committee server's process. */
import { etcdEngine } from "./committee/etcd/engine.ts";
import { decodeSaved } from "./committee/formed.ts";
import { raftEngine } from "./committee/raft_engine.ts";
import { refusesKey } from "./ops/admission_options.ts";
import { memoryFolder, openFolder } from "./ops/folder.ts";
import { keepProof } from "./ops/proof_file.ts";
import { readStored } from "./ops/store.ts";
import { readWish } from "./ops/wish_file.ts";
import { PRESETS } from "./protocol/parameters.ts";
import { admittingOf, gateOf } from "./roles/admitting.ts";
import { CommitteeServer } from "./roles/committee_server.ts";
import { runRole } from "./roles/process.ts";
import { watchServer } from "./roles/telemetry.ts";

/** File of the data folder that holds the committee. */
const MANIFEST_FILE = "manifest";

await runRole("server", Deno.args, async (p) => {
  const { options, environment, instance: { id: instance }, up, onStop, fail } = p;
  const { admission, data, preset, committeeSize: size, connectTimeout: remindMs } = options;
  const { etcd: url } = options, { observe } = environment;
  const folder = data === undefined ? memoryFolder() : openFolder(data, { fail, observe });
  onStop(() => folder.close());
  const raft = await raftEngine(environment), archive = folder.archive("archive");
  const { tickets, admissions } = await admittingOf({ ...p, folder, records: archive });
  const server = new CommitteeServer({
    ...p,
    gate: gateOf({ ...p, attested: tickets?.attested }),
    remindMs,
    instance,
    size,
    parameters: { ...PRESETS[preset], ...options.parameters, ...p.attestation.parameters },
    store: folder.file(MANIFEST_FILE),
    archive,
    wish: () => data === undefined ? undefined : readWish(data),
    post: (manifest) => ({
      store: folder.file(`state-${manifest.epoch}`),
      engine: url === undefined
        ? raft(manifest.servers.length, folder.journal(`order-${manifest.epoch}`))
        : etcdEngine({ url, fetch, manifest, environment }),
    }),
    admissions,
    aggregators: options.aggregators,
    admits: (client) => refusesKey(admission, client),
    keepProof: data === undefined ? undefined : (name, proof) => keepProof(data, name, proof),
    failed: fail,
  });
  onStop(() => (server.stop(), tickets?.stop()));
  watchServer(p, server, tickets?.attested);
  await up();
  tickets?.start();
  server.start();
}, ({ options: { data }, instance, attestation: { parameters } }) => {
  const bytes = data === undefined ? undefined : readStored(data, MANIFEST_FILE);
  const saved = bytes && decodeSaved(bytes, instance.id);
  const stands = saved && "formed" in saved;
  const committee = stands ? saved.formed.manifest.fingerprint : "not formed yet";
  return { ...parameters, committee };
});
