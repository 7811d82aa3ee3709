/** The committee server's process. */
import { memoryStore, openStore } from "./ops/store.ts";
import { keepProof, readCommitteeKeys } from "./ops/committee_file.ts";
import { equal, hex, ZERO32 } from "./protocol/bytes.ts";
import { createManifest } from "./protocol/manifest.ts";
import { PRESETS } from "./protocol/parameters.ts";
import { runRole } from "./roles/process.ts";
import { Server } from "./roles/server.ts";

await runRole(
  "server",
  Deno.args,
  async ({ options, environment, network, signer, instance, up, onStop }) => {
    const { admission, data } = options;
    const store = data === undefined ? memoryStore() : openStore(data);
    if ("close" in store) onStop(() => (store as { close(): void }).close());
    const servers = readCommitteeKeys(data ?? "./data", options.committeeSize, signer.key);
    const manifest = createManifest({
      instance: instance.id,
      epoch: 0,
      previous: ZERO32,
      start: ZERO32,
      servers,
      parameters: { ...PRESETS[options.preset], ...options.parameters },
    });
    if (options.committeeSize === 2) {
      environment.observe("warn", "two servers", { anonymity: "rests on one of two operators" });
    }
    const server = new Server({
      network,
      environment,
      manifest,
      signer,
      store,
      admits: (client) =>
        admission.kind === "open" || admission.keys.some((key) => equal(key, client))
          ? undefined
          : "not on the list",
      keepProof: data === undefined ? undefined : (name, proof) => keepProof(data, name, proof),
    });
    onStop(() => server.stop());
    server.serve();
    await up();
    environment.observe("info", "committee", {
      fingerprint: hex(manifest.fingerprint),
      servers: servers.length,
    });
    server.start();
  },
);
