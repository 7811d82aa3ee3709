/** What servers read of an order in etcd: a survey of its keys, and its log page by page. */
import {
  base64,
  boolean,
  EtcdError,
  type KeyValue,
  keyValues,
  list,
  malformed,
  object,
  revisionOf,
} from "./json.ts";
import { after, createdAt, encodeState, type Keys, prefixed, put, remove } from "./keys.ts";
import type { Call } from "./snapshots.ts";

/** Commands in one answer; more than one transaction writes. */
const PAGE = 1_000;
/** Most events in one message of a watch. */
export const MAX_EVENTS = 2 ** 16;
/** Most keys of servers; a committee has 64 at most. */
const MAX_SERVERS = 1_000;

/** All keys of an order but its log, at one revision. */
export interface Survey {
  readonly revision: number;
  readonly state: KeyValue;
  readonly leader: KeyValue | undefined;
  /** One key a server that etcd hears of. */
  readonly servers: readonly KeyValue[];
}

/** Looks at the order; where there is none, begins one under a new name. */
export async function survey(call: Call, keys: Keys, name: () => string): Promise<Survey> {
  for (const last of [false, true]) {
    const answer = await call("kv/txn", {
      success: [
        { request_range: { key: base64(keys.state) } },
        { request_range: { key: base64(keys.leader) } },
        { request_range: prefixed(keys.servers) },
      ],
    });
    const ranges = list(answer.responses, "answers", 3).map((it) =>
      keyValues(object(it, "an answer").response_range, MAX_SERVERS)
    );
    if (ranges.length !== 3) malformed("another number of ranges than asked for");
    const [[state], [leader], servers] = ranges;
    if (state) return { revision: revisionOf(answer), state, leader, servers };
    if (last) break;
    const first = { order: name(), revision: 0, snapshot: "", chunks: 0, length: 0 };
    await call("kv/txn", {
      compare: [createdAt(keys.state, 0)],
      success: [
        put(keys.state, encodeState(first)),
        remove(keys.log, after(keys.log)),
        remove(keys.snapshots, after(keys.snapshots)),
      ],
    });
  }
  throw new EtcdError("etcd does not keep what is written");
}

/** The commands written from one revision to another, in order, some at a time. */
export async function* loadLog(
  call: Call,
  keys: Keys,
  from: number,
  to: number,
): AsyncGenerator<{ readonly commands: readonly KeyValue[]; readonly until: number }> {
  while (from <= to) {
    const answer = await call("kv/range", {
      ...prefixed(keys.log),
      revision: String(to),
      min_mod_revision: String(from),
      sort_target: "MOD",
      sort_order: "ASCEND",
      limit: String(PAGE),
    });
    const page = keyValues(answer, PAGE)
      .sort((a, b) => a.modified - b.modified || (a.key < b.key ? -1 : 1));
    if (page.some(({ modified }) => modified < from || modified > to)) {
      malformed("commands of other revisions");
    }
    // Of the last revision of a page that is full, some commands may be on the next.
    const until = boolean(answer.more, "more") ? (page.at(-1)?.modified ?? 0) - 1 : to;
    if (until < from) malformed("a page without a whole revision");
    yield { commands: page.filter(({ modified }) => modified <= until), until };
    from = until + 1;
  }
}

/** The newest revision of a key that servers watch. */
export async function newestOf(call: Call, keys: Keys): Promise<number> {
  const answer = await call("kv/range", {
    ...prefixed(keys.order),
    sort_target: "MOD",
    sort_order: "DESCEND",
    limit: "1",
    keys_only: true,
  });
  return keyValues(answer, 1)[0]?.modified ?? 0;
}
