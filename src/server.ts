/** The committee server's process. */
import { keepProof, readCommitteeKeys } from "./ops/committee_file.ts";
import { guarded } from "./ops/files.ts";
import { memoryFolder, openFolder } from "./ops/folder.ts";
import type { ServerOptions } from "./ops/role_options.ts";
import { equal, hex, ZERO32 } from "./protocol/bytes.ts";
import { createManifest } from "./protocol/manifest.ts";
import { PRESETS } from "./protocol/parameters.ts";
import { runRole } from "./roles/process.ts";
import { Server } from "./roles/server.ts";

/** The manifest of the known servers. */
function manifestOf(options: ServerOptions, instance: Uint8Array, self: Uint8Array) {
  return createManifest({
    instance,
    epoch: 0,
    previous: ZERO32,
    start: ZERO32,
    servers: readCommitteeKeys(options.data ?? "./data", options.committeeSize, self),
    parameters: { ...PRESETS[options.preset], ...options.parameters },
  });
}

await runRole(
  "server",
  Deno.args,
  async ({ options, environment, network, signer, instance, up, onStop, fail }) => {
    const { admission, data, committeeSize, connectTimeout } = options;
    const folder = data === undefined ? memoryFolder() : openFolder(data, environment);
    onStop(() => folder.close());
    const manifest = manifestOf(options, instance.id, signer.key);
    if (committeeSize === 2) {
      environment.observe("warn", "two servers", { anonymity: "rests on one of two operators" });
    }
    const open = admission.kind === "open"
      ? () => true
      : (client: Uint8Array) => admission.keys.some((key) => equal(key, client));
    const server = new Server({
      network,
      environment,
      manifest,
      signer,
      store: guarded(folder.file("state"), fail),
      admits: (client) => open(client) ? undefined : "not on the list",
      keepProof: data === undefined ? undefined : (name, proof) => keepProof(data, name, proof),
      remindMs: connectTimeout,
    });
    onStop(() => server.stop());
    server.serve();
    await up();
    environment.observe("info", "committee", {
      fingerprint: hex(manifest.fingerprint),
      servers: committeeSize,
    });
    server.start();
  },
  ({ options, signer, instance }) => ({
    committee: manifestOf(options, instance.id, signer.key).fingerprint,
  }),
);
