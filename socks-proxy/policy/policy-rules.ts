import { BerthError } from "../../shared/errors.ts";
import { isInZone, type Name, parseName } from "../../shared/name.ts";
import { type AddressBlock, formatBlock, isWithin, parseBlock } from "./address-block.ts";
import { guardedBlocks } from "./address-ranges.ts";

/** One line of the policy: `allow TARGET[:PORTS]` or `deny TARGET[:PORTS]`. */
export interface Rule {
  action: "allow" | "deny";
  target: Target;
  /** Inclusive; undefined for every port. */
  ports: readonly PortRange[] | undefined;
  /** It names what the built-in guard would take away, so that an `allow` of it is meant for just that. */
  isExplicit: boolean;
  /** As it was written, for faults and the log. */
  text: string;
}

export type Target =
  | { kind: "any" | "zone" | "outside" | "private" | "loopback" }
  | { kind: "name" | "names-below"; name: Name }
  | { kind: "block"; block: AddressBlock };

export interface PortRange {
  first: number;
  last: number;
}

const words = ["any", "zone", "outside", "private", "loopback"] as const;
const targetsText =
  "an address, a network such as 10.0.0.0/8, a name, *.name, zone, outside, private, loopback or any";

/**
 * The rules in their order, from the texts of `--rule`. Throws a BerthError `bad-rule` that says which rule, which part of it is wrong,
 * and what would be right.
 */
export function parseRules(texts: readonly string[]): Rule[] {
  return texts.map(parseRule);
}

function parseRule(written: string): Rule {
  const text = written.trim();
  const [verb = "", rest = "", ...more] = text.split(/\s+/);
  const action = verb.toLowerCase();
  if (action !== "allow" && action !== "deny")
    throw badRule(text, `it starts with "${verb}", not with allow or deny`);
  if (rest === "") throw badRule(text, `it does not say what to ${action}: ${targetsText}`);
  if (more.length > 0)
    throw badRule(text, `"${more.join(" ")}" is too much: one target, and its ports after a colon`);
  const { targetText, portsText } = cut(rest, text);
  const target = targetFrom(targetText, text);
  const ports = portsText === undefined ? undefined : portsFrom(portsText, text);
  return { action, target, ports, isExplicit: isExplicit(target), text };
}

/** IPv6 has colons of its own: it stands in brackets, unless a prefix length shows where it ends. */
function cut(rest: string, text: string): { targetText: string; portsText: string | undefined } {
  const bracketed = /^\[([^\]]*)\](\/\d*)?(?::(.*))?$/.exec(rest);
  if (bracketed !== null) {
    const [, inner = "", prefix = "", portsText] = bracketed;
    return { targetText: inner + prefix, portsText };
  }
  const network = /^([^/]*\/[^:]*)(?::(.*))?$/.exec(rest);
  if (network !== null) return { targetText: network[1] ?? "", portsText: network[2] };
  const [targetText = "", portsText, ...more] = rest.split(":");
  // Else ::1:22 would be an address of its own, and not port 22 of ::1.
  if (more.length > 0) throw badRule(text, "an IPv6 address stands in brackets, as in [fd00::1]:22");
  return { targetText, portsText };
}

function targetFrom(targetText: string, text: string): Target {
  const word = words.find((known) => known === targetText.toLowerCase());
  if (word !== undefined) return { kind: word };
  if (
    text.includes("[") ||
    targetText.includes("/") ||
    /^[\d.]+$/.test(targetText) ||
    targetText.includes(":")
  ) {
    return { kind: "block", block: blockFrom(targetText, text) };
  }
  const isBelow = targetText.startsWith("*.");
  try {
    const name = parseName(isBelow ? targetText.slice(2) : targetText);
    return { kind: isBelow ? "names-below" : "name", name };
  } catch (fault) {
    if (!(fault instanceof BerthError)) throw fault;
    throw badRule(text, `"${targetText}" is none of these: ${targetsText}`, fault);
  }
}

function blockFrom(targetText: string, text: string): AddressBlock {
  const block = parseBlock(targetText);
  if (block === undefined)
    throw badRule(text, `"${targetText}" is neither an IP address nor a network, such as 10.0.0.0/8`);
  const [address = ""] = targetText.split("/");
  const whole = parseBlock(address);
  // Whoever writes 10.1.2.3/8 may mean one machine, and would get 16 million.
  if (whole !== undefined && !block.octets.every((octet, index) => octet === whole.octets[index])) {
    throw badRule(text, `${targetText} has bits beyond its prefix; the network is ${formatBlock(block)}`);
  }
  return block;
}

function portsFrom(portsText: string, text: string): PortRange[] | undefined {
  if (portsText === "*") return undefined;
  return portsText.split(",").map((part) => {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim());
    const first = Number(match?.[1]);
    const last = match?.[2] === undefined ? first : Number(match[2]);
    if (first >= 1 && last <= 65_535 && first <= last) return { first, last };
    throw badRule(text, `"${part}" is no port; ports are written 22, or 80,443, or 1000-2000, or *`);
  });
}

/** 0.0.0.0/0 covers loopback and is not about it; so do any and outside. */
function isExplicit(target: Target): boolean {
  switch (target.kind) {
    case "any":
    case "zone":
    case "outside":
      return false;
    case "block":
      return guardedBlocks.some((guarded) => isWithin(target.block, guarded));
    default:
      return true;
  }
}

function badRule(text: string, fault: string, cause?: unknown): BerthError {
  return new BerthError("bad-rule", `rule "${text}": ${fault}`, { who: "--rule", cause });
}

/** What a look-up is judged at: no connection goes to it. It may be made as soon as one port of a name is allowed. */
export const lookupPort = 0;

/** Whether `port` is one of the rule's. */
export function includesPort(rule: Rule, port: number): boolean {
  if (port === lookupPort) return rule.action === "allow" || rule.ports === undefined;
  return rule.ports === undefined || rule.ports.some(({ first, last }) => first <= port && port <= last);
}

/** Whether `name` is what a rule on names means. */
export function includesName(target: Extract<Target, { name: Name }>, name: Name): boolean {
  return name === target.name
    ? target.kind === "name"
    : target.kind === "names-below" && isInZone(name, target.name);
}
