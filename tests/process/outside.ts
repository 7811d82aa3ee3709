/**
 * Run with all permissions by the process tests, which may only start Deno: looks at and signals
 * processes of a group, as a terminal would. `members GROUP` prints them as JSON,
 * `signal NUMBER SIGNAL` signals a process, or with a negative number a group. Linux only.
 */

/** A process of a group. */
export interface Member {
  readonly pid: number;
  readonly command: string;
}

function members(group: number): Member[] {
  const found: Member[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      // After the name in parentheses: state, parent, group.
      const stat = Deno.readTextFileSync(`/proc/${name}/stat`).split(") ").pop()!.split(" ");
      if (Number(stat[2]) !== group || stat[0] === "Z") continue;
      const command = Deno.readTextFileSync(`/proc/${name}/cmdline`).replaceAll("\0", " ").trim();
      found.push({ pid: Number(name), command });
    } catch (error) {
      // It ended while we looked.
      if (!(error instanceof Deno.errors.NotFound) && !/ESRCH|os error 3\b/.test(String(error))) {
        throw error;
      }
    }
  }
  return found;
}

if (import.meta.main) {
  const [what, number, signal] = Deno.args;
  if (what === "members") console.log(JSON.stringify(members(Number(number))));
  else if (what === "signal") Deno.kill(Number(number), signal as Deno.Signal);
  else throw new Error(`expected members or signal, got ${what}`);
}
