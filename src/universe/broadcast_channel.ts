/**
 * libp2p's peer store opens a `BroadcastChannel` and unrefs it. Deno's has no `unref`, so that a
 * process would never end after `stop`; the one of `node:worker_threads` has. Import this before
 * libp2p.
 */
import { BroadcastChannel } from "node:worker_threads";

Object.assign(globalThis, { BroadcastChannel });
