import { z } from "zod";

import { BerthError } from "./errors.ts";

/** A parsed domain name: lower case, trailing dot, labels of letters, digits, hyphens and underscores. The root is ".". */
export type Name = string & z.BRAND<"Name">;

/** RFC 1035 §2.3.4. A name of 255 octets on the wire has at most 253 characters of text before its trailing dot. */
export const maxLabelLength = 63;
export const maxNameLength = 254;

/** Throws a BerthError `bad-name` that says which label is wrong and what would be right. The trailing dot may be missing. */
export function parseName(text: string): Name {
  const bare = text.endsWith(".") ? text.slice(0, -1) : text;
  if (bare === "") {
    if (text === ".") return "." as Name;
    throw badName(text, "it is empty");
  }
  // ASCII only: toLowerCase would make a k of the Kelvin sign.
  const lower = bare.replace(/[A-Z]+/g, (run) => run.toLowerCase());
  const name = `${lower}.`;
  if (name.length > maxNameLength) throw badName(text, `it is longer than ${maxNameLength - 1} characters`);
  for (const label of lower.split(".")) {
    const fault = labelFault(label.replace(/^_/, ""));
    if (fault !== undefined) throw badName(text, fault);
  }
  return name as Name;
}

export const nameSchema = z.string().transform((text, context) => {
  try {
    return parseName(text);
  } catch (fault) {
    context.addIssue({ code: "custom", message: fault instanceof Error ? fault.message : String(fault) });
    return z.NEVER;
  }
});

/** Says what keeps `label` from being one label of a host name (RFC 1123 §2.1), or undefined when nothing does. */
export function labelFault(label: string): string | undefined {
  if (label === "") return "it has an empty label";
  if (label.length > maxLabelLength) return `label "${label}" is longer than ${maxLabelLength} characters`;
  if (/^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(label)) return undefined;
  return `label "${label}" is not made of letters, digits and inner hyphens`;
}

/**
 * The one way engine names become a label: lower case; every run of other characters than a-z, 0-9 becomes one hyphen; hyphens at
 * the ends go. Undefined when nothing is left or it is too long: cutting would make two names one.
 */
export function labelFromText(text: string): string | undefined {
  const label = text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  return labelFault(label) === undefined ? label : undefined;
}

export function labelsOf(name: Name): string[] {
  return name === "." ? [] : name.slice(0, -1).split(".");
}

/** The name one label up; the root has none. */
export function parentOf(name: Name): Name | undefined {
  if (name === ".") return undefined;
  const rest = name.slice(name.indexOf(".") + 1);
  return (rest === "" ? "." : rest) as Name;
}

/** True for the apex itself and every name below it. */
export function isInZone(name: Name, zone: Name): boolean {
  return name === zone || zone === "." || name.endsWith(`.${zone}`);
}

/** `labels` in front of `name`; the caller vouches for the labels. Throws `bad-name` when the whole grows too long. */
export function nameBelow(labels: string, name: Name): Name {
  const whole = name === "." ? `${labels}.` : `${labels}.${name}`;
  if (whole.length > maxNameLength) throw badName(whole, `it is longer than ${maxNameLength - 1} characters`);
  return whole as Name;
}

/** The name as people write it: no trailing dot. */
export function displayName(name: Name): string {
  return name === "." ? "." : name.slice(0, -1);
}

function badName(text: string, fault: string): BerthError {
  const shown = text.length > 80 ? `${text.slice(0, 77)}...` : text;
  return new BerthError("bad-name", `"${shown}" is not a domain name: ${fault}`);
}
