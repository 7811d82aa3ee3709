/**
 * A stream declared once, for all who produce or consume it: name, codec, bounds, and whom each
 * side wants on the other.
 *
 * `require` and `tickets` at the top hold for both sides. Under `producer` stands what producers
 * must be, which consumers check; under `consumer` what consumers must be, which producers check.
 *
 * ```ts ignore
 * const prices = declareStream({ name: "prices", codec: RAW, consumer: { tickets: [paid] } });
 * const producer = prices.producer(streams);
 * const consumer = prices.consumer(otherStreams);
 * ```
 */
import type { Consumer, ConsumerOptions } from "./consumer.ts";
import type { Codec, Predicate, TicketValidator } from "./options.ts";
import type { Producer, ProducerOptions } from "./producer.ts";
import type { Streams } from "./streams.ts";

/** What one side must be. */
export interface Side {
  readonly require?: readonly Predicate[];
  readonly tickets?: readonly TicketValidator[];
}

type ProducerSettings<T> = Omit<ProducerOptions<T>, keyof Common<T>>;
type ConsumerSettings<T> = Omit<ConsumerOptions<T>, keyof Common<T>>;

interface Common<T> extends Side {
  readonly name: string;
  readonly codec: Codec<T>;
  readonly maxDatum?: number;
}

/** See the module. */
export interface Declaration<T> extends Common<T> {
  readonly producer?: Side & ProducerSettings<T>;
  readonly consumer?: Side & ConsumerSettings<T>;
}

/** How to produce a declared stream. */
export interface DeclaredProducer<T> {
  readonly name: string;
  /** Produces it, or answers the producer that this made before. Throws as `Streams.produce`. */
  producer(streams: Streams, settings?: ProducerSettings<T>): Producer<T>;
}

/** How to consume a declared stream. */
export interface DeclaredConsumer<T> {
  readonly name: string;
  /** Consumes it. Throws as `Streams.consume`. */
  consumer(streams: Streams, settings?: ConsumerSettings<T>): Consumer<T>;
}

/** The producing side alone. */
export function declareProducer<T>(declaration: Declaration<T>): DeclaredProducer<T> {
  const { producer = {}, consumer = {} } = declaration;
  const { require: _, tickets: __, ...own } = producer;
  const made = new WeakMap<Streams, Producer<T>>();
  return {
    name: declaration.name,
    producer(streams, settings) {
      let it = made.get(streams);
      if (it === undefined || it.closed) {
        it = streams.produce({ ...own, ...settings, ...common(declaration, consumer) });
        made.set(streams, it);
      }
      return it;
    },
  };
}

/** The consuming side alone. */
export function declareConsumer<T>(declaration: Declaration<T>): DeclaredConsumer<T> {
  const { producer = {}, consumer = {} } = declaration;
  const { require: _, tickets: __, ...own } = consumer;
  return {
    name: declaration.name,
    consumer: (streams, settings) =>
      streams.consume({ ...own, ...settings, ...common(declaration, producer) }),
  };
}

/** Both sides. */
export function declareStream<T>(
  declaration: Declaration<T>,
): DeclaredProducer<T> & DeclaredConsumer<T> {
  return { ...declareProducer(declaration), ...declareConsumer(declaration) };
}

/** What both sides agree on, and what the other side must be. */
function common<T>({ name, codec, maxDatum, ...both }: Declaration<T>, other: Side): Common<T> {
  return {
    name,
    codec,
    ...(maxDatum !== undefined && { maxDatum }),
    require: [...both.require ?? [], ...other.require ?? []],
    tickets: [...both.tickets ?? [], ...other.tickets ?? []],
  };
}
