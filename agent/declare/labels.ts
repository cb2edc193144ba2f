import { BerthError } from "../../shared/errors.ts";
import { displayName, isInZone, type Name, parseName } from "../../shared/name.ts";
import { nameRefusal } from "../../shared/reserved.ts";

/** What a container's own labels ask of berth. */
export interface Declaration {
  /** `berth.name`, undefined when the label is absent. Wrong names are left out, so it can be empty. */
  names: Name[] | undefined;
  /** `berth.http`: the container port that stands in for port 80 of its names, or none may. */
  http: number | "off" | undefined;
  /** `berth.ignore`: nothing of the container is declared. */
  ignore: boolean;
}

/** One label's fault: what is wrong and what would be right. */
export interface LabelFault {
  code: string;
  message: string;
}

/** More is no label a person wrote. */
const mostNames = 64;

const known = ["berth.name", "berth.http", "berth.ignore"];

/** Reads the `berth.*` labels. A wrong one is a fault and asks for nothing; the others stand. */
export function declarationFromLabels(
  labels: Readonly<Record<string, string>>,
  zone: Name,
): { declaration: Declaration; faults: LabelFault[] } {
  const faults: LabelFault[] = [];
  const fault = (message: string, code = "bad-label"): void => {
    faults.push({ code, message });
  };
  for (const label of Object.keys(labels).toSorted()) {
    if (label.startsWith("berth.") && !known.includes(label))
      fault(`berth knows no label ${label}; it knows ${known.join(", ")}`);
  }
  const declaration = {
    names: namesFrom(labels["berth.name"], zone, fault),
    http: httpFrom(labels["berth.http"], fault),
    ignore: ignoreFrom(labels["berth.ignore"], fault),
  };
  return { declaration, faults };
}

function namesFrom(
  text: string | undefined,
  zone: Name,
  fault: (message: string, code?: string) => void,
): Name[] | undefined {
  if (text === undefined) return undefined;
  const all = [...new Set(text.split(/[\s,]+/).filter((word) => word !== ""))];
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

/** `web.shop` stands below the zone; a name that ends with the zone, or with a dot, is meant as it is. */
function declaredName(word: string, zone: Name): Name {
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

function httpFrom(text: string | undefined, fault: (message: string) => void): number | "off" | undefined {
  if (text === undefined) return undefined;
  const word = text.trim().toLowerCase();
  if (word === "off") return "off";
  const port = /^\d{1,5}$/.test(word) ? Number(word) : 0;
  if (port >= 1 && port <= 65535) return port;
  fault(`berth.http=${text} is neither a container port (1 to 65535) nor "off"`);
  return undefined;
}

function ignoreFrom(text: string | undefined, fault: (message: string) => void): boolean {
  const word = text?.trim().toLowerCase();
  if (word === undefined || ["false", "0", "no"].includes(word)) return false;
  if (!["true", "1", "yes"].includes(word)) {
    // Whoever wrote the label meant to hide something, so in doubt it stays hidden.
    fault(
      `berth.ignore=${text} is neither true nor false; the container is left out until it is one of them`,
    );
  }
  return true;
}
