/**
 * Stands in for `jsr:@std/cli` where JSR cannot be reached: `links` in deno.json maps the declared
 * import here. Only argument parsing is offered; delete that line and the genuine package serves.
 *
 * @module
 */
export * from "./parse_args.ts";
