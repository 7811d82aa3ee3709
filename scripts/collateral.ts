/**
 * Fetches the collateral of one family of platforms and prints it as the file that a server without
 * a way to Intel reads (`ZIPNET_COLLATERAL`). It verifies nothing: the server does.
 */
import { formatCollateral } from "../src/attest/collateral_json.ts";
import { PCK_CA_KINDS } from "../src/attest/family.ts";
import { INTEL_PCS } from "../src/attest/pcs.ts";
import { collateralSources } from "../src/ops/collateral_source.ts";
import { EXIT, type ExitCode } from "../src/ops/exit.ts";
import { createLog } from "../src/ops/log.ts";
import { exit, readFile, systemClock, writeError, writeOutput } from "../src/ops/system.ts";

const HELP = `Collateral of a family of platforms, as a file for ZIPNET_COLLATERAL.

  deno run --allow-net scripts/collateral.ts FMSPC CA [URL] > collateral.json

  FMSPC   the family: 12 hex digits
  CA      platform or processor
  URL     Intel's service [${INTEL_PCS}] or a PCCS; one with a password cannot be used here
`;

async function main([fmspc = "", kind, from = INTEL_PCS, ...more]: string[]): Promise<ExitCode> {
  const ca = PCK_CA_KINDS.find((it) => it === kind), fits = /^[0-9a-f]{12}$/i.test(fmspc);
  const plain = /^https?:\/\/[^@]+$/.test(from) && URL.canParse(from);
  if (!fits || !ca || !plain || more.length > 0) {
    writeError(HELP);
    return EXIT.options;
  }
  const observe = createLog({
    ...{ level: "info", format: "text", write: writeError, clock: systemClock },
  });
  const [source] = collateralSources([from], { fetch, readFile, clock: systemClock, observe });
  const collateral = await source.fetch({ fmspc: fmspc.toLowerCase(), ca });
  if (!collateral) return EXIT.unreachable;
  writeOutput(`${formatCollateral(collateral)}\n`);
  return EXIT.clean;
}

exit(await main(Deno.args));
