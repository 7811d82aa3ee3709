/**
 * What may go wrong with containers, and what must hold: the fault bites, messages land before and
 * after it, rounds go on within ten seconds of its end, none that a client was told had landed is
 * missing, and all servers hold one log.
 */
import { Broken, type Stack } from "./stack.ts";

/** Rounds go on within this after a fault is lifted. */
export const AGAIN_MS = 10_000;
/** How long a fault lasts once it bit, and how long it may take to bite. */
const LASTS_MS = 3_000, BITES_MS = 15_000;
/** How long a server may take to start, and a change of the committee. */
const START_MS = 15_000, CHANGE_MS = 30_000;
/** What a wire delays each way, and what it takes until a lost packet is sent again. */
const DELAY_MS = 100, RESEND_MS = 400, LOSS_PERCENT = 5;
/** Rounds that are looked at for how long they took. */
const SLOW = 5;
/** Messages that must land before, after, and while rounds may go on. */
const MESSAGES = 3;

/** One fault. */
export interface Scenario {
  readonly what: string;
  /**
   * Brings it about. A function that it gives says whether it bit; else rounds must stand still, or a
   * server be missed.
   */
  begin(stack: Stack): Promise<unknown>;
  /** Ends it. */
  end(stack: Stack): Promise<unknown>;
  /** Whether rounds go on meanwhile. */
  readonly goesOn?: true;
}

const again = (stack: Stack, service: string) =>
  stack.compose("up", "--detach", "--no-build", "--no-deps", "--no-recreate", service);
const network = (stack: Stack) => `${stack.project}_inside`;
const cut = (stack: Stack, service: string) =>
  stack.docker("network", "disconnect", network(stack), stack.name(service));
const mend = (stack: Stack, service: string, last: number) =>
  connect(stack, stack.name(service), last);

/** Connects a container at an address of the instance's network. */
async function connect(stack: Stack, container: string, last: number): Promise<void> {
  const subnet = (await stack.docker(
    ...["network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", network(stack)],
  )).trim().replace(/\d+\/\d+$/, "");
  await stack.docker(
    "network",
    "connect",
    "--ip",
    subnet + last,
    network(stack),
    container,
  );
}

const SERVERS = ["server-1", "server-2", "server-3"];
const label = (stack: Stack) => `com.docker.compose.project=${stack.project}`;
const behind = (stack: Stack) => `${stack.project}_behind`;
const proxy = (stack: Stack) => `${stack.project}-proxy`;

/** Puts server-3 behind a wire that delays, or loses and sends again: nobody reaches it otherwise. */
async function wire(stack: Stack, delay: number, loss: number, resend: number): Promise<void> {
  await stack.docker(
    "network",
    "create",
    "--internal",
    "--label",
    label(stack),
    behind(stack),
  );
  await cut(stack, "server-3");
  await stack.docker("network", "connect", behind(stack), stack.name("server-3"));
  const [{ NetworkSettings: { Networks: networks } }] = JSON.parse(
    await stack.docker("inspect", stack.name("server-3")),
  );
  const target = `${networks[behind(stack)].IPAddress}:4400`;
  await stack.docker(
    ...["create", "--name", proxy(stack), "--network", behind(stack), "--label", label(stack)],
    ...["zipnet", "run", "-q", "--no-prompt", "--allow-net", "/tmp/proxy.ts"],
    ...["4400", target, `${delay}`, `${loss}`, `${resend}`],
  );
  await stack.docker("cp", "testnet/faults/proxy.ts", `${proxy(stack)}:/tmp/proxy.ts`);
  await connect(stack, proxy(stack), 13);
  await stack.docker("start", proxy(stack));
}

async function unwire(stack: Stack): Promise<void> {
  await stack.docker("rm", "--force", proxy(stack));
  await stack.docker("network", "disconnect", behind(stack), stack.name("server-3"));
  await mend(stack, "server-3", 13);
  await stack.docker("network", "rm", behind(stack));
}

/** Whether the servers' part of the last rounds took `ms`, in each of them or in any. */
async function slow(stack: Stack, ms: number, which: "every" | "some"): Promise<boolean> {
  const { err } = await stack.run("docker", ["logs", "--tail", "80", stack.name("server-1")]);
  const lines = [...err.matchAll(/^.*"event":"round finalized".*$/gm)].slice(-SLOW);
  const took = lines.map(([line]) => {
    const { open, prepare, unblind, finalize } = JSON.parse(line);
    return open + prepare + unblind + finalize;
  });
  return took.length === SLOW && took[which]((it) => it >= ms);
}

/** The members of the committee wish for one server in place of another, and it comes about. */
async function replace(stack: Stack, members: number[], gone: number, come: number): Promise<void> {
  const left = async () =>
    (await stack.told(`server-${gone}`)).err.split('"event":"not in the committee"').length;
  const before = await left();
  const key = async (server: number) => {
    let peer: string | undefined;
    await stack.until(`server-${server} says who it is`, START_MS, async () => {
      const { err } = await stack.told(`server-${server}`);
      peer = /"event":"zipnet up".*?"peer":"([0-9a-f]{64})"/.exec(err)?.[1];
      return peer !== undefined;
    });
    return peer!;
  };
  const wish = ["--remove", await key(gone), "--add", await key(come)];
  for (const member of members) {
    await stack.compose(
      ...["exec", "-T", `server-${member}`, "deno", "run", "-q", "--no-prompt", "--cached-only"],
      ...["-P=committee", "scripts/committee.ts", ...wish],
    );
  }
  await stack.until(
    "the committee changes",
    CHANGE_MS,
    async () => await left() > before,
  );
}

/** The scenarios by name; those that CI runs come first. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  kill: {
    what: "a server is killed, and started again",
    begin: (stack) => stack.docker("kill", stack.name("server-2")),
    end: (stack) => again(stack, "server-2"),
  },
  pause: {
    what: "a server stands still with all its connections open",
    begin: (stack) => stack.docker("pause", stack.name("server-3")),
    end: (stack) => stack.docker("unpause", stack.name("server-3")),
  },
  partition: {
    what: "two of three servers are cut off, each for itself",
    begin: async (stack) => {
      await cut(stack, "server-2");
      await cut(stack, "server-3");
    },
    end: async (stack) => {
      await mend(stack, "server-2", 12);
      await mend(stack, "server-3", 13);
    },
  },
  wiped: {
    what: "a server loses its disk",
    begin: async (stack) => {
      await stack.compose("stop", "server-2");
      const volume = `${stack.project}_data-2:/zipnet/data`;
      const wipe = 'for await (const { name } of Deno.readDir("data")) ' +
        "await Deno.remove(`data/${name}`, { recursive: true })";
      await stack.docker(
        ...["run", "--rm", "--network", "none", "-v", volume, "zipnet", "eval", wipe],
      );
    },
    end: (stack) => again(stack, "server-2"),
  },
  aggregator: {
    what: "the aggregator is lost, and comes back",
    begin: (stack) => stack.docker("kill", stack.name("aggregator")),
    end: (stack) => again(stack, "aggregator"),
  },
  full: {
    what: "a server's disk is full",
    begin: async (stack) => {
      const full = async () =>
        (await stack.told("server-3")).err.split(/No space left|ENOSPC|os error 28/i).length;
      const before = await full(), fill = "cat /dev/zero > data/filler 2>/dev/null; true";
      await stack.docker("exec", stack.name("server-3"), "sh", "-c", fill);
      return async () => await full() > before;
    },
    end: async (stack) => {
      await stack.docker("exec", stack.name("holder"), "rm", "data/filler");
      await stack.docker("restart", "--time", "1", stack.name("server-3"));
    },
  },
  disconnect: {
    what: "one server is cut off",
    begin: (stack) => cut(stack, "server-3"),
    end: (stack) => mend(stack, "server-3", 13),
  },
  leader: {
    what: "whoever leads is killed",
    begin: async (stack) => {
      await stack.docker("kill", stack.name(await leader(stack)));
    },
    end: async (stack) => {
      for (const server of SERVERS) await again(stack, server);
    },
  },
  all: {
    what: "all servers are killed at once",
    begin: async (stack) => {
      await stack.docker("kill", ...SERVERS.map((it) => stack.name(it)));
    },
    end: (stack) =>
      again(stack, "server-1").then(() => again(stack, "server-2"))
        .then(() => again(stack, "server-3")),
  },
  clients: {
    what: "two of five clients vanish without a word",
    begin: async (stack) => {
      const ids = await stack.ids("client"), all = () => participants(stack);
      await stack.until("all clients take part", START_MS, async () => await all() === ids.length);
      await stack.docker("kill", ids[0], ids[1]);
      return async () => await all() === ids.length - 2;
    },
    end: (stack) => stack.compose("up", "--detach", "--no-build", "--no-recreate", "client"),
    goesOn: true,
  },
  delay: {
    what: `a server is ${2 * DELAY_MS} ms away from all others`,
    begin: async (stack) => {
      await wire(stack, DELAY_MS, 0, 0);
      // To open, prepare, unblind and finalize takes a way and back each.
      return () => slow(stack, 4 * DELAY_MS, "every");
    },
    end: unwire,
    goesOn: true,
  },
  loss: {
    what: `of what a server sends and gets, ${LOSS_PERCENT} % is lost, and sent again later`,
    begin: async (stack) => {
      await wire(stack, 1, LOSS_PERCENT, RESEND_MS);
      return () => slow(stack, RESEND_MS, "some");
    },
    end: unwire,
    goesOn: true,
  },
  replaced: {
    what: "a member of the committee is replaced by another server, and takes its place again",
    begin: async (stack) => {
      await stack.compose("up", "--detach", "--no-build", "--no-deps", "server-4");
      await replace(stack, [1, 2, 3], 3, 4);
      // The newcomer finalizes rounds, so the one that left does not.
      return async () => await stack.round("server-4") > 0;
    },
    end: async (stack) => {
      await replace(stack, [1, 2, 4], 4, 3);
      await stack.compose("rm", "--stop", "--force", "server-4");
    },
    goesOn: true,
  },
  upgrade: {
    what: "the servers are replaced by those of another image, one after the other",
    begin: async (stack) => {
      const images = () => Promise.all(SERVERS.map((server) => image(stack, server)));
      const before = await images();
      await release(stack);
      for (const server of SERVERS) {
        await stack.compose(
          ...["up", "--detach", "--wait", "--no-build", "--no-deps", "--force-recreate", server],
        );
      }
      const after = await images();
      // The first that came back missed the others.
      return async () =>
        after.every((it) => !before.includes(it)) &&
        (await stack.told("server-1")).err.includes('"event":"server away"');
    },
    end: async (stack) => {
      await stack.docker("tag", BEFORE, "zipnet");
      await stack.docker("rmi", BEFORE);
    },
    goesOn: true,
  },
};

/** The image before a release, by its tag. */
const BEFORE = "zipnet:before";

/** Another image by the name of the present one, as a new release is. */
async function release(stack: Stack): Promise<void> {
  await stack.docker("tag", "zipnet", BEFORE);
  const id = (await stack.docker("create", "--label", label(stack), "zipnet")).trim();
  await stack.docker("commit", "--change", "LABEL zipnet.release=next", id, "zipnet");
  await stack.docker("rm", id);
}

/** Id of the image that a service's container runs. */
const image = async (stack: Stack, service: string) =>
  (await stack.docker("inspect", "-f", "{{.Image}}", stack.name(service))).trim();

/** Participants of the newest round that a server finalized. */
async function participants(stack: Stack): Promise<number> {
  const { err } = await stack.run("docker", ["logs", "--tail", "80", stack.name("server-1")]);
  const newest = err.split("\n").findLast((line) => line.includes('"event":"round finalized"'));
  return newest === undefined ? 0 : JSON.parse(newest).participants;
}

/** Which server leads now, by what the servers logged last. */
async function leader(stack: Stack): Promise<string> {
  for (const server of SERVERS) {
    const { err } = await stack.told(server);
    const last = [...err.matchAll(/"event":"leader","server":[^,]+,"self":(true|false)/g)].at(-1);
    if (last?.[1] === "true") return server;
  }
  throw new Broken("no server says that it leads");
}

/** What a rehearsal came to. */
export interface Rehearsed {
  readonly name: string;
  /** From the fault's end to the next certified record, ms. */
  readonly againMs: number;
  readonly landedBefore: number;
  readonly landedAfter: number;
}

/** Rehearses one fault on a network that runs; throws `Broken` for what does not hold. */
export async function rehearse(stack: Stack, name: string): Promise<Rehearsed> {
  const scenario = SCENARIOS[name];
  const fresh = async (since: number) => {
    await stack.until(
      `${name}: ${MESSAGES} messages land`,
      60_000,
      async () => (await stack.read()).size >= since + MESSAGES,
    );
    return (await stack.read()).size;
  };
  const landedBefore = await fresh((await stack.read()).size);
  const signs = async () => await stack.events("round void") + await stack.events("server away");
  const before = await signs();
  const told = await scenario.begin(stack);
  const bit = typeof told === "function"
    ? told as () => Promise<boolean>
    : async () => await signs() > before || await still(stack);
  await stack.until(`${name}: the fault bites`, BITES_MS, bit);
  if (!scenario.goesOn) {
    await new Promise((resolve) => setTimeout(resolve, LASTS_MS));
    if (!await still(stack)) throw new Broken(`${name}: rounds went on without a server`);
  }
  if (scenario.goesOn) await fresh((await stack.read()).size);
  await scenario.end(stack);
  const held = await newest(stack);
  const againMs = await stack.until(
    `${name}: rounds go on`,
    AGAIN_MS,
    async () => await newest(stack) > held,
  );
  const landedAfter = await fresh((await stack.read()).size);
  await stack.until(`${name}: the reader has all that landed`, 10_000, async () => {
    const read = await stack.read();
    return (await stack.landed()).every((place) => read.has(place));
  });
  await nobodyConvicted(stack);
  return { name, againMs, landedBefore, landedAfter };
}

/** No server holds a proof that another opened or signed twice. */
async function nobodyConvicted(stack: Stack): Promise<void> {
  const proofs = await stack.events("equivocation");
  if (proofs > 0) throw new Broken(`${proofs} proofs that a server convicted itself`);
}

/** Whether no round is finalized for a second. */
async function still(stack: Stack): Promise<boolean> {
  const before = await newest(stack);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  return await newest(stack) === before;
}

async function newest(stack: Stack): Promise<number> {
  return Math.max(...await Promise.all(SERVERS.map((server) => stack.round(server))));
}

/** All servers hold the same records, each verified as files; how many rounds and messages. */
export async function oneLog(stack: Stack): Promise<{ rounds: number; messages: number }> {
  // Nobody writes while they are read.
  await stack.compose("stop", "client");
  await stack.until("rounds end", 30_000, () => still(stack));
  const all = [];
  for (const server of [1, 2, 3]) all.push(await stack.hashes(server));
  const from = Math.max(...all.map((it) => Math.min(...it.keys())));
  const to = Math.min(...all.map((it) => Math.max(...it.keys())));
  const [first, ...others] = all;
  for (const round of new Set(all.flatMap((it) => [...it.keys()]))) {
    if (round < from || round > to) continue;
    if (others.some((other) => other.get(round) !== first.get(round))) {
      throw new Broken(`servers hold different records of round ${round}`);
    }
  }
  await nobodyConvicted(stack);
  const { messages } = await stack.verify(1);
  for (const server of [2, 3]) await stack.verify(server);
  return { rounds: first.size, messages };
}
