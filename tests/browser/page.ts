/**
 * The live page in Chromium, while rounds run: `deno task test-browser`. `--` and a folder keeps the
 * pictures there.
 */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { Instance } from "../process/instance.ts";
import { Chromium, missing } from "./chromium.ts";

const skipped = await missing();
const [pictures] = Deno.args;

/** Messages that would do harm where they were taken for anything but text, and what is shown. */
const HOSTILE: [bytes: string | Uint8Array, shown: string][] = [
  ["<script>document.title = 'taken'</script>", "<script>document.title = 'taken'</script>"],
  ["<img src=x onerror=document.title='taken'>", "<img src=x onerror=document.title='taken'>"],
  ["\x1b[2J\x1b]0;taken\x07", "\\x1b[2J\\x1b]0;taken\\x07"],
  ["pay \u202eeve\u202c now", "pay \\u{202e}eve\\u{202c} now"],
  [new Uint8Array([0xff, 0xfe, 0x41]), "\\xff\\xfeA"],
  [`tower ${"a" + "\u0301".repeat(6)}`, `tower ${"a" + "\u0301".repeat(4)}\\u{301}\\u{301}`],
  ["Zażółć gęślą jaźń 🦆", "Zażółć gęślą jaźń 🦆"],
];

/** WCAG's contrast of two colours as the browser gives them. */
function contrast(a: string, b: string): number {
  const light = (colour: string) => {
    const [r, g, blue] = colour.match(/[\d.]+/g)!.slice(0, 3).map((it) => {
      const part = Number(it) / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * blue;
  };
  const [high, low] = [light(a), light(b)].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
}

Deno.test({
  name: `page: rounds and messages in Chromium${skipped ? ` (skipped: ${skipped})` : ""}`,
  ignore: skipped !== undefined,
}, async (t) => {
  await using it = new Instance("page", 3);
  it.page = 0;
  await it.start(4);
  const [reader] = it.readers, address = reader.page!;
  await using browser = await Chromium.start(`${it.site.folder}/chromium`);
  await browser.look(1_280, 900, "light");
  await browser.call("Page.navigate", { url: address });
  await browser.until('document.readyState === "complete" && document.querySelector(".round")');

  await t.step("it shows the instance, and rounds as they come", async () => {
    equal(await browser.value("document.getElementById('instance').textContent"), "dev.testnet");
    match(
      await browser.value("document.getElementById('committee').textContent"),
      /^3 servers, committee [0-9a-f]{16}…/,
    );
    const newest = "Number(document.querySelector('.round:last-child').id.slice(6))";
    const before = await browser.value<number>(newest);
    await browser.until(`${newest} > ${before + 2}`);
    await it.until("the reader has it too", () => reader.records.at(-1)!.round > before + 2);
    const rounds = new Set(reader.records.map(({ round }) => round));
    ok(rounds.has(await browser.value<number>(newest)) || rounds.has(before));
    const facts = await browser.value<string>("document.getElementById('facts').innerText");
    match(facts, /checked: 3 of 3 servers signed/);
    match(facts, /4 of 4 clients/);
    equal(await browser.value("document.getElementById('status').className"), "live");
  });

  await t.step("what would do harm is text, and shown as what it is", async () => {
    for (const [i, [bytes]] of HOSTILE.entries()) {
      const raw = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
      it.clients[i % 4].child.say({ id: `h${i}`, payload: raw.toBase64() });
    }
    const texts = "[...document.querySelectorAll('.messages .text')].map((it) => it.textContent)";
    await browser.until(`${texts}.length === ${HOSTILE.length}`);
    const found = await browser.value<string[]>(texts);
    deepEqual([...found].sort(), HOSTILE.map(([, shown]) => shown).sort());
    equal(
      await browser.value("document.querySelectorAll('.messages script, .messages img').length"),
      0,
    );
    match(await browser.value("document.title"), /dev\.testnet/);
  });

  await t.step("arrows choose a round, and its facts stand below", async () => {
    await browser.value("document.getElementById('pause').click()");
    await browser.value("document.getElementById('rounds').focus()");
    await browser.press("ArrowLeft");
    await browser.press("ArrowLeft");
    const chosen = await browser.value<string>(
      "document.querySelector('.round[aria-selected=true]').id",
    );
    const last = await browser.value<string>("document.querySelector('.round:last-child').id");
    ok(Number(chosen.slice(6)) < Number(last.slice(6)));
    const facts = await browser.value<string>("document.getElementById('facts').innerText");
    ok(facts.includes(chosen.slice(6)), facts);
    equal(
      await browser.value(
        "document.getElementById('rounds').getAttribute('aria-activedescendant')",
      ),
      chosen,
    );
    await browser.press("Escape");
    await browser.value("document.getElementById('pause').click()");
  });

  for (
    const [name, width, height, scheme] of [
      ["wide-light", 1_280, 900, "light"],
      ["wide-dark", 1_280, 900, "dark"],
      ["phone-light", 360, 740, "light"],
      ["phone-dark", 360, 740, "dark"],
    ] as const
  ) {
    await t.step(`${name}: all fits, and can be read`, async () => {
      await browser.look(width, height, scheme);
      await browser.until("document.querySelectorAll('.round').length > 5");
      const beyond = await browser.value<number>(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth",
      );
      equal(beyond, 0, "it scrolls sideways");
      const colours = (selector: string) =>
        browser.value<[string, string]>(
          `[getComputedStyle(document.querySelector('${selector}')).color,
            getComputedStyle(document.body).backgroundColor]`,
        );
      for (const selector of ["body", ".note", "#status", ".facts dt", "header p"]) {
        const [ink, paper] = await colours(selector);
        ok(contrast(ink, paper) >= 4.5, `${selector}: ${ink} on ${paper}`);
      }
      const picture = await browser.picture();
      ok(picture.length > 10_000);
      if (pictures) Deno.writeFileSync(`${pictures}/page-${name}.png`, picture);
    });
  }

  await t.step("a void round is shown, with why, and whose word that is", async () => {
    const last = reader.records.at(-1)!.round;
    // One that does not lead: whoever takes the place of a leader may find no round to give up.
    const index = it.servers.findIndex(({ log }) => !log.includes("opening round"));
    const { child } = it.servers[index];
    // Servers have the places of their keys.
    const place = [...it.keys].sort().indexOf(it.keys[index]);
    child.kill("SIGSTOP");
    const gaveUp = () => it.servers.some(({ log }) => log.includes("round void"));
    await it.until("a round is void", gaveUp);
    child.kill("SIGCONT");
    await it.until("rounds go on", () => reader.records.at(-1)!.round > last + 3);
    const isVoid = "document.querySelector('.round[aria-label*=void]')";
    await browser.until(isVoid);
    match(
      await browser.value(`${isVoid}.getAttribute("aria-label")`),
      new RegExp(`^round \\d+: void, .*server ${place}\\b.* \\(server \\d says so\\)$`),
    );
    await browser.value(`${isVoid}.dispatchEvent(new MouseEvent("click"))`);
    const facts = await browser.value<string>("document.getElementById('facts').innerText");
    match(facts, new RegExp(`void: no record[^]*server ${place}\\b`));
    await browser.value("document.getElementById('rounds').focus()");
    await browser.press("Escape");
  });

  await t.step("a page that was cut off goes on where it was", async () => {
    const before = await browser.value<number>("document.querySelectorAll('.messages li').length");
    const port = new URL(address).port;
    await it.kill(reader, "SIGTERM");
    await browser.until("document.getElementById('status').className === 'lost'");
    const { args } = reader.command;
    const at = args.indexOf("--page");
    await it.up({ ...reader.command, args: args.with(at + 1, `127.0.0.1:${port}`) });
    await browser.until("document.getElementById('status').className === 'live'");
    it.clients[0].child.say({ id: "again", payload: btoa("and on it goes") });
    await browser.until(`document.querySelectorAll('.messages li').length === ${before + 1}`);
  });

  await t.step("the page complained of nothing", () => {
    const complaints = browser.complaints.filter((it) => !/ERR_CONNECTION_REFUSED/.test(it));
    deepEqual(complaints, []);
  });
});
