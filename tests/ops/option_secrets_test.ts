/** Secrets are never flags, are required where an identity must last, and are in no error. */
import { SECRET, testRefusals } from "./refusal.ts";

testRefusals([
  [
    "secret as flag",
    "client",
    [`--secret=${SECRET}`],
    {},
    "--secret is not a flag, since other users of the machine can see flags: use ZIPNET_SECRET or ZIPNET_SECRET_FILE",
  ],
  ["secret as flag, apart", "client", ["--secret", SECRET], {}, "--secret is not a flag"],
  [
    "secret as flag, apart, in two",
    "client",
    [SECRET, "--secret", "--", SECRET],
    {},
    "--secret is not a flag",
  ],
  ["secret as misspelt flag", "client", [`--secrets=${SECRET}`], {}, 'unknown flag "--secrets"'],
  [
    "secret in a misspelt variable",
    "client",
    [],
    { ZIPNET_SECRTE: SECRET },
    "did you mean ZIPNET_SECRET?",
  ],
  [
    "secret in place of its file",
    "client",
    [],
    { ZIPNET_SECRET_FILE: SECRET },
    "the file named by ZIPNET_SECRET_FILE cannot be read (NotFound)",
  ],
  [
    "secret twice",
    "client",
    [],
    { ZIPNET_SECRET: SECRET, ZIPNET_SECRET_FILE: "f" },
    "ZIPNET_SECRET and ZIPNET_SECRET_FILE are both set: leave one of them out",
  ],
  ["empty secret", "client", [], { ZIPNET_SECRET: "" }, "ZIPNET_SECRET is set but empty"],
  [
    "empty secret file",
    "client",
    [],
    { ZIPNET_SECRET_FILE: "empty" },
    "ZIPNET_SECRET_FILE: expected 64 hex digits or any other text, not empty, got nothing",
  ],
  [
    "secret file without permission",
    "client",
    ["--secret-file=closed"],
    {},
    "the file named by --secret-file cannot be read (NotCapable): add --allow-read with that path",
  ],
  [
    "server without secret",
    "server",
    [],
    { ZIPNET_ADMISSION: "open" },
    "ZIPNET_SECRET (or ZIPNET_SECRET_FILE) is required with preset interactive",
  ],
  [
    "aggregator without secret",
    "aggregator",
    [],
    {},
    "ZIPNET_SECRET (or ZIPNET_SECRET_FILE) is required with preset interactive",
  ],
]);
