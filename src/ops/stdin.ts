/** Standard input as lines, each of at most `MAX_LINE` characters. */

/** Longest line in characters; base64 of the largest message fits. */
export const MAX_LINE = 2_000_000;

/** The lines of standard input until it ends; a longer one than `MAX_LINE` is an error. */
export async function* lines(
  input: ReadableStream<Uint8Array> = Deno.stdin.readable,
): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of input) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop()!;
    if (rest.length > MAX_LINE) {
      throw new RangeError(`a line of over ${MAX_LINE} characters on standard input`);
    }
    yield* parts;
  }
  if (rest !== "") yield rest;
}
