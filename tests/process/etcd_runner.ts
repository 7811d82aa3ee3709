/**
 * Run with all permissions by the tests over a real etcd, which may only start Deno: keeps three
 * members of one etcd on free ports of the loopback. `which` prints its version, or nothing where
 * there is no binary. `run FOLDER` prints the members' URLs once they answer, then takes one command
 * a line: `kill N,…`, `start N,…`, `leader`, and answers each with a line. It ends, with all members,
 * when its standard input does.
 */

/** What members are started with, and what they answer at. */
interface Member {
  readonly name: string;
  readonly client: string;
  readonly peer: string;
  child?: Deno.ChildProcess;
}

/** Longest wait until members answer, in ms, and between two looks. */
const PATIENCE_MS = 30_000, LOOK_MS = 50;
/** Starts with other ports, should somebody have taken one of them. */
const MAX_STARTS = 3;

function freePorts(count: number): number[] {
  const listeners = Array.from(
    { length: count },
    () => Deno.listen({ hostname: "127.0.0.1", port: 0 }),
  );
  const ports = listeners.map(({ addr }) => addr.port);
  for (const listener of listeners) listener.close();
  return ports;
}

function start(member: Member, all: readonly Member[], folder: string): void {
  member.child = new Deno.Command("etcd", {
    args: [
      ...["--name", member.name, "--data-dir", `${folder}/${member.name}`],
      ...["--listen-client-urls", member.client, "--advertise-client-urls", member.client],
      ...["--listen-peer-urls", member.peer, "--initial-advertise-peer-urls", member.peer],
      ...["--initial-cluster", all.map(({ name, peer }) => `${name}=${peer}`).join(",")],
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
}

/** A member's answer to a request, or undefined where there is none. */
async function ask(member: Member, path: string, body: object): Promise<unknown> {
  try {
    const signal = AbortSignal.timeout(1_000);
    const method = "POST";
    const url = `${member.client}/v3/${path}`;
    const answer = await fetch(url, { method, body: JSON.stringify(body), signal });
    return answer.ok ? await answer.json() : void await answer.body?.cancel();
  } catch {
    return undefined;
  }
}

/** Whether all these members answer from a quorum before patience or a member ends. */
async function answering(members: readonly Member[]): Promise<boolean> {
  const end = Date.now() + PATIENCE_MS;
  let ended = false;
  for (const { child } of members) child!.status.then(() => ended = true);
  for (const member of members) {
    while (!await ask(member, "kv/range", { key: btoa("a") })) {
      if (ended || Date.now() > end) return false;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }
  return true;
}

async function kill(member: Member): Promise<void> {
  try {
    member.child?.kill("SIGKILL");
  } catch { /* it has ended */ }
  await member.child?.status;
}

async function begin(folder: string): Promise<Member[]> {
  for (let i = 0; i < MAX_STARTS; i++) {
    const run = `${folder}/${i}`;
    Deno.mkdirSync(run, { recursive: true });
    const ports = freePorts(6);
    const members = [0, 1, 2].map((n): Member => ({
      name: `member-${n}`,
      client: `http://127.0.0.1:${ports[n]}`,
      peer: `http://127.0.0.1:${ports[n + 3]}`,
    }));
    for (const member of members) start(member, members, run);
    if (await answering(members)) return members;
    await Promise.all(members.map(kill));
  }
  throw new Error("etcd does not start");
}

/** The member that leads, by number. */
async function leader(members: readonly Member[]): Promise<number> {
  for (let n = 0;; n = (n + 1) % members.length) {
    const status = await ask(members[n], "maintenance/status", {}) as
      | { leader?: string; header: { member_id: string } }
      | undefined;
    if (status?.leader !== undefined && status.leader === status.header.member_id) return n;
  }
}

async function* lines(): AsyncGenerator<string> {
  let text = "";
  for await (const chunk of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const parts = (text + chunk).split("\n");
    text = parts.pop()!;
    yield* parts;
  }
}

function say(value: unknown): void {
  console.log(JSON.stringify(value));
}

async function run(folder: string): Promise<void> {
  let members: Member[] = [];
  try {
    members = await begin(folder);
    say(members.map(({ client }) => client));
    for await (const line of lines()) {
      const [command, numbers = ""] = line.split(" ");
      const named = numbers.split(",").map((number) => members[Number(number)]);
      if (command === "kill") {
        await Promise.all(named.map(kill));
        say(true);
      } else if (command === "start") {
        const at = [...Deno.readDirSync(folder)].map(({ name }) => name).sort().at(-1);
        for (const member of named) start(member, members, `${folder}/${at}`);
        say(await answering(named));
      } else if (command === "leader") say(await leader(members));
    }
  } finally {
    await Promise.all(members.map(kill));
    Deno.removeSync(folder, { recursive: true });
  }
}

async function which(): Promise<void> {
  try {
    const { stdout } = await new Deno.Command("etcd", { args: ["--version"] }).output();
    console.log(new TextDecoder().decode(stdout).split("\n")[0]);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

if (import.meta.main) {
  if (Deno.args[0] === "which") await which();
  else if (Deno.args[0] === "run") await run(Deno.args[1]);
  else throw new Error(`expected which or run, got ${Deno.args[0]}`);
}
