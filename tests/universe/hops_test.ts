import { equal, ok } from "node:assert/strict";
import {
  Hops,
  HOPS_PER_PEER,
  MAX_HOPS,
  MAX_STOPS,
  STRANGER_HOPS,
  STRANGER_STOPS,
} from "../../src/universe/hops.ts";

const opens = (hops: Hops, id: string) => typeof hops.open(id) === "function";
const member = (id: string) => id.startsWith("member");

Deno.test("hops: strangers leave room for members at a relay", () => {
  const hops = new Hops(member);
  let open = 0;
  for (let peer = 0; peer < 30; peer++) {
    for (let n = 0; n < HOPS_PER_PEER; n++) if (opens(hops, `stranger ${peer}`)) open++;
  }
  equal(open, STRANGER_HOPS);
  for (let n = STRANGER_HOPS; n < MAX_HOPS; n++) ok(opens(hops, "member"));
  ok(!opens(hops, "member"), "which is bounded too");
});

Deno.test("hops: one stranger has so many, whatever connections it opens them on", () => {
  const hops = new Hops(member);
  for (let n = 1; n < HOPS_PER_PEER; n++) ok(opens(hops, "one"));
  const end = hops.open("one");
  ok(typeof end === "function" && !opens(hops, "one") && opens(hops, "other"));
  end();
  ok(opens(hops, "one"));
});

Deno.test("hops: strangers leave room for members at each node that is served", () => {
  const hops = new Hops(member), ends: (() => void)[] = [];
  let led = 0;
  for (let peer = 0; peer < 6; peer++) {
    // The streams that nobody is asked for first are those that end first.
    for (let n = 0; n < HOPS_PER_PEER; n++) {
      const end = hops.open(`stranger ${peer}`);
      if (typeof end === "function") ends.push(end);
    }
    for (let n = 0; n < HOPS_PER_PEER; n++) if (hops.leads(`stranger ${peer}`, "x")) led++;
  }
  equal(led, STRANGER_STOPS);
  ok(!hops.leads("stranger 5", "x") && hops.leads("stranger 5", "y"));
  for (let n = STRANGER_STOPS; n < MAX_STOPS; n++) {
    ok(opens(hops, "member") && hops.leads("member", "x"));
  }
  for (const end of ends) end();
  ok(opens(hops, "stranger 5") && hops.leads("stranger 5", "x"), "and what ended is forgotten");
});

Deno.test("hops: who asks again and again holds no more than it has streams", () => {
  const hops = new Hops(member);
  ok(opens(hops, "one") && opens(hops, "two"));
  for (let n = 0; n < 2 * STRANGER_STOPS; n++) ok(hops.leads("one", "x"));
  ok(hops.leads("two", "x") && !hops.leads("nobody", "x"));
});
