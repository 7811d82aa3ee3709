/**
 * The dashboard and the alerts against a Prometheus that scrapes a running instance:
 * `deno task test-observe`. Needs `prometheus` and `promtool`, as Debian's package has them.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { METRICS, PREFIX } from "../../src/ops/metric_table.ts";
import { Instance } from "../process/instance.ts";

const FOLDER = "compose/observe";

async function promtool(...args: string[]): Promise<{ code: number; text: string }> {
  const { code, stdout, stderr } = await new Deno.Command("promtool", { args }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, text: decode(stdout) + decode(stderr) };
}

async function missing(): Promise<string | undefined> {
  for (const program of ["prometheus", "promtool"]) {
    try {
      await new Deno.Command(program, { args: ["--version"] }).output();
    } catch {
      return `no ${program} on PATH; Debian has it as prometheus`;
    }
  }
  return undefined;
}

const skipped = await missing();
const where = skipped ? ` (skipped: ${skipped})` : "";

/** Queries of the dashboard, with the variable as Grafana fills it in for all instances. */
function queries(): string[] {
  const { panels } = JSON.parse(Deno.readTextFileSync(`${FOLDER}/dashboards/zipnet.json`));
  return panels.flatMap(({ targets }: { targets: { expr: string }[] }) =>
    targets.map(({ expr }) => expr.replaceAll("$instance", ".+"))
  );
}

/** Names of metrics of ours in a text. */
const named = (text: string) => [...new Set(text.match(/zipnet_[a-z_]+/g) ?? [])];

Deno.test({
  name: `alerts: the rules hold what they promise${where}`,
  ignore: skipped !== undefined,
}, async () => {
  for (
    const args of [
      ["check", "config", "prometheus.yaml"],
      ["check", "rules", "alerts.yaml"],
      ["test", "rules", "alerts_test.yaml"],
    ]
  ) {
    const { code, text } = await promtool(...args.with(2, `${FOLDER}/${args[2]}`));
    equal(code, 0, text);
  }
  // Each alert is made to fire, and has its line in the page for operators.
  const rules = Deno.readTextFileSync(`${FOLDER}/alerts.yaml`);
  const alerts = [...rules.matchAll(/alert: (\w+)/g)].map(([, name]) => name);
  ok(alerts.length > 10);
  const tests = Deno.readTextFileSync(`${FOLDER}/alerts_test.yaml`);
  const page = Deno.readTextFileSync(`${FOLDER}/README.md`);
  for (const alert of alerts) {
    ok(tests.includes(`alertname="${alert}"`), `${alert} is never made to fire`);
    ok(page.includes(`\`${alert}\``), `${alert}: what to do?`);
  }
});

Deno.test({
  name: `dashboard: every query returns data of a running instance${where}`,
  ignore: skipped !== undefined,
}, async () => {
  const known = new Set(Object.keys(METRICS).map((name) => PREFIX + name));
  const histogram = /_(bucket|sum|count)$/;
  const rules = Deno.readTextFileSync(`${FOLDER}/alerts.yaml`);
  for (const name of named(queries().join("\n") + rules)) {
    ok(known.has(name) || known.has(name.replace(histogram, "")), `${name} is no metric of ours`);
  }

  await using it = new Instance("observe", 3, () => [], undefined, true);
  (it.site.env as Record<string, string>).ZIPNET_METRICS = "127.0.0.1:0";
  await it.start(3);
  const targets = [...it.servers, it.aggregator, it.readers[0]].map(({ command, metrics }) => ({
    node: command.name.replace(" ", "-"),
    address: metrics!,
  }));
  const config = `${it.site.folder}/prometheus.yaml`;
  Deno.writeTextFileSync(
    config,
    [
      "global: { scrape_interval: 1s }",
      "scrape_configs:",
      "  - job_name: zipnet",
      "    honor_labels: true",
      "    static_configs:",
      ...targets.map(({ node, address }) =>
        `      - { targets: ["${address}"], labels: { node: "${node}" } }`
      ),
    ].join("\n"),
  );
  const prometheus = new Deno.Command("prometheus", {
    args: [
      `--config.file=${config}`,
      `--storage.tsdb.path=${it.site.folder}/prometheus`,
      "--web.listen-address=127.0.0.1:0",
    ],
    stdout: "null",
    stderr: "piped",
  }).spawn();
  try {
    let said = "";
    const lines = prometheus.stderr.pipeThrough(new TextDecoderStream()).getReader();
    const listens = /Listening on"? address=(127\.0\.0\.1:\d+)/;
    while (!listens.test(said)) {
      const { value, done } = await lines.read();
      ok(!done, `prometheus ended: ${said}`);
      said += value;
    }
    const base = `http://${listens.exec(said)![1]}/api/v1`;
    void (async () => {
      while (!(await lines.read()).done);
    })();
    // It listens before it answers queries.
    const isReady = async () => {
      const response = await fetch(new URL("/-/ready", base));
      await response.body?.cancel();
      return response.ok;
    };
    while (!await isReady()) {
      const seen = it.readers[0].records.length;
      await it.until("another round", () => it.readers[0].records.length > seen);
    }
    const ask = async (expr: string): Promise<number> => {
      const response = await fetch(`${base}/query?query=${encodeURIComponent(expr)}`);
      const { status, data, error } = await response.json();
      equal(status, "success", `${expr}: ${error}`);
      return data.result.length;
    };
    const until = performance.now() + 60_000;
    const open = new Set([...queries(), ...named(rules)]);
    while (open.size > 0 && performance.now() < until) {
      for (const expr of open) if (await ask(expr) > 0) open.delete(expr);
      const seen = it.readers[0].records.length;
      await it.until("another round", () => it.readers[0].records.length > seen);
    }
    deepEqual([...open], [], "these return nothing");
    equal(await ask('count(up{job="zipnet"} == 1) == 5'), 1);
  } finally {
    prometheus.kill("SIGKILL");
    await prometheus.status;
  }
});
