import type { Address } from "../../../../shared/address.ts";
import type { Binding, Declared } from "../../../../shared/binding.ts";
import { hostsApex } from "../../../../shared/reserved.ts";
import { type Access, bootstrapAccess } from "../../../access.ts";
import { binding, ip, tokenOf, zone } from "../builders.ts";

/** The small world the histories play in: so few hosts, tokens and names that they meet all the time. */

/** Two of them begin alike, so that a label with a part of one is taken when the other asks for its own. */
export const hostIds = ["q".repeat(52), `${"q".repeat(6)}${"b".repeat(46)}`, "c".repeat(52)] as const;
/** What people call a host: one letter. */
export const lettersOfHosts = ["Q", "B", "C"] as const;

export const labels = ["nas", "pi"] as const;

export const tokenNames = ["plain", "twin", "narrow", "small", "tiny", "brief", "bootstrap"] as const;
export type TokenName = (typeof tokenNames)[number];

/** Four owners. `plain` and `twin` stand for the same rights, `bootstrap` is the token file's; the others are bounded, each in one way. */
export function tokensIn(pace: Pace): Record<TokenName, Access> {
  return {
    plain: tokenOf("team-a", {}, "plain"),
    twin: tokenOf("team-a", {}, "twin"),
    narrow: tokenOf("team-b", { names: ["*.shop", "postgres"], hosts: ["nas", hostIds[2]] }, "narrow"),
    small: tokenOf("team-c", { maxBindings: 3 }, "small"),
    tiny: tokenOf("team-c", { maxBindings: 1 }, "tiny"),
    brief: tokenOf("team-c", { maxLease: 10 * pace.second }, "brief"),
    bootstrap: bootstrapAccess("agent"),
  };
}

/** How time is told. A clock that ticks by itself goes wrong by what it ticked, so there everything takes longer. */
export interface Pace {
  /** What leases and short waits are counted in: so many seconds. */
  second: number;
  /** How far the registry's clock may have ticked by itself in one history, in milliseconds: less than one such second. */
  driftMs: number;
  /** The serial does not follow the clock. */
  freeSerial: boolean;
}

/** Names for services, a plain container's, a reserved one, and two of which each is some host's own. */
export const sharedNames = ["web.shop", "db.shop", "api", "postgres", "ns"] as const;
export const ownNames = ["web.nas.host", "web.pi.host"] as const;

/** One binding as a history says it; the host's addresses make it whole. */
export interface Wish {
  name: (typeof sharedNames)[number] | (typeof ownNames)[number];
  rule: Binding["rule"];
  servicePort: 80 | 5432;
  port: number;
  at: "all" | "v4" | "v6";
  health: Binding["health"];
  isTls: boolean;
  txt: "" | "v=1" | "v=2";
}

/** What a host says of itself, as a history has it. */
export interface Saying {
  label: (typeof labels)[number];
  families: "v4" | "both";
  wishes: Wish[];
}

export function declaredBy(host: number, { label, families, wishes }: Saying): Declared {
  const addresses = addressesOf(host, families);
  const bindings = wishes.map((wish) => bindingOf(wish, addresses));
  return { hostLabel: label, addresses, local: false, problems: [], bindings };
}

export function addressesOf(host: number, families: Saying["families"]): Address[] {
  const v4 = ip(`10.0.0.${host + 5}`);
  return families === "v4" ? [v4] : [v4, ip(`2001:db8::${host + 5}`)];
}

export function bindingOf(wish: Wish, own: Address[]): Binding {
  const { name, rule, servicePort, port, at, health, isTls, txt } = wish;
  const [v4 = ip("10.0.0.1"), v6 = v4] = own;
  const addresses = { all: own, v4: [v4], v6: [v6] }[at];
  // Ports above 32768 are the engine's choice.
  const fields = { rule, servicePort, port, fixed: port < 32768, health, at: addresses };
  return binding(name, {
    ...fields,
    ...(isTls ? { tls: true } : {}),
    ...(txt === "" ? {} : { txt: [txt, "a=b"] }),
  });
}

/** A name as it stands below the zone, in the model and in messages; "" is the zone itself. */
export function relative(name: string): string {
  return name === zone ? "" : name.slice(0, -zone.length - 1);
}

/** `web.nas.host` for a host that has another label than it says. */
export function grantedName({ name, rule }: Binding, declaredLabel: string, label: string): string {
  const [container, ...rest] = name.split(".");
  const isOwn = rule === "host" && rest.join(".") === `${declaredLabel}.${hostsApex(zone)}`;
  return isOwn ? `${container}.${label}.host` : relative(name);
}

export function describeSaying({ label, families, wishes }: Saying): string {
  const shown = wishes.map(({ name, rule, servicePort, port, at, health, isTls, txt }) => {
    const where = [rule, `${servicePort}->${port}`, at === "all" ? "" : at];
    const facts = [...where, health === "none" ? "" : health, isTls ? "tls" : "", txt];
    return `${name} (${facts.filter((fact) => fact !== "").join(" ")})`;
  });
  return `as ${label}${families === "both" ? " with IPv6" : ""}: ${shown.join(", ") || "nothing"}`;
}
