import type { Binding } from "../../shared/binding.ts";
import type { Name } from "../../shared/name.ts";
import type { ComposeFacts } from "../engine/facts.ts";
import type { RuledName } from "./names.ts";
import type { ServicePort } from "./ports.ts";

/** What one container, or one service of a file, claims, before it is settled against the others' claims. */
export interface Offer {
  /** Its problems are found by this. */
  shown: string;
  /** As others' problems speak of it: `container web`. */
  called: string;
  /** How its problems begin, where several engines have to be told apart. */
  place: string;
  /** Tells it from every other one, also from one of its name. */
  key: string;
  compose: ComposeFacts | undefined;
  names: readonly RuledName[];
  /** A host-own name that somebody else has is nothing anybody has to mend. */
  yieldsHostName: boolean;
  /** How many bindings all its names have together. */
  size: number;
  /** About how many octets those take in a push. */
  octets: number;
  portCount: number;
  /** Made when first asked for: one that is left out for its size never makes them. */
  bindings(): readonly Binding[];
}

/** What bindings are made of: every name at each of its ports. */
export interface OfferParts {
  names: readonly RuledName[];
  ports: readonly ServicePort[];
  /** `berth.http`, which holds for every name. */
  http: number | "off" | undefined;
  bindingOf(port: ServicePort): Omit<Binding, "name" | "rule" | "http">;
}

export function sizeOf({ names, ports }: Pick<OfferParts, "names" | "ports">): number {
  const all = ports.length;
  return names.reduce((sum, name) => sum + (name.ports === undefined ? all : portsOf(name, ports).length), 0);
}

/** What the bindings take in a push, from above: its limit is one of octets, and labels can make few bindings large. */
export function octetsOf({ names, ports, bindingOf }: Omit<OfferParts, "http">): number {
  const encoder = new TextEncoder();
  const bodies = ports.map((port) => encoder.encode(JSON.stringify(bindingOf(port))).length);
  const largest = bodies.reduce((most, octets) => Math.max(most, octets), 0);
  return names.reduce((sum, ruled) => {
    const count = ruled.ports === undefined ? ports.length : portsOf(ruled, ports).length;
    return sum + count * (largest + ruled.name.length + namingOctets);
  }, 0);
}

/** `,"name":"","rule":"container","http":false` */
const namingOctets = 48;

export function bindingsOf({ names, ports, http, bindingOf }: OfferParts): Binding[] {
  const bodies = new Map(ports.map((port) => [port, bindingOf(port)]));
  return names.flatMap((ruled) =>
    portsOf(ruled, ports).map((port) => {
      const body = bodies.get(port) ?? bindingOf(port);
      const binding: Binding = {
        name: ruled.name,
        rule: ruled.rule,
        ...body,
        ...httpOf(port, http ?? ruled.http),
      };
      return binding;
    }),
  );
}

function portsOf({ ports: own }: RuledName, ports: readonly ServicePort[]): readonly ServicePort[] {
  return own === undefined ? ports : ports.filter(({ containerPort }) => own.has(containerPort));
}

function httpOf(port: ServicePort, http: number | "off" | undefined): { http?: boolean } {
  return http === undefined ? {} : { http: port.protocol === "tcp" && port.servicePort === http };
}

/** The bindings of the names an offer kept, in the order they had. */
export function bindingsOfNames(offer: Offer, kept: ReadonlySet<Name> | undefined): readonly Binding[] {
  const all = offer.bindings();
  return kept === undefined ? all : all.filter(({ name }) => kept.has(name));
}
