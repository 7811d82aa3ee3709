/** What a module imports: statements, `export … from`, and `import()`, also in types. */
import type { Token } from "./tokens.ts";

/** One import. */
export interface Import {
  /** As written; undefined if it is computed, so that nobody can tell. */
  readonly specifier?: string;
  /**
   * `static` runs with the importing module, `dynamic` when it is called, `type` never: it is gone
   * before the module runs.
   */
  readonly when: "static" | "dynamic" | "type";
}

/** All imports of a module, in order. */
export function imports(code: readonly Token[]): Import[] {
  const found: Import[] = [];
  const text = (i: number) => code[i]?.kind === "string" ? undefined : code[i]?.text;
  for (let i = 0; i < code.length; i++) {
    const word = code[i];
    if (word.kind !== "name" || text(i - 1) === ".") continue;
    if (word.text === "import" && text(i + 1) === "(") {
      const literal = code[i + 2]?.kind === "string" && /^[,)]$/.test(text(i + 3) ?? "");
      found.push({ specifier: literal ? code[i + 2].text : undefined, when: "dynamic" });
    } else if (word.text === "import" && code[i + 1]?.kind === "string") {
      found.push({ specifier: code[i + 1].text, when: "static" });
    } else if (word.text === "import" || word.text === "export") {
      const from = clauseEnd(code, i + 1);
      if (from === undefined) continue;
      const erased = isErased(code.slice(i + 1, from));
      found.push({ specifier: code[from + 1].text, when: erased ? "type" : "static" });
    }
  }
  return found;
}

/** Where the `from "…"` of a clause stands; undefined if this is a declaration. */
function clauseEnd(code: readonly Token[], start: number): number | undefined {
  for (let i = start; i < code.length; i++) {
    const { kind, text } = code[i];
    if (kind === "name" && text === "from" && code[i + 1]?.kind === "string") return i;
    // A clause is made of names, strings, braces, commas and a star.
    if (kind === "other" && !/^[{},*]$/.test(text)) return undefined;
    if (text === "}" && code[i + 1]?.text !== "from") return undefined;
  }
  return undefined;
}

/** Whether a clause names types only: `type {…}`, `type T`, or `{ type A, type B }`. */
function isErased(clause: readonly Token[]): boolean {
  const texts = clause.map((it) => it.text);
  if (texts[0] === "type" && texts.length > 1 && texts[1] !== ",") return true;
  if (texts[0] !== "{" || texts.length === 2) return false;
  const names = texts.slice(1, -1).join(" ").split(",").map((it) => it.trim()).filter(Boolean);
  return names.every((name) => /^type [^ ]/.test(name) && !/^type as /.test(name));
}
