// The live page: rounds and messages as the reader behind it verified them, over server-sent events.
// Nothing of a message becomes markup: all text goes in as text.

/** Rounds that are drawn, and messages that are listed. */
const MAX_ROUNDS = 120, MAX_MESSAGES = 200;
const SVG = "http://www.w3.org/2000/svg";
/** Height of the drawing, in its own units; a round of the scale's length fills it. */
const HEIGHT = 100;
/** Below it, how much of the roster took part: a gap, and a strip of this height. */
const GAP = 3, STRIP = 6;

const $ = (id) => document.getElementById(id);
const rounds = [];
let selected, paused = false, waiting = [];

function element(name, attributes = {}, text = "") {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

/** What a round is called aloud. */
function spoken({ round, void: isVoid, why, participants, messages, open, close }) {
  if (isVoid) return `round ${round}: void${why ? `, ${why}` : ""}`;
  const took = open === undefined ? "" : `, ${open + close} ms`;
  const said = plural(messages.length, "message");
  return `round ${round}: ${plural(participants, "participant")}, ${said}${took}`;
}

/** The length of a round that fills the picture: a little more than the longest one shown. */
function scale() {
  const longest = Math.max(0, ...rounds.map(({ open = 0, close = 0 }) => open + close));
  return Math.max(100, 1.1 * longest);
}

function drawing(entry, full) {
  const picture = shape("svg", {
    viewBox: `0 0 10 ${HEIGHT + GAP + STRIP}`,
    preserveAspectRatio: "none",
    "aria-hidden": "true",
  });
  if (entry.void) {
    picture.append(shape("rect", { class: "void", x: 1, y: HEIGHT - 30, width: 8, height: 29 }));
    return picture;
  }
  const close = HEIGHT * (entry.close ?? 20) / full, open = HEIGHT * (entry.open ?? 0) / full;
  const top = HEIGHT - close - open;
  picture.append(
    shape("rect", { class: "open", x: 0, y: HEIGHT - open, width: 10, height: open }),
    shape("rect", { class: "close", x: 0, y: top, width: 10, height: close }),
  );
  const strip = { x: 0, y: HEIGHT + GAP, height: STRIP };
  const part = 10 * entry.participants / Math.max(1, entry.roster);
  picture.append(
    shape("rect", { class: "roster", ...strip, width: 10 }),
    shape("rect", { class: "took", ...strip, width: part }),
  );
  const dots = Math.min(5, entry.messages.length);
  for (let i = 0; i < dots; i++) {
    const y = Math.max(-10, top - 5 - 6 * i);
    picture.append(shape("ellipse", { class: "said", cx: 5, cy: y, rx: 3, ry: 2 }));
  }
  return picture;
}

function draw() {
  const full = scale(), list = $("rounds");
  list.replaceChildren(...rounds.map((entry) => {
    const option = element("div", {
      class: "round",
      role: "option",
      id: `round-${entry.round}`,
      "aria-label": spoken(entry),
      "aria-selected": String(entry.round === selected),
    });
    option.append(drawing(entry, full));
    option.addEventListener("click", () => choose(entry.round));
    return option;
  }));
  facts();
}

function choose(round) {
  selected = round;
  draw();
}

/** The chosen round, or the newest. */
function facts() {
  const entry = rounds.find(({ round }) => round === selected) ?? rounds.at(-1);
  if (!entry) return;
  $("rounds").setAttribute("aria-activedescendant", `round-${entry.round}`);
  const rows = entry.void
    ? [
      ["round", entry.round],
      ["outcome", "void: no record, nothing was opened"],
      ["why", entry.why ?? "no server told this reader; their logs say it"],
    ]
    : [
      ["round", entry.round],
      ["at", new Date(entry.time).toLocaleTimeString()],
      ["participants", `${entry.participants} of ${plural(entry.roster, "client")}`],
      ["messages", entry.messages.length],
      [
        "open, to the certificate",
        entry.open === undefined ? "not seen live" : `${entry.open} + ${entry.close} ms`,
      ],
      ["certificate", `checked: ${entry.signatures} of ${entry.servers} servers signed`],
      ["follows the round before", entry.linked ? "yes" : "not known here"],
      ["record", entry.hash],
    ];
  $("facts").replaceChildren(...rows.map(([term, value]) => {
    const row = element("div");
    row.append(element("dt", {}, term), element("dd", {}, String(value)));
    return row;
  }));
}

function list(entry) {
  const messages = $("messages");
  for (const { slot, text } of entry.messages) {
    const item = element("li");
    item.append(
      element("span", { class: "where" }, `${entry.round}/${slot}`),
      element("span", { class: "text" }, text),
    );
    messages.prepend(item);
  }
  while (messages.children.length > MAX_MESSAGES) messages.lastChild.remove();
  $("none").hidden = messages.children.length > 0;
}

function add(entry) {
  const last = rounds.at(-1)?.round;
  if (last !== undefined && entry.round <= last) return;
  const before = Math.min(entry.skipped, MAX_ROUNDS);
  for (let i = before; i > 0; i--) {
    const round = entry.round - i, told = entry.voids.find((it) => it.round === round);
    const why = told && `${told.reason} (server ${told.server} says so)`;
    rounds.push({ round, void: true, why, messages: [] });
  }
  rounds.push(entry);
  rounds.splice(0, Math.max(0, rounds.length - MAX_ROUNDS));
  list(entry);
}

function take(entries) {
  entries.forEach(add);
  draw();
}

function status(text, kind) {
  $("status").textContent = text;
  $("status").className = kind;
}

const source = new EventSource("events");
source.addEventListener("open", () => status("live", "live"));
source.addEventListener("error", () => status("connection lost; trying again", "lost"));
source.addEventListener("instance", (event) => {
  const { instance, servers, committee, attested } = JSON.parse(event.data);
  document.title = `${instance} · zipnet`;
  $("instance").textContent = instance;
  $("committee").textContent =
    `${plural(servers, "server")}, committee ${committee.slice(0, 16)}…, ` +
    attested;
});
let due = false;
source.addEventListener("round", (event) => {
  waiting.push(JSON.parse(event.data));
  if (waiting.length > 2 * MAX_ROUNDS) waiting = waiting.slice(-MAX_ROUNDS);
  if (paused || due) return;
  // Many at once, as at the start, are drawn once.
  due = true;
  requestAnimationFrame(() => {
    due = false;
    if (!paused) take(waiting.splice(0));
  });
});

$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  $("pause").textContent = paused ? "Go on" : "Pause";
  if (!paused) take(waiting.splice(0));
});

$("rounds").addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -MAX_ROUNDS, End: MAX_ROUNDS };
  const step = steps[event.key];
  if (event.key === "Escape") choose(undefined);
  if (step === undefined || rounds.length === 0) return;
  event.preventDefault();
  const at = rounds.findIndex(({ round }) => round === selected);
  const next = (at < 0 ? rounds.length - 1 : at) + step;
  choose(rounds[Math.max(0, Math.min(rounds.length - 1, next))].round);
});
