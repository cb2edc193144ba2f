import { BerthError } from "../../shared/errors.ts";
import type { ContainerFacts } from "../engine/facts.ts";
import type { DeclareRules, Selector } from "./input.ts";
import { wordsOf } from "./label-values.ts";

/**
 * A list of `label:KEY`, `label:KEY=VALUE` and `network:NAME`, with commas or white space between. Throws a BerthError `bad-config` that
 * says what would be right; `who` is the option the list was given to.
 */
export function parseSelectors(text: string, who = "--only"): Selector[] {
  return wordsOf(text).map((word) => {
    const colon = word.indexOf(":");
    const [kind, rest] = [word.slice(0, Math.max(colon, 0)), word.slice(colon + 1)];
    const equals = rest.indexOf("=");
    const key = equals < 0 ? rest : rest.slice(0, equals);
    if (kind === "label" && key !== "")
      return { kind, key, value: equals < 0 ? undefined : rest.slice(equals + 1) };
    if (kind === "network" && rest !== "") return { kind, name: rest };
    const message = `"${word}" selects nothing; give label:KEY, label:KEY=VALUE or network:NAME`;
    throw new BerthError("bad-config", message, { who });
  });
}

/** Why the operator's selectors leave the container out, or undefined when they do not. `except` wins. */
export function selectedOut(
  container: Pick<ContainerFacts, "labels" | "networks" | "networkMode">,
  { only, except }: Pick<DeclareRules, "only" | "except">,
): string | undefined {
  const unwanted = except.find((selector) => selects(selector, container));
  if (unwanted !== undefined) return `--except ${displaySelector(unwanted)} leaves it out`;
  if (only.length === 0 || only.some((selector) => selects(selector, container))) return undefined;
  return `--only ${only.map(displaySelector).join(",")} leaves it out`;
}

export function displaySelector(selector: Selector): string {
  if (selector.kind === "network") return `network:${selector.name}`;
  return `label:${selector.key}${selector.value === undefined ? "" : `=${selector.value}`}`;
}

function selects(
  selector: Selector,
  { labels, networks, networkMode }: Pick<ContainerFacts, "labels" | "networks" | "networkMode">,
): boolean {
  // "host" and "none" are network modes, and no engine lists them otherwise in the same way.
  if (selector.kind === "network")
    return networkMode === selector.name || networks.some(({ name }) => name === selector.name);
  if (!Object.hasOwn(labels, selector.key)) return false;
  return selector.value === undefined || labels[selector.key] === selector.value;
}
