/** The client registry as a map with an index for each key: who stands where, and when a place is free. */
import { deepEqual, equal } from "node:assert/strict";
import { Registry } from "../../src/committee/registry.ts";
import { hex } from "../../src/protocol/bytes.ts";
import { agreement, signer } from "../../src/protocol/keys.ts";
import { createRegistration, type Registration } from "../../src/protocol/registration.ts";
import { Random } from "../protocol/random.ts";

const random = new Random(91), instance = random.bytes(32), MAX = 5;
const clients = Array.from({ length: MAX + 2 }, () => signer(random.bytes(32)));
/** A registration of a client; a session is with one agreement key. */
const of = (client: number, session = 1): Registration =>
  createRegistration("register", clients[client], {
    ...{ instance, session, agreement: agreement(random.bytes(32)).key },
  });
const leaving = (client: number, session: number) =>
  createRegistration("leave", clients[client], {
    ...{ instance, session, agreement: agreement(random.bytes(32)).key },
  });

function seated(...who: number[]): Registry {
  const registry = new Registry(MAX);
  for (const client of who) equal(registry.register(of(client)), true);
  return registry;
}

/** Places in order, each by the number of its client. */
const places = ({ roster }: Registry) =>
  Array.from({ length: roster.size }, (_, index) => {
    const entry = roster.at(index);
    return entry && clients.findIndex(({ key }) => hex(key) === hex(entry.client));
  });

/** Everything that it knows, in another one. */
function copy(registry: Registry): Registry {
  const other = new Registry(MAX);
  other.places(registry.roster.size, registry.freeing);
  for (const command of registry.commands()) {
    if (command.kind === "seat") equal(other.seat(command.index, command.registration), true);
    if (command.kind === "gone") equal(other.gone(command.client, command.session), true);
  }
  return other;
}

Deno.test("registry: insert_overwrite, a newer session takes the same place, an older or equal one none", () => {
  const registry = seated(0, 1), root = hex(registry.roster.root), newer = of(0, 2);
  for (const session of [0, 1]) equal(registry.register(of(0, session)), false);
  equal(hex(registry.roster.root), root);
  equal(registry.register(newer), true);
  deepEqual(places(registry), [0, 1]);
  deepEqual(registry.roster.at(0)!.agreement, newer.agreement);
  equal(registry.session(clients[0].key), 2);
});

Deno.test("registry: insert_duplicate, one agreement key stands once, whoever brings it", () => {
  const registry = seated(0), { agreement: taken } = registry.roster.at(0)!;
  const copied = createRegistration("register", clients[1], {
    ...{ instance, session: 1, agreement: taken },
  });
  equal(registry.register(copied), false);
  equal(registry.size, 1);
  // Its owner may go on with another one, and then it is free.
  equal(registry.register(of(0, 2)), true);
  equal(registry.register(copied), true);
});

Deno.test("registry: remove_nonexistent, nothing leaves that is not there", () => {
  const registry = seated(0, 1), root = hex(registry.roster.root);
  equal(registry.leave(leaving(2, 9)), false);
  equal(registry.leave(leaving(0, 0)), false, "of an earlier session");
  equal(registry.remove(clients[2].key), false);
  equal(registry.expire(2, clients[2].key), false);
  equal(registry.expire(0, clients[1].key), false, "another client stands there");
  equal(hex(registry.roster.root), root);
});

Deno.test("registry: remove_many, remove_all_entries, a place is free after the header that shows it empty", () => {
  const registry = seated(0, 1, 2, 3);
  equal(registry.leave(leaving(1, 1)), true);
  equal(registry.expire(3, clients[3].key), true);
  deepEqual(places(registry), [0, undefined, 2, undefined]);
  deepEqual(registry.freeing, [1, 3]);
  equal(registry.register(of(4)), true);
  deepEqual(places(registry), [0, undefined, 2, undefined, 4]);
  registry.headed();
  equal(registry.register(of(5)), true);
  deepEqual(places(registry), [0, 5, 2, undefined, 4]);
  equal(registry.register(of(3, 1)), false, "the session that it left");
  equal(registry.register(of(3, 2)), true);
  for (const client of [0, 2, 3, 4, 5]) equal(registry.remove(clients[client].key), true);
  equal(registry.size, 0);
  deepEqual(places(registry), [undefined, undefined, undefined, undefined, undefined]);
});

Deno.test("registry: a full registry refuses the newcomer, and evicts nobody", () => {
  const registry = seated(0, 1, 2, 3, 4), root = hex(registry.roster.root);
  equal(registry.register(of(5)), false);
  equal(hex(registry.roster.root), root);
  equal(registry.register(of(4, 2)), true, "who stands there may renew");
  equal(registry.remove(clients[2].key), true);
  equal(registry.register(of(5)), false, "no header showed it empty yet");
  registry.headed();
  equal(registry.register(of(5)), true);
  deepEqual(places(registry), [0, 1, 5, 3, 4]);
});

Deno.test("registry: catchup, a snapshot restores places, what is being freed, and who left", () => {
  const registry = seated(0, 1, 2);
  registry.remove(clients[1].key);
  registry.headed();
  registry.remove(clients[2].key);
  const other = copy(registry);
  equal(hex(other.roster.root), hex(registry.roster.root));
  deepEqual(other.freeing, registry.freeing);
  for (const it of [registry, other]) {
    equal(it.register(of(2)), false, "the session that it left");
    equal(it.register(of(3)), true);
    deepEqual(places(it), [0, 3, undefined]);
  }
  equal(copy(copy(registry)).size, registry.size);
});

Deno.test("registry: those who left are remembered up to a bound, the oldest forgotten first", () => {
  const registry = new Registry(2);
  for (const client of [0, 1, 2]) {
    equal(registry.register(of(client)), true);
    equal(registry.remove(clients[client].key), true);
    registry.headed();
  }
  equal(registry.register(of(2)), false);
  equal(registry.register(of(0)), true, "its session is forgotten");
});
