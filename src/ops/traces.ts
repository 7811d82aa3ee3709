/**
 * Traces of rounds, for OpenTelemetry: a span for each round and each of its phases at a server, and
 * one for the aggregate at an aggregator. What belongs to one round has one trace id everywhere,
 * the first half of the instance id and the round's number, so nobody has to hand it on. Deno exports them where
 * `OTEL_DENO=true` is in the environment; elsewhere all of this does nothing. A client makes none.
 */
import {
  type Context,
  context,
  ROOT_CONTEXT,
  SpanKind,
  trace,
  TraceFlags,
} from "@opentelemetry/api";
import { hex } from "../protocol/bytes.ts";
import type { Clock, Observe } from "../universe/environment.ts";
import type { Role } from "../universe/network.ts";

/** Phases of a round, in their order. */
const PHASES = ["open", "fold", "prepare", "unblind", "finalize"] as const;

/** What feeds the tracer with every observation; undefined for roles that are not traced. */
export function traces(role: Role, instance: Uint8Array, clock: Clock): Observe | undefined {
  if (role !== "server" && role !== "aggregator") return undefined;
  const tracer = trace.getTracer("zipnet");
  /** The round's trace, as if somebody else had begun it. */
  const parent = (round: number): Context => {
    const spanId = round.toString(16).padStart(16, "0");
    return trace.setSpanContext(ROOT_CONTEXT, {
      traceId: hex(instance.subarray(0, 8)) + spanId,
      spanId,
      traceFlags: TraceFlags.SAMPLED,
      isRemote: true,
    });
  };
  const span = (name: string, from: number, to: number, at: Context, round: number) => {
    const made = tracer.startSpan(name, {
      kind: SpanKind.INTERNAL,
      startTime: from,
      attributes: { "zipnet.role": role, "zipnet.round": round },
    }, at);
    made.end(to);
    return trace.setSpan(context.active(), made);
  };
  return (_level, event, fields = {}) => {
    const { round } = fields, now = clock.wall();
    if (typeof round !== "number") return;
    if (event === "aggregate sent") span("aggregate", now, now, parent(round), round);
    if (event === "round void") span("round void", now, now, parent(round), round);
    if (event !== "round finalized") return;
    const times = PHASES.map((phase) => Number(fields[phase] ?? 0));
    const start = now - times.reduce((sum, ms) => sum + ms, 0);
    const whole = span("round", start, now, parent(round), round);
    let at = start;
    PHASES.forEach((phase, i) => span(phase, at, at += times[i], whole, round));
  };
}
