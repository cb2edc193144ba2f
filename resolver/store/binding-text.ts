import type { Address } from "../../shared/address.ts";
import type { Binding } from "../../shared/binding.ts";
import type { Name } from "../../shared/name.ts";

/** A binding as a row keeps it: no keys and no name, which the row has already. That halves the file. */
type Packed = [
  Binding["rule"],
  Binding["protocol"],
  servicePort: number,
  addresses: Address[],
  port: number,
  fixed: 0 | 1,
  container: string,
  instance: string,
  Binding["health"],
  priority: number,
  weight: number,
  // What most bindings do not say; rows from before there was a field end before it.
  http?: boolean | null,
  tls?: boolean,
  txt?: string[],
];

/** The bindings of one claim as one text. */
export function packBindings(bindings: Binding[]): string {
  return JSON.stringify(bindings.map(pack));
}

/** Reverses packBindings; `name` is the claim's. */
export function unpackBindings(text: string, name: Name): Binding[] {
  return (JSON.parse(text) as Packed[]).map((packed) => unpack(packed, name));
}

function pack(binding: Binding): Packed {
  const { name: _, rule, protocol, servicePort, addresses, port, fixed, ...said } = binding;
  const { container, instance, health, priority, weight, http, tls, txt, ...rest } = said;
  // A field that is added to bindings has to find its place here.
  rest satisfies Record<string, never>;
  const place = [rule, protocol, servicePort, addresses, port, fixed ? 1 : 0] as const;
  const packed = [...place, container, instance, health, priority, weight] as const;
  if (txt !== undefined) return [...packed, http ?? null, tls ?? false, txt];
  if (tls !== undefined) return [...packed, http ?? null, tls];
  return http === undefined ? [...packed] : [...packed, http];
}

function unpack(packed: Packed, name: Name): Binding {
  const [rule, protocol, servicePort, addresses, port, fixed, container, instance, ...more] = packed;
  const [health, priority, weight, http, tls, txt] = more;
  const said = {
    container,
    instance,
    health,
    priority,
    weight,
    ...(typeof http === "boolean" ? { http } : {}),
    ...(tls === true ? { tls } : {}),
    ...(txt === undefined ? {} : { txt }),
  };
  return { name, rule, protocol, servicePort, addresses, port, fixed: fixed === 1, ...said };
}
