/**
 * A wire with a fault: accepts TCP on a port and carries each connection to another address, every
 * piece of it late, and now and then one as late as a lost packet that is sent again. Runs in a
 * container of its own, where the kernel has no netem.
 *
 * ```text
 * deno run proxy.ts PORT HOST:PORT DELAY_MS LOSS_PERCENT RESEND_MS
 * ```
 */
const [port, target, delay, loss, resend] = Deno.args;
const [hostname, targetPort] = target.split(":");

/** When a piece that came now goes on, in ms from now. */
function late(): number {
  return Number(delay) + (Math.random() * 100 < Number(loss) ? Number(resend) : 0);
}

/** Ends a connection, be it ended already. */
function end(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch { /* it is closed */ }
}

/** Pieces go on in the order in which they came, none before its time; many are on the way at once. */
async function carry(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
  let sent = Promise.resolve();
  for await (const piece of from.readable) {
    const due = new Promise((resolve) => setTimeout(resolve, late()));
    sent = sent.then(async () => {
      await due;
      for (let at = 0; at < piece.length;) at += await to.write(piece.subarray(at));
    });
    sent.catch(() => end(from));
  }
  await sent;
}

for await (const from of Deno.listen({ hostname: "0.0.0.0", port: Number(port) })) {
  Deno.connect({ hostname, port: Number(targetPort) }).then(async (to) => {
    await Promise.race([carry(from, to), carry(to, from)].map((way) => way.catch(() => {})));
    end(from);
    end(to);
  }, () => end(from));
}
