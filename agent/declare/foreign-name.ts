import { describeFault } from "../../shared/errors.ts";
import {
  displayName,
  isInZone,
  labelFromText,
  labelsOf,
  type Name,
  nameBelow,
  parseName,
} from "../../shared/name.ts";
import { nameRefusal } from "../../shared/reserved.ts";
import { mostNames } from "./labels.ts";

/** A name another program was given, or why it is none of this zone's, in words that follow the name. */
export type ForeignName = { name: Name; note?: undefined } | { name?: undefined; note: string };

/**
 * A full name written for another program. One label is put below the zone; one with dots has to lie in it already: that other program
 * may well serve names that are not berth's, and it is no fault.
 */
function foreignName(text: string, zone: Name): ForeignName {
  if (/[*~]|^\/|^\./.test(text)) return { note: "is a pattern, and a container's name is one name" };
  try {
    const plain = parseName(text);
    const name = labelsOf(plain).length === 1 ? nameBelow(plain.slice(0, -1), zone) : plain;
    if (!isInZone(name, zone)) return { note: `is not in the zone ${displayName(zone)}` };
    return allowed(name, zone);
  } catch (fault) {
    return { note: `is refused: ${describeFault(fault)}` };
  }
}

/** A name relative to the zone, made of an engine's or a person's own words: each part between dots becomes a label. */
export function relativeName(text: string, zone: Name): ForeignName {
  const labels = text.split(".").map(labelFromText);
  if (labels.includes(undefined))
    return { note: "gives no DNS name: each part needs 1 to 63 letters, digits and hyphens" };
  try {
    const plain = parseName(labels.join("."));
    return allowed(isInZone(plain, zone) ? plain : nameBelow(plain.slice(0, -1), zone), zone);
  } catch (fault) {
    return { note: `is refused: ${describeFault(fault)}` };
  }
}

function allowed(name: Name, zone: Name): ForeignName {
  const refusal = nameRefusal(name, zone);
  return refusal === undefined ? { name } : { note: `is refused: ${refusal.message}` };
}

/** The names of a list as `source` gives it, and notes for the others; `source` is what they are shown as. */
export function foreignNames(
  source: string,
  texts: readonly string[],
  zone: Name,
): { names: Name[]; notes: string[] } {
  const notes: string[] = [];
  const names = new Set<Name>();
  for (const text of texts.slice(0, mostNames)) {
    const { name, note } = foreignName(text, zone);
    if (name !== undefined) names.add(name);
    else notes.push(`${source}: ${text} ${note}`);
  }
  if (texts.length > mostNames) notes.push(`${source}: the names after the first ${mostNames} are left out`);
  return { names: [...names], notes };
}
