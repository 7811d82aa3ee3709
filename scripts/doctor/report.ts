/** What was found: one line a check. */
import { printableText } from "../../src/ops/printable.ts";

/** Collects findings and writes each as it comes. */
export class Report {
  /** Checks that found something wrong, and something to think about. */
  wrong = 0;
  doubtful = 0;
  #good = 0;

  constructor(readonly write: (line: string) => void) {}

  /** All is well. */
  good(check: string, what: string): void {
    this.#good++;
    this.#line("ok", check, what);
  }

  /** Something is wrong. */
  bad(check: string, what: string, mend: string): void {
    this.wrong++;
    this.#line("WRONG", check, `${what}; ${mend}`);
  }

  /** It works, and should be thought about. */
  doubt(check: string, what: string, mend: string): void {
    this.doubtful++;
    this.#line("hm", check, `${what}; ${mend}`);
  }

  /** Could not be looked at. */
  skip(check: string, why: string): void {
    this.#line("-", check, why);
  }

  /** The last line. */
  get summary(): string {
    return `${this.#good} well, ${this.doubtful} doubtful, ${this.wrong} wrong`;
  }

  #line(mark: string, check: string, text: string): void {
    this.write(
      `${mark.padEnd(6)}${check.padEnd(16)}${printableText(text).replaceAll("\\\\", "\\")}`,
    );
  }
}
