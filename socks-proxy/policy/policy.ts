import type { Destination } from "../../client/answers/destination.ts";
import type { Resolution } from "../../client/answers/resolution.ts";
import { type Address, isLoopback, parseAddress } from "../../shared/address.ts";
import type { Endpoint } from "../../shared/dns/endpoints.ts";
import type { Name } from "../../shared/name.ts";
import { type AddressBlock, isInBlock } from "./address-block.ts";
import { formsOf, isGuarded, isOwnMachine, isPrivate, isUnspecifiedAddress } from "./address-ranges.ts";
import { includesName, includesPort, type Rule } from "./policy-rules.ts";

/** Where clients may go. */
export interface Policy {
  /** In their order: the first that matches decides. */
  rules: readonly Rule[];
  /** What becomes of destinations outside the zones that no rule matches. */
  outside: "allow" | "deny";
  /** Addresses the proxy itself hands out for names, beside loopback ones: no answer from elsewhere may lead there. */
  ownBlocks?: readonly AddressBlock[];
}

/** One request, as far as the policy looks at it. */
export interface Asked {
  destination: Destination;
  /** Whether its name lies in one of the zones, whose answers come from the operator's own resolver. */
  inZone: boolean;
  /** Where the client is; undefined when nobody can tell, which counts as elsewhere. */
  client: Address | undefined;
}

/** `reason` names the rule, in words for the log and the client. */
export type Verdict = { kind: "allowed" } | { kind: "denied"; reason: string };

const allowed: Verdict = { kind: "allowed" };

/**
 * What can be said before anything is resolved: `denied` is final; `allowed` is final for an address only, a name's addresses are left to
 * `judgeResolution`. A name is denied here only when no address could change that, so that a denied name is asked of nobody.
 */
export function judge(policy: Policy, asked: Asked): Verdict {
  const { destination, inZone } = asked;
  const address = literalOf(destination);
  if (address !== undefined) return judgeAddress(policy, asked, address, destination.port);
  for (const [index, rule] of policy.rules.entries()) {
    const match = matchBefore(rule, asked);
    if (match === "no") continue;
    // A deny that may or may not match leaves the question to what follows; an allow that may is a reason to go and see.
    if (rule.action === "allow") return allowed;
    if (match === "yes") return deniedBy(rule, index);
  }
  return inZone || policy.outside === "allow" ? allowed : deniedOutside;
}

/**
 * The resolution with only those addresses that may be connected to. When none is left it is `not-allowed`, with the reason for the first.
 * The judgement is on addresses as the kernel will use them, so however a name or an answer disguises one does not matter.
 */
export function judgeResolution(policy: Policy, asked: Asked, resolution: Resolution): Resolution {
  if (resolution.kind !== "endpoints") return resolution;
  let reason: string | undefined;
  // A zone may have become known since it was asked for: what counts is whose answer it is.
  const answered = { ...asked, inZone: resolution.inZone };
  function mayConnect(address: Address, port: number): boolean {
    const verdict = judgeAddress(policy, answered, address, port);
    if (verdict.kind === "denied") reason ??= verdict.reason;
    return verdict.kind === "allowed";
  }
  const endpoints = resolution.endpoints.flatMap((endpoint) => endpointWhere(endpoint, mayConnect));
  if (reason === undefined) return resolution;
  return endpoints.length > 0 ? { ...resolution, endpoints } : { kind: "not-allowed", reason };
}

function endpointWhere(
  endpoint: Endpoint,
  mayConnect: (address: Address, port: number) => boolean,
): Endpoint[] {
  const addresses = endpoint.addresses.filter((address) => mayConnect(address, endpoint.port));
  return addresses.length > 0 ? [{ ...endpoint, addresses }] : [];
}

function judgeAddress(policy: Policy, asked: Asked, address: Address, port: number): Verdict {
  const forms = formsOf(address);
  const index = policy.rules.findIndex((rule) => matches(rule, asked, forms, port));
  const rule = policy.rules[index];
  if (rule?.action === "deny") return deniedBy(rule, index);
  if (rule?.isExplicit) return allowed;
  const guarded = guardReason(policy, asked, forms);
  if (guarded !== undefined) return { kind: "denied", reason: guarded };
  return rule !== undefined || asked.inZone || policy.outside === "allow" ? allowed : deniedOutside;
}

/** What no list has to say, because nobody would think of it before it was used against them (DNS rebinding). */
function guardReason(policy: Policy, asked: Asked, forms: readonly Address[]): string | undefined {
  const { destination, inZone, client } = asked;
  const isOwn = (address: Address) => policy.ownBlocks?.some((block) => isInBlock(address, block)) ?? false;
  if (inZone && forms.some((form) => isUnspecifiedAddress(form) || isOwn(form))) {
    return "the resolver's answer is no address of a container host";
  }
  // Ports are published on loopback so that nobody else gets there, a zone's names notwithstanding.
  if (inZone || namesThisMachine(destination)) {
    const isHere = client !== undefined && isLoopback(client);
    if (isHere || !forms.some((form) => isOwnMachine(form) || isOwn(form))) return undefined;
    return "this machine's own addresses are for clients on this machine only; a rule such as allow loopback lets others";
  }
  if (!forms.some((form) => isGuarded(form) || isOwn(form))) return undefined;
  return "a name outside the zones leads to this machine or its link, as in DNS rebinding; a rule such as allow loopback lets it";
}

/** An address says what it is. So does localhost, which is never asked of a name server (RFC 6761 §6.3); any other name may be anybody's. */
function namesThisMachine(destination: Destination): boolean {
  if (literalOf(destination) !== undefined || destination.kind === "address") return true;
  return /^(?:.*\.)?localhost\.?$/i.test(destination.name);
}

function matchBefore(rule: Rule, asked: Asked): "yes" | "no" | "unknown" {
  switch (rule.target.kind) {
    case "private":
    case "loopback":
    case "block":
      // In a zone the port connected to is in the answer; outside it is the one asked for.
      return asked.inZone || includesPort(rule, asked.destination.port) ? "unknown" : "no";
    default:
      return matches(rule, asked, [], 0) ? "yes" : "no";
  }
}

/** A rule on addresses is about where the connection goes: address and port. One on names is about what was asked for. */
function matches(rule: Rule, asked: Asked, forms: readonly Address[], port: number): boolean {
  const { target, action } = rule;
  const { destination, inZone } = asked;
  switch (target.kind) {
    case "any":
      return includesPort(rule, destination.port);
    case "zone":
      return inZone && includesPort(rule, destination.port);
    case "outside":
      return !inZone && includesPort(rule, destination.port);
    case "name":
    case "names-below":
      return includesPort(rule, destination.port) && includesName(target, nameOf(destination));
    default: {
      const isMeant = (form: Address) =>
        target.kind === "block"
          ? isInBlock(form, target.block)
          : target.kind === "private"
            ? isPrivate(form)
            : isOwnMachine(form);
      // An address in disguise is denied for what it is or for what it hides, and allowed for both only.
      const isMatch = action === "deny" ? forms.some(isMeant) : forms.every(isMeant);
      return isMatch && includesPort(rule, port);
    }
  }
}

/** Programs send addresses as names too, in SOCKS5 as ATYP 3. */
function literalOf(destination: Destination): Address | undefined {
  if (destination.kind === "address") return destination.address;
  return parseAddress(destination.name.replace(/^\[(.*)\]$/, "$1"));
}

/** As rules have names; of one that is no domain name, something that no rule has. */
function nameOf(destination: Destination): Name {
  if (literalOf(destination) !== undefined || destination.kind === "address") return "" as Name;
  return `${destination.name.toLowerCase().replace(/\.+$/, "")}.` as Name;
}

function deniedBy(rule: Rule, index: number): Verdict {
  return { kind: "denied", reason: `denied by rule ${index + 1}, "${rule.text}"` };
}

const deniedOutside: Verdict = {
  kind: "denied",
  reason: "destinations outside the zones are denied (--outside deny)",
};
