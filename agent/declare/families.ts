import { BerthError } from "../../shared/errors.ts";
import type { Name } from "../../shared/name.ts";
import type { ContainerFacts } from "../engine/facts.ts";
import type { AskedCheck } from "./asked-check.ts";
import { dnsdock } from "./dnsdock.ts";
import { type Family, families } from "./input.ts";
import { wordsOf } from "./label-values.ts";
import { nginxProxy } from "./nginx-proxy.ts";
import type { PortKey } from "./ports.ts";
import { registrator } from "./registrator.ts";
import { traefik } from "./traefik.ts";

/** The labels and variables of another program that people already have, read as that program reads them. */
export interface NamingFamily {
  family: Family;
  /** For `explain`, which shows no other label's value. */
  readsLabel(key: string): boolean;
  readsVariable(key: string): boolean;
  /** Pure, and never throws: what cannot be had is a note. */
  read(subject: FamilySubject): FamilyReading;
}

export interface FamilySubject {
  container: Pick<ContainerFacts, "name" | "image" | "labels" | "env">;
  /** The container's ports that are declared. */
  ports: readonly PortKey[];
  zone: Name;
}

export interface FamilyReading {
  /** The family's own switch keeps the container out of it, and out of nothing else: in words, else undefined. */
  ignored: string | undefined;
  names: readonly FamilyName[];
  checks: readonly AskedCheck[];
  /** What it says and does not get, and why. */
  notes: readonly string[];
}

export interface FamilyName {
  name: Name;
  /** The container ports it is for; undefined: all. */
  ports: ReadonlySet<number> | undefined;
  /** The container port that stands in for port 80 of this name. */
  http: number | undefined;
}

/** In falling precedence: the first that gives a name wins. */
export const namingFamilies: readonly NamingFamily[] = [registrator, nginxProxy, traefik, dnsdock];

/** `--families registrator,traefik`, `all` or `none`. Throws a BerthError `bad-config` that says what would be right. */
export function parseFamilies(text: string): ReadonlySet<Family> {
  const words = wordsOf(text.toLowerCase());
  if (words.length === 1 && words[0] === "none") return new Set();
  if (words.length === 1 && words[0] === "all") return new Set(families);
  const chosen = families.filter((family) => words.includes(family));
  const unknown = words.find((word) => !families.some((family) => family === word));
  if (unknown === undefined && chosen.length > 0) return new Set(chosen);
  const what = unknown === undefined ? "nothing" : `"${unknown}"`;
  const message = `${what} is no family of labels; give some of ${families.join(", ")}, or all, or none`;
  throw new BerthError("bad-config", message, { who: "--families" });
}
