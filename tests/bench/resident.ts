/**
 * Run with all permissions by the bench of rounds, since only so may Deno read `/proc`. The arguments
 * are process ids; each line of standard input is answered by one JSON line, a `Reading`. Linux only.
 */

/** Resident memory of the processes in their order, in bytes, and the machine's load of a minute. */
export interface Reading {
  readonly resident: readonly number[];
  readonly load: number;
}

function resident(pid: string): number {
  const kilobytes = Deno.readTextFileSync(`/proc/${pid}/status`).match(/^VmRSS:\s+(\d+) kB$/m);
  if (!kilobytes) throw new Error(`process ${pid} has no VmRSS: it has ended`);
  return Number(kilobytes[1]) * 1_024;
}

if (import.meta.main) {
  for await (const chunk of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    for (let asked = chunk.split("\n").length; asked > 1; asked--) {
      const reading: Reading = { resident: Deno.args.map(resident), load: Deno.loadavg()[0] };
      console.log(JSON.stringify(reading));
    }
  }
}
