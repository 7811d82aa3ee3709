/**
 * Runs `tests.wasm`, a Go test binary for WASI, on the folder that it stands in. Called by
 * `upstream.sh`.
 */
import { WASI } from "node:wasi";

const wasi = new WASI({
  version: "preview1",
  args: ["tests.wasm", "-test.v", ...Deno.args],
  env: { PWD: "/" },
  preopens: { "/": Deno.cwd() },
  returnOnExit: true,
});
const module = await WebAssembly.compile(Deno.readFileSync("tests.wasm"));
const instance = await WebAssembly.instantiate(module, wasi.getImportObject() as never);
Deno.exit(wasi.start(instance));
