/** Options that are right alone and wrong together. */
import { hex } from "../../src/protocol/bytes.ts";
import { signer } from "../../src/protocol/keys.ts";
import { nodeSeed } from "../../src/protocol/names.ts";
import { DEV, KEY, testRefusals } from "./refusal.ts";

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
    "routers of a DHT that is off",
    "reader",
    ["--dht-bootstrap=10.0.0.1:1"],
    { ZIPNET_INSTANCE: "acme" },
    "--dht-bootstrap (ZIPNET_DHT_BOOTSTRAP) needs --dht (ZIPNET_DHT) to be mainline",
  ],
  [
    "routers without ports",
    "reader",
    ["--dht=mainline", "--dht-bootstrap=10.0.0.1"],
    { ZIPNET_INSTANCE: "acme" },
    "IPv4 addresses or names, each with a port",
  ],
  [
    "a port that there is not",
    "reader",
    ["--dht=mainline", "--dht-bootstrap=a.example:65536"],
    { ZIPNET_INSTANCE: "acme" },
    "IPv4 addresses or names, each with a port",
  ],
  [
    "metrics of a client for all to read",
    "client",
    ["--metrics=0.0.0.0:9464"],
    {},
    "--metrics (ZIPNET_METRICS) of a client: expected a loopback address, got 0.0.0.0",
  ],
  [
    "metrics at a name",
    "server",
    ["--metrics=localhost:9464"],
    DEV,
    "an address and a port, such as 127.0.0.1:9464 or [::1]:9464",
  ],
  ["etcd without its URL", "server", ["--engine=etcd"], DEV, "name the URL of a member in --etcd"],
  [
    "a URL without etcd",
    "server",
    ["--etcd=http://10.0.0.1:2379"],
    DEV,
    "--etcd (ZIPNET_ETCD) needs --engine (ZIPNET_ENGINE) to be etcd",
  ],
  [
    "an upstream that is the node itself",
    "aggregator",
    [`--upstream=${hex(signer(nodeSeed("me")).key)}`],
    { ...DEV, ZIPNET_SECRET: "me" },
    "--upstream (ZIPNET_UPSTREAM) is this aggregator's own key: leave it out",
  ],
  [
    "an upstream that hands over here",
    "aggregator",
    [`--upstream=${KEY}`, `--aggregators=${KEY}`],
    DEV,
    "--upstream (ZIPNET_UPSTREAM) is in --aggregators (ZIPNET_AGGREGATORS) too",
  ],
  [
    "ephemeral with a folder",
    "server",
    ["--ephemeral", "--data=x"],
    DEV,
    "--ephemeral keeps no state, yet a data folder was given",
  ],
  [
    "ephemeral reader with a folder",
    "reader",
    ["--ephemeral", "--data=x"],
    {},
    "--ephemeral keeps no state, yet a data folder was given",
  ],
  [
    "manifest without archive",
    "reader",
    ["--manifest=m"],
    {},
    "--manifest (ZIPNET_MANIFEST) needs --archive (ZIPNET_ARCHIVE): leave it out",
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
