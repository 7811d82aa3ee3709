/** Options that are right alone and wrong together. */
import { DEV, SECRET, testRefusals } from "./refusal.ts";

const list = (file: string) => ["--admission=list", `--clients=${file}`];

testRefusals([
  [
    "committee of one",
    "server",
    ["--committee-size=1"],
    DEV,
    "--committee-size (ZIPNET_COMMITTEE_SIZE): expected 3 or more, got 1",
  ],
  [
    "committee of one, allowed two",
    "server",
    ["--committee-size=1", "--allow-two"],
    DEV,
    "expected 3 or more, got 1",
  ],
  [
    "committee of two",
    "server",
    ["--committee-size=2"],
    DEV,
    "expected an odd number from 3, got 2: take 3, or add --allow-two",
  ],
  [
    "even committee",
    "server",
    ["--committee-size=4", "--allow-two"],
    DEV,
    "expected an odd number from 3, got 4: take 3 or 5",
  ],
  ["committee too large", "server", ["--committee-size=65"], DEV, "from 1 to 64"],
  [
    "admission outside dev",
    "server",
    [],
    { ZIPNET_SECRET: SECRET },
    "--admission (ZIPNET_ADMISSION) is required with preset interactive: expected open or list",
  ],
  [
    "admission that is not built",
    "server",
    ["--admission=jwt"],
    DEV,
    'expected open or list, got "jwt"',
  ],
  [
    "list without file",
    "server",
    ["--admission=list"],
    DEV,
    "name the file of client keys in --clients (ZIPNET_CLIENTS)",
  ],
  [
    "file without list",
    "server",
    ["--clients=f"],
    DEV,
    "--clients (ZIPNET_CLIENTS) needs --admission (ZIPNET_ADMISSION) to be list",
  ],
  [
    "no such list",
    "server",
    list("nowhere"),
    DEV,
    "the file named by --clients (ZIPNET_CLIENTS) cannot be read (NotFound)",
  ],
  ["empty list", "server", list("empty"), DEV, "the file of client keys holds no key"],
  [
    "malformed key",
    "server",
    list("keys-short"),
    DEV,
    "line 1 of the file of client keys: expected an Ed25519 public key of 64 hex digits",
  ],
  ["weak key", "server", list("keys-weak"), DEV, "line 2 of the file of client keys"],
  [
    "key twice",
    "server",
    list("keys-twice"),
    DEV,
    "line 3 of the file of client keys repeats line 1",
  ],
  [
    "ephemeral with a folder",
    "server",
    ["--ephemeral", "--data=x"],
    DEV,
    "--ephemeral keeps no state, yet a data folder was given",
  ],
  [
    "fold after the round",
    "server",
    ["--fold-deadline=3s"],
    DEV,
    "preset dev with these options does not fit together: ZIPNET_FOLD_DEADLINE 3000",
  ],
  [
    "vector below one slot",
    "server",
    ["--max-vector-bytes=64"],
    DEV,
    "ZIPNET_MAX_VECTOR_BYTES is 64",
  ],
]);
