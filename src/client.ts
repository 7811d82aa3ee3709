/** The client's process: it takes part in every round, and says what it is given to say. */
import { lines } from "./ops/stdin.ts";
import { Client } from "./roles/client.ts";
import { runRole } from "./roles/process.ts";
import { Mouth } from "./roles/mouth.ts";

await runRole(
  "client",
  Deno.args,
  async (p) => {
    const { options, environment, network, signer, up, watch, stop, onStop, fail, print } = p;
    const mouth = new Mouth(
      options,
      print,
      (outcome, rounds) => p.telemetry.submitted(outcome, rounds),
    );
    const read = async () => {
      for await (const line of lines()) mouth.line(line);
      if (options.stopWithStdin) stop();
    };
    if (options.stdin) read().catch(fail);
    await up();
    const committee = await p.meet(), { tickets } = committee;
    const client = new Client({
      network,
      environment,
      epochs: committee.epochs,
      signer,
      minParticipants: options.minParticipants,
      own: { token: options.jwt, attestation: p.attesting() },
      objection: tickets && (() => tickets.objection()),
      distrusts: tickets && ((key) => tickets.attested.refusal(key)),
      ready: () => options.json && print(`${JSON.stringify({ ready: true })}\n`),
      alive: watch(committee).alive,
      refused: fail,
      round: () => mouth.round(),
    });
    onStop(() => client.stop("shutdown"));
    p.telemetry.ready(() => client.ready ? undefined : "no envelope was accepted yet");
    mouth.open(client.outbox);
  },
);
