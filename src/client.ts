/** The client's process: it takes part in every round, and says what it is given to say. */
import { lines } from "./ops/stdin.ts";
import { Client } from "./roles/client.ts";
import { runRole } from "./roles/process.ts";
import { Mouth } from "./roles/mouth.ts";

await runRole(
  "client",
  Deno.args,
  async ({ options, environment, network, signer, up, meet, stop, onStop, fail, print }) => {
    const early: string[] = [];
    let mouth: Mouth | undefined;
    const read = async () => {
      for await (const line of lines()) mouth ? mouth.line(line) : early.push(line);
      if (options.stopWithStdin) stop();
    };
    if (options.stdin) read().catch(fail);
    await up();
    const { manifest } = await meet();
    const client = new Client({
      network,
      environment,
      manifest,
      signer,
      minParticipants: options.minParticipants,
      ready: () => options.json && print(`${JSON.stringify({ ready: true })}\n`),
      refused: fail,
      round: () => mouth?.round(),
    });
    onStop(() => client.stop("shutdown"));
    mouth = new Mouth(client.outbox, options, print);
    for (const line of early.splice(0)) mouth.line(line);
  },
);
