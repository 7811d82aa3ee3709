/**
 * TypeScript as a stream of tokens: enough to see imports and names without being misled by
 * comments, strings, templates and regular expressions. Whitespace and comments are left out.
 */

/** One token. `text` of a string is its content, as written. */
export interface Token {
  readonly kind: "name" | "string" | "other";
  readonly text: string;
}

/** After these a slash starts a regular expression, not a division. */
const BEFORE_REGEX = new Set(
  [
    "return",
    "typeof",
    "case",
    "in",
    "of",
    "delete",
    "void",
    "throw",
    "new",
    "else",
    "do",
    "await",
    "yield",
  ],
);
const NAME = /[\p{ID_Start}$_#@][\p{ID_Continue}$\u200c\u200d]*/uy;
const NUMBER = /\.?\d[\w.]*/y;
const COMMENT = /\/\/[^\n]*|\/\*[^]*?\*\//y;
const STRING = /"(?:[^"\\\n]|\\[^])*"|'(?:[^'\\\n]|\\[^])*'/y;
const REGEX = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;
const TEXT = /(?:[^`\\$]|\\[^]|\$(?!\{))*/y;

/** The tokens of a module. Throws where a string or a template does not end. */
export function tokens(source: string): Token[] {
  const found: Token[] = [];
  /** Open braces within each open template; empty outside of any. */
  const templates: number[] = [];
  let at = source.startsWith("#!") ? source.indexOf("\n") : 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const text = pattern.exec(source)?.[0];
    if (text !== undefined) at += text.length;
    return text;
  };
  const add = (kind: Token["kind"], text: string) => found.push({ kind, text });
  /** The text of a template up to its end or its next expression. */
  const template = () => {
    const text = take(TEXT)!;
    const whole = source[at] === "`";
    if (!whole && !source.startsWith("${", at)) throw new Error("a template that does not end");
    at += whole ? 1 : 2;
    if (!whole) templates.push(0);
    return { text, whole };
  };
  while (at < source.length) {
    const c = source[at];
    if (/\s/.test(c)) at++;
    else if (c === "/" && take(COMMENT) !== undefined) continue;
    else if (c === '"' || c === "'") {
      const text = take(STRING);
      if (text === undefined) {
        throw new Error(`a string that does not end: ${source.slice(at, at + 40)}`);
      }
      add("string", text.slice(1, -1));
    } else if (c === "`") {
      at++;
      const { text, whole } = template();
      add(whole ? "string" : "other", text);
    } else if (c === "}" && templates.at(-1) === 0) {
      at++;
      templates.pop();
      add("other", template().text);
    } else if (c === "/" && startsRegex(found.at(-1))) add("other", take(REGEX) ?? (at++, c));
    else {
      const name = take(NAME);
      if (name !== undefined) add("name", name);
      else {
        const other = take(NUMBER) ?? (at++, c);
        if (templates.length && other === "{") templates[templates.length - 1]++;
        if (templates.length && other === "}") templates[templates.length - 1]--;
        add("other", other);
      }
    }
  }
  return found;
}

function startsRegex(before: Token | undefined): boolean {
  if (before === undefined) return true;
  if (before.kind === "name") return BEFORE_REGEX.has(before.text);
  return before.kind === "other" && !/[)\]}\w]$/.test(before.text);
}
