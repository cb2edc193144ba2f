import { BerthError } from "../../shared/errors.ts";
import { displayName, isInZone, type Name, parseName } from "../../shared/name.ts";
import { nameRefusal } from "../../shared/reserved.ts";
import { type AskedCheck, checkFromLabel } from "./asked-check.ts";
import { type PortAlias, portAliasesFrom, publishFrom, tlsFrom } from "./label-ports.ts";
import { flagFrom, type LabelFault, numberFrom, portFrom, type TakeFault, wordsOf } from "./label-values.ts";
import type { PortKey } from "./ports.ts";
import { txtFrom } from "./txt.ts";

/** What a container's own labels ask of berth. A label that is absent, or wrong, asks for nothing. */
export interface Declaration {
  /** `berth.name`, undefined when the label is absent. Wrong names are left out, so it can be empty. */
  names: Name[] | undefined;
  /** `berth.http`: the container port that stands in for port 80 of its names, or none may. */
  http: number | "off" | undefined;
  /** `berth.ignore`: nothing of the container is declared. */
  ignore: boolean;
  /** `berth.port.*`: more service ports, sorted. */
  aliases: PortAlias[];
  /** `berth.tls`: the ports that speak TLS, as clients or as the container knows them. */
  tls: "all" | readonly number[];
  weight: number;
  priority: number;
  /** `berth.health=ignore`: the container's own HEALTHCHECK says nothing. */
  ignoreHealth: boolean;
  check: AskedCheck | "off" | undefined;
  /** `berth.publish`: whether unpublished ports are relayed, or which. */
  publish: boolean | readonly PortKey[] | undefined;
  /** `berth.network`: where relays and checks dial. */
  network: string | undefined;
  /** `berth.txt.*`, sorted. */
  txt: string[];
}

/** More is no label a person wrote. */
export const mostNames = 64;

const known = [
  "berth.name",
  "berth.http",
  "berth.ignore",
  "berth.tls",
  "berth.weight",
  "berth.priority",
  "berth.health",
  "berth.check",
  "berth.publish",
  "berth.network",
];
const knownPrefixes = ["berth.port.", "berth.txt."];

/** Reads the `berth.*` labels. A wrong one is a fault and asks for nothing; the others stand. */
export function declarationFromLabels(
  labels: Readonly<Record<string, string>>,
  zone: Name,
): { declaration: Declaration; faults: LabelFault[] } {
  const faults: LabelFault[] = [];
  const fault: TakeFault = (message, code = "bad-label") => {
    faults.push({ code, message });
  };
  const own = new Map(
    Object.entries(labels)
      .filter(([label]) => label.startsWith("berth."))
      .toSorted(byKey),
  );
  for (const label of own.keys()) if (!isKnownLabel(label)) fault(unknownLabel(label));
  const declaration: Declaration = {
    names: namesFrom(own.get("berth.name"), zone, fault),
    http: httpFrom(own.get("berth.http"), fault),
    ignore: ignoreFrom(own.get("berth.ignore"), fault),
    aliases: portAliasesFrom(own, fault),
    tls: tlsFrom(own.get("berth.tls"), fault),
    weight: uint16From("berth.weight", own, 1, fault),
    priority: uint16From("berth.priority", own, 0, fault),
    ignoreHealth: healthFrom(own.get("berth.health"), fault),
    check: own.has("berth.check") ? checkFromLabel(own.get("berth.check") ?? "", fault) : undefined,
    publish: publishFrom(own.get("berth.publish"), fault),
    network: networkFrom(own.get("berth.network"), fault),
    txt: txtFrom(own, fault),
  };
  return { declaration, faults };
}

function byKey([left]: [string, string], [right]: [string, string]): number {
  return left < right ? -1 : 1;
}

/** Whether it is a label that berth reads. */
export function isKnownLabel(label: string): boolean {
  return known.includes(label) || knownPrefixes.some((prefix) => label.startsWith(prefix));
}

function unknownLabel(label: string): string {
  return `berth knows no label ${label}; it knows ${known.join(", ")}, berth.port.N and berth.txt.KEY`;
}

function namesFrom(text: string | undefined, zone: Name, fault: TakeFault): Name[] | undefined {
  if (text === undefined) return undefined;
  const all = wordsOf(text);
  const words = all.slice(0, mostNames);
  if (words.length === 0) fault("berth.name is empty; give a name such as web.shop, or remove the label");
  if (words.length < all.length) {
    const message = `berth.name lists ${all.length} names, and a container may have ${mostNames}; those after the first ${mostNames} are left out, so remove the ones it does not need`;
    fault(message, "too-many");
  }
  const names = new Set<Name>();
  for (const word of words) {
    try {
      names.add(declaredName(word, zone));
    } catch (cause) {
      fault(`berth.name=${word}: ${cause instanceof Error ? cause.message : String(cause)}`);
    }
  }
  return [...names].toSorted();
}

/**
 * A name as people declare it: `web.shop` stands below the zone; one that ends with the zone, or with a dot, is meant as it is. Throws a
 * BerthError that says why a container may not have it.
 */
export function declaredName(word: string, zone: Name): Name {
  const plain = parseName(word);
  const name = word.endsWith(".") || isInZone(plain, zone) ? plain : parseName(`${plain}${zone}`);
  if (!isInZone(name, zone)) {
    const message = `it is not in the zone ${displayName(zone)}; give it without its last dot, or as a name of the zone`;
    throw new BerthError("out-of-zone", message);
  }
  const refusal = nameRefusal(name, zone);
  if (refusal !== undefined) throw new BerthError(refusal.code, refusal.message);
  return name;
}

function httpFrom(text: string | undefined, fault: TakeFault): number | "off" | undefined {
  if (text === undefined) return undefined;
  if (text.trim().toLowerCase() === "off") return "off";
  const port = portFrom(text);
  if (port === undefined) fault(`berth.http=${text} is neither a container port (1 to 65535) nor "off"`);
  return port;
}

function ignoreFrom(text: string | undefined, fault: TakeFault): boolean {
  const flag = text === undefined ? false : flagFrom(text);
  if (flag !== undefined) return flag;
  // Whoever wrote the label meant to hide something, so in doubt it stays hidden.
  fault(`berth.ignore=${text} is neither true nor false; the container is left out until it is one of them`);
  return true;
}

function uint16From(
  label: string,
  own: ReadonlyMap<string, string>,
  usual: number,
  fault: TakeFault,
): number {
  const text = own.get(label);
  if (text === undefined) return usual;
  const number = numberFrom(text, 0, 65535);
  if (number === undefined)
    fault(`${label}=${text} is no whole number from 0 to 65535; ${usual} holds until it is one`);
  return number ?? usual;
}

function healthFrom(text: string | undefined, fault: TakeFault): boolean {
  if (text === undefined) return false;
  const isIgnore = text.trim().toLowerCase() === "ignore";
  if (!isIgnore) fault(`berth.health=${text} says nothing; give ignore, or remove the label`);
  return isIgnore;
}

function networkFrom(text: string | undefined, fault: TakeFault): string | undefined {
  const network = text?.trim();
  if (network === "") fault("berth.network is empty; give the name of one of the container's networks");
  return network === "" ? undefined : network;
}
