/**
 * What a reader's process does: it follows the log, keeps its place, and serves on what it verified
 * where it listens; or it verifies the log up to the newest record, from the network or from an
 * archive's files.
 *
 * The place is the certified record that was printed last, saved after it was printed: a process
 * that dies between the two prints that one record again, and none is ever left out.
 */
import { readFile } from "../ops/system.ts";
import { memoryFolder, openFolder } from "../ops/folder.ts";
import { StoreError } from "../ops/files.ts";
import { Page } from "../ops/page.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { acceptLineage, decodeLineage } from "../protocol/lineage.ts";
import type { Manifest } from "../protocol/manifest.ts";
import { encodeCertified } from "../protocol/record.ts";
import { readArchived, Tally } from "./archived.ts";
import type { Epochs } from "./epochs.ts";
import { ConnectTimeout, Protocol, Refused } from "./errors.ts";
import { Follower } from "./follower.ts";
import { feedHolders } from "./holders.ts";
import { instanceEvent, PAGE_FILES, roundEvent } from "./live_page.ts";
import { base64, recordLines } from "./print.ts";
import type { LocalProcess, RoleProcess } from "./process.ts";
import { ReaderRole } from "./reader.ts";
import type { Records } from "./records.ts";
import { Mirror } from "./mirror.ts";
import { SEARCH_MS } from "./search.ts";
import { VoidEar } from "./void_feed.ts";
import { NEWEST } from "./window.ts";

type Process = RoleProcess<"reader">;

/** Prints every record once, over all starts of the process. */
export async function followLog(p: Process): Promise<void> {
  const { options: { data, from, json, listen }, environment: { observe }, fail, print } = p;
  const folder = data === undefined
    ? memoryFolder()
    : openFolder(`${data}/reader`, { fail, observe });
  p.onStop(() => folder.close());
  const place = folder.file("place");
  const after = from === undefined ? place.load() : undefined;
  await p.up();
  const committee = await p.meet(), { epochs, lineage } = committee;
  if (after) checkPlace(after, epochs, `${data}/reader`);
  if (json) print(manifestLine(lineage));
  let last: number | undefined;
  const page = openPage(p, epochs, committee.tickets !== undefined);
  const ear = page && new VoidEar({ ...p, epochs });
  if (ear) p.onStop(() => ear.close());
  const archive = data === undefined || listen.length === 0 ? undefined : folder.archive("archive");
  const mirror = listen.length === 0 ? undefined : new Mirror({ ...p, committee, archive });
  if (mirror) {
    p.onStop(() => mirror.stop());
    p.telemetry.held(() => mirror.counts);
  }
  const { alive } = p.watch(committee, (later) => {
    mirror?.hand(later);
    if (json) print(manifestLine(later));
  });
  const reader = new ReaderRole({
    ...p,
    epochs,
    alive,
    from: from ?? 0,
    after,
    mirror,
    record: (seen) => {
      const { skipped, record: { header: { round } } } = seen;
      last = round;
      page?.publish(round, "round", roundEvent(seen, ear?.between(round - 1 - skipped, round)));
      if (print(recordLines(seen, json))) place.save(encodeCertified(seen));
    },
    stopped: p.fail,
  });
  p.onStop(() => reader.stop());
  p.telemetry.read("round", () => last);
  p.telemetry.ready(() => last === undefined ? "no record was read yet" : undefined);
}

/** The live page, where one was asked for. */
function openPage(p: Process, epochs: Epochs, attested: boolean): Page | undefined {
  const { options: { page: address, instance }, environment } = p;
  if (!address) return undefined;
  const page = new Page({ address, environment, files: pageFiles() });
  const introduce = () =>
    page.introduce("instance", instanceEvent(instance, epochs.newest, attested));
  introduce();
  p.onStop(epochs.onChange(introduce));
  p.onStop(() => page.stop());
  return page;
}

function pageFiles(): ReadonlyMap<string, Uint8Array> {
  try {
    return new Map(PAGE_FILES.map((name) => [name, readFile(`testnet/page/${name}`)]));
  } catch (error) {
    throw new StoreError(
      "permission",
      `the page's files in testnet/page cannot be read (${(error as Error).name}): start in the ` +
        "repository's folder, with --allow-read=testnet/page",
    );
  }
}

/** Verifies all records up to the newest one that a holder has, says so, and ends. */
export async function verifyLog(p: Process): Promise<void> {
  const { options: { from = 0, json, connectTimeout }, environment: { clock } } = p;
  await p.up();
  const committee = await p.meet(), { epochs } = committee, { alive } = p.watch(committee);
  const tally = new Tally();
  let stop = () => {}, cancel = () => {};
  const end = (error?: Error) => {
    cancel();
    stop();
    stop = cancel = () => {};
    error ? p.fail(error) : p.stop();
  };
  /** Holders that have nothing more to say are no log that was verified. */
  const wait = () => {
    cancel();
    cancel = clock.after(
      connectTimeout + SEARCH_MS,
      () => end(new ConnectTimeout(`no record came after round ${tally.last}: are holders up?`)),
    );
  };
  wait();
  const newest = await newestRound(p, epochs, alive, (halt) => stop = halt);
  if (newest < from) {
    return end(new Protocol(`no record from round ${from} on: the newest is ${newest}`));
  }
  let over = false;
  const reader = new ReaderRole({
    ...p,
    epochs,
    alive,
    from,
    record: (seen) => {
      if (over) return;
      tally.add(seen);
      if (tally.last < newest) return wait();
      over = true;
      p.print(tally.line(json));
      end();
    },
    gap: (last, next) => {
      over = true;
      end(new Protocol(`no holder has the records between round ${last} and record ${next}`));
    },
    stopped: end,
  });
  stop = () => reader.stop();
  if (over) stop();
}

/** Round of the newest record of whoever answers first. */
function newestRound(
  p: Process,
  epochs: Epochs,
  alive: () => void,
  stops: (stop: () => void) => void,
) {
  return new Promise<number>((resolve) => {
    const follower = new Follower({
      ...p,
      epochs,
      from: NEWEST,
      candidates: () => feedHolders(p.network, "records"),
      live: false,
      choosy: true,
      events: {
        record: ({ record }) => {
          follower.close();
          resolve(record.header.round);
        },
        alive,
        bad: () => true,
      },
    });
    stops(() => follower.close());
  });
}

/** Reads or verifies an archive's files, where one was named; answers whether it did. */
export function readFiles(
  p: LocalProcess<"reader">,
  open: (folder: string) => Records,
): boolean {
  const { options: { archive, from = 0, json, verify }, print } = p;
  if (archive === undefined) return false;
  const { epochs, bytes } = committeeOnDisk(p), tally = new Tally();
  if (json && !verify && !print(manifestLine(bytes))) return true;
  for (const seen of readArchived(open(archive), epochs, from)) {
    tally.add(seen);
    if (!verify && !print(recordLines(seen, json))) return true;
  }
  if (verify) print(tally.line(json));
  return true;
}

/** The committee of an archive's files, epoch by epoch, held against the pin. */
export function committeeOnDisk(
  { options: { manifest: file, committee: pin }, instance }: Pick<Process, "options" | "instance">,
): { readonly epochs: readonly Manifest[]; readonly bytes: Uint8Array } {
  const mend = "name the committee's file in --manifest, and add --allow-read with its path";
  let bytes: Uint8Array;
  try {
    bytes = readFile(file!);
  } catch (error) {
    throw new StoreError(
      "permission",
      `${file} cannot be read (${(error as Error).name}): ${mend}`,
    );
  }
  try {
    const lineage = decodeLineage(bytes, instance.id), answer = acceptLineage(lineage, { pin });
    if ("refused" in answer) throw new Refused(`the committee of ${file}: ${answer.message}`);
    return { epochs: lineage.map(({ manifest }) => manifest), bytes };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new StoreError(
      "damaged",
      `${file} is no committee of ${instance.name} (${error.message}): ${mend}`,
    );
  }
}

function manifestLine(lineage: Uint8Array): string {
  return `${JSON.stringify({ manifest: base64(lineage) })}\n`;
}

function checkPlace(after: Uint8Array, epochs: Epochs, folder: string): void {
  try {
    epochs.chain().extend(after);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new StoreError(
      "damaged",
      `the place kept in ${folder} is not in the log of this committee (${error.message}): ` +
        "give another --data, or begin anew with --from",
    );
  }
}
