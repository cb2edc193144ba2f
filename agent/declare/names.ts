import type { NameRule } from "../../shared/binding.ts";
import { describeFault } from "../../shared/errors.ts";
import { displayName, labelFromText, type Name, nameBelow, parseName } from "../../shared/name.ts";
import { nameRefusal } from "../../shared/reserved.ts";
import type { ContainerFacts } from "../engine/facts.ts";
import type { AskedCheck } from "./asked-check.ts";
import { type FamilyName, type FamilyReading, namingFamilies } from "./families.ts";
import type { DeclareRules, Family } from "./input.ts";
import { nameFromTemplate } from "./name-template.ts";
import type { PortKey, ServicePort } from "./ports.ts";

export interface RuledName extends FamilyName {
  rule: NameRule;
}

/** The names of one container, and how it came by them. */
export interface Naming {
  names: RuledName[];
  /** Which of them cannot be had, and why. */
  faults: string[];
  /** What gave the names: `berth.name`, a family, or an alternative of the template; undefined when nothing did. */
  gaveNames: string | undefined;
  /** What the families said, in the order of their precedence; those that are off are not among them. */
  readings: { family: Family; reading: FamilyReading }[];
}

/**
 * The names of one container: those `berth.name` declares, else those of the first family that gives one, else what the template makes of
 * it; and always `<container>.<host>.host.<zone>`.
 */
export function namesOfContainer(
  container: ContainerFacts,
  declared: readonly Name[] | undefined,
  ports: readonly ServicePort[],
  rules: DeclareRules,
): Naming {
  const readings = readingsOf(container, ports, rules).map(({ family, reading }) => ({
    family,
    reading: withRealHttp(reading, ports),
  }));
  const host = hostName(container, rules);
  const given = givenNames(container, declared, readings, rules);
  const faults = [...given.faults, ...host.faults];
  return { ...given, names: [...given.names, ...host.names], faults: [...new Set(faults)], readings };
}

/** What the families that are on make of the container. */
export function readingsOf(
  container: ContainerFacts,
  ports: readonly PortKey[],
  { families, zone }: Pick<DeclareRules, "families" | "zone">,
): Naming["readings"] {
  const on = namingFamilies.filter(({ family }) => families.has(family));
  return on.map(({ family, read }) => ({ family, reading: read({ container, ports, zone }) }));
}

/** A port that is not there would keep any other from standing in for 80. */
function withRealHttp(reading: FamilyReading, ports: readonly ServicePort[]): FamilyReading {
  const there = new Set(ports.flatMap((port) => (port.protocol === "tcp" ? [port.servicePort] : [])));
  const missing = new Set(
    reading.names.flatMap(({ http }) => (http === undefined || there.has(http) ? [] : [http])),
  );
  if (missing.size === 0) return reading;
  const names = reading.names.map((name) =>
    missing.has(name.http ?? 0) ? { ...name, http: undefined } : name,
  );
  const notes = [...missing].map((http) => `port ${http} is to answer on 80, and is not published`);
  return { ...reading, names, notes: [...reading.notes, ...notes] };
}

/** The checks that families ask for. */
export function familyChecks({ readings }: Pick<Naming, "readings">): AskedCheck[] {
  return readings.flatMap(({ reading }) => reading.checks);
}

type Given = Pick<Naming, "names" | "faults" | "gaveNames">;

function givenNames(
  container: ContainerFacts,
  declared: readonly Name[] | undefined,
  readings: Naming["readings"],
  rules: DeclareRules,
): Given {
  if (declared !== undefined) {
    const names = declared.map((name): RuledName => ({ name, rule: "label", ...everywhere }));
    return { names, faults: [], gaveNames: "berth.name" };
  }
  const first = readings.find(({ reading }) => reading.names.length > 0);
  if (first === undefined) return templateName(container, rules);
  const names = first.reading.names.map((name): RuledName => ({ ...name, rule: "label" }));
  return { names, faults: [], gaveNames: first.family };
}

const everywhere = { ports: undefined, http: undefined };

function templateName(container: ContainerFacts, { template, hostLabel, zone }: DeclareRules): Given {
  const { found, fault } = nameFromTemplate(template, container, hostLabel);
  if (found === undefined)
    return { names: [], faults: fault === undefined ? [] : [fault], gaveNames: undefined };
  const { text, isOfService, alternative } = found;
  try {
    const name = nameBelow(parseName(text).slice(0, -1), zone);
    const refusal = nameRefusal(name, zone)?.message;
    if (refusal === undefined) {
      const rule = isOfService ? "compose" : "container";
      return { names: [{ name, rule, ...everywhere }], faults: [], gaveNames: alternative };
    }
    const refused = `${displayName(name)}: ${refusal}; rename it, or set berth.name`;
    return { names: [], faults: [refused], gaveNames: undefined };
  } catch (cause) {
    return { names: [], faults: [describeFault(cause)], gaveNames: undefined };
  }
}

function hostName(
  { name }: ContainerFacts,
  { hostLabel, zone }: DeclareRules,
): Pick<Naming, "names" | "faults"> {
  const label = labelFromText(name);
  if (label === undefined) {
    const fault = `"${name}" gives no DNS label: one has 1 to 63 letters, digits and hyphens; rename it, or set berth.name`;
    return { names: [], faults: [fault] };
  }
  try {
    return { names: [hostOwnName(label, { hostLabel, zone })], faults: [] };
  } catch (cause) {
    return { names: [], faults: [describeFault(cause)] };
  }
}

/** `<label>.<host>.host.<zone>`. Throws a BerthError `bad-name` when it grows too long. */
export function hostOwnName(
  label: string,
  { hostLabel, zone }: Pick<DeclareRules, "hostLabel" | "zone">,
): RuledName {
  return { name: nameBelow(`${label}.${hostLabel}.host`, zone), rule: "host", ...everywhere };
}
