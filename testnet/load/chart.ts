/**
 * Charts as SVG: panels below each other, each with axes, lines or dots, and marks. Text is text, so
 * that it can be selected; colours follow the reader's light or dark.
 */
import type { Point } from "./figures.ts";

/** Points of one name. */
export interface Series {
  readonly name: string;
  readonly kind: "line" | "dots";
  /** In order of `x`. */
  readonly points: readonly Point[];
}

/** One panel. */
export interface Panel {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly series: readonly Series[];
  /** Places on the x axis, drawn as upright lines, and what they mean. */
  readonly marks?: { readonly name: string; readonly at: readonly number[] };
}

/** Points of a series that are drawn; of more, the highest of each stretch. */
export const MAX_POINTS = 1_000;
/** Marks that are drawn. */
const MAX_MARKS = 500;

const WIDTH = 960, PANEL = 260, HEAD = 56;
const LEFT = 70, RIGHT = 20, TOP = 52, BOTTOM = 44;
const COLOURS = ["a", "b", "c", "d", "e", "f"];

const STYLE = `
svg{--paper:#fff;--ink:#1c1c1e;--soft:#62666d;--grid:#e3e5e8;--mark:#b3261e;
--a:#1f6feb;--b:#b35900;--c:#1a7f37;--d:#8250df;--e:#0a7d8c;--f:#bf3989}
@media(prefers-color-scheme:dark){svg{--paper:#15171a;--ink:#e8eaed;--soft:#a3a8b0;--grid:#33373d;
--mark:#ff7b72;--a:#6cb0ff;--b:#f0a04b;--c:#56d364;--d:#c297ff;--e:#4cc9d9;--f:#ff8fc7}}
text{font:12px system-ui,sans-serif;fill:var(--soft)}
.head{font-size:16px;font-weight:600;fill:var(--ink)}.title{font-weight:600;fill:var(--ink)}
.paper{fill:var(--paper)}.grid{stroke:var(--grid)}.mark{stroke:var(--mark)}.markname{fill:var(--mark)}
.line{fill:none;stroke-width:1.5}
${COLOURS.map((c) => `.l${c}{stroke:var(--${c})}.f${c}{fill:var(--${c})}`).join("")}`;

/** The whole drawing; `head` are lines above the panels, the first one in larger letters. */
export function chart(head: readonly string[], panels: readonly Panel[]): string {
  const above = HEAD + 18 * (head.length - 1), height = above + PANEL * panels.length;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${
      escaped(head.join(". "))
    }">`,
    `<style>${STYLE}</style>`,
    `<rect class="paper" width="${WIDTH}" height="${height}"/>`,
    ...head.map((line, i) => text(LEFT, 32 + 20 * i, line, i === 0 ? "head" : "")),
    ...panels.map((panel, i) =>
      `<g transform="translate(0 ${above + PANEL * i})">${drawn(panel)}</g>`
    ),
    "</svg>",
    "",
  ].join("\n");
}

function drawn({ title, x, y, series, marks }: Panel): string {
  const points = series.flatMap((it) => it.points), at = marks?.at.slice(0, MAX_MARKS) ?? [];
  const places = [...points.map((it) => it.x), ...at];
  const [low, high] = places.length ? [least(places), most(places)] : [0, 1];
  const top = points.length ? most(points.map((it) => it.y)) : 0, step = tick(top || 1);
  const ceiling = Math.max(step, Math.ceil(top / step) * step);
  const toX = (value: number) => LEFT + (value - low) / (high - low || 1) * (WIDTH - LEFT - RIGHT);
  const toY = (value: number) => PANEL - BOTTOM - value / ceiling * (PANEL - TOP - BOTTOM);
  const rows = Array.from({ length: Math.round(ceiling / step) + 1 }, (_, i) => i * step);
  const wide = tick(high - low || 1, 8), from = Math.ceil(low / wide);
  const columns = Array.from(
    { length: Math.floor(high / wide) - from + 1 },
    (_, i) => (from + i) * wide,
  );
  const floor = PANEL - BOTTOM;
  return [
    text(LEFT, 16, title, "title"),
    ...legend(series, marks?.name),
    ...rows.map((value) =>
      `<path class="grid" d="M${LEFT} ${n(toY(value))}H${WIDTH - RIGHT}"/>` +
      text(LEFT - 8, toY(value) + 4, number(value), "", "end")
    ),
    ...columns.map((value) => text(toX(value), floor + 17, number(value), "", "middle")),
    text(WIDTH - RIGHT, floor + 34, x, "", "end"),
    text(LEFT, TOP - 8, y),
    ...at.map((it) => `<path class="mark" d="M${n(toX(it))} ${TOP}V${floor}"/>`),
    ...series.map((it, i) => shape(it, COLOURS[i % COLOURS.length], toX, toY)),
  ].join("\n");
}

function shape(
  { kind, points }: Series,
  colour: string,
  toX: (value: number) => number,
  toY: (value: number) => number,
): string {
  const places = thinned(points).map(({ x, y }) => [n(toX(x)), n(toY(y))]);
  if (places.length === 0) return "";
  if (kind === "line") {
    return `<path class="line l${colour}" d="M${places.map((it) => it.join(" ")).join("L")}"/>`;
  }
  const dots = places.map(([x, y]) => `<circle cx="${x}" cy="${y}" r="2"/>`).join("");
  return `<g class="f${colour}" fill-opacity=".6">${dots}</g>`;
}

/** At most `MAX_POINTS` of them, in order: the highest of each stretch of equal length. */
export function thinned(points: readonly Point[]): readonly Point[] {
  if (points.length <= MAX_POINTS) return points;
  return Array.from({ length: MAX_POINTS }, (_, i) => {
    const [from, to] = [i, i + 1].map((at) => Math.floor(at * points.length / MAX_POINTS));
    return points.slice(from, to).reduce((high, it) => it.y > high.y ? it : high);
  });
}

/** Names at the right above a panel, from right to left; about 7 pixels a letter. */
function legend(series: readonly Series[], mark: string | undefined): string[] {
  let x = WIDTH - RIGHT;
  const put = (name: string, style: string) => {
    const drawn = text(x, 16, name, style, "end");
    x -= 7 * name.length + 18;
    return drawn;
  };
  const names = series.map(({ name }, i) => put(`● ${name}`, `f${COLOURS[i % COLOURS.length]}`));
  return mark === undefined ? names : [...names, put(`| ${mark}`, "markname")];
}

/** A round distance of ticks, so that about `count` of them make `range`. */
function tick(range: number, count = 4): number {
  const rough = range / count, unit = 10 ** Math.floor(Math.log10(rough));
  return unit * [1, 2, 5, 10].find((it) => it * unit >= rough)!;
}

const least = (values: readonly number[]) => values.reduce((a, b) => Math.min(a, b));
const most = (values: readonly number[]) => values.reduce((a, b) => Math.max(a, b));
const n = (value: number) => String(Math.round(10 * value) / 10);
const number = (value: number) => String(Math.round(1e6 * value) / 1e6);

function text(x: number, y: number, content: string, style = "", anchor = "start"): string {
  const named = style === "" ? "" : ` class="${style}"`;
  return `<text x="${n(x)}" y="${n(y)}" text-anchor="${anchor}"${named}>${escaped(content)}</text>`;
}

function escaped(content: string): string {
  return content.replaceAll(/[&<>"]/g, (it) => `&#${it.charCodeAt(0)};`);
}
