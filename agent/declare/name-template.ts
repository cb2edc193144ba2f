import { BerthError } from "../../shared/errors.ts";
import { labelFromText } from "../../shared/name.ts";
import type { ContainerFacts } from "../engine/facts.ts";
import { baseNameOfImage } from "./image-name.ts";
import type { NameTemplate, TemplatePart } from "./input.ts";

export const defaultTemplate = "{service}.{project}|{container}";

const placeholders = ["container", "service", "project", "number", "image", "host", "label.KEY", "env.KEY"];

/**
 * `{service}.{project}|{container}`: alternatives of text and placeholders, relative to the zone. Throws a BerthError `bad-config` that says
 * what would be right.
 */
export function parseNameTemplate(text: string): NameTemplate {
  const alternatives = text.split("|").map((alternative) => partsOf(alternative.trim()));
  return { alternatives };
}

function partsOf(text: string): TemplatePart[] {
  const parts = text.split(/(\{[^{}]*\})/).filter((part) => part !== "");
  if (parts.length === 0)
    throw badTemplate("an alternative is empty; give it a placeholder, or remove its |");
  const found = parts.map(partOf);
  const shape = parts.map((part) => (part.startsWith("{") ? "x" : part)).join("");
  const labels = shape.split(".");
  // A hyphen at an end would be one placeholder's neighbour: `-{number}` alone is no label.
  if (labels.some((label) => labelFromText(label) !== label))
    throw badTemplate(
      `"${text}" gives no name; between dots it needs placeholders, lower-case letters, digits and inner hyphens`,
    );
  return found;
}

function partOf(part: string): TemplatePart {
  if (!part.startsWith("{")) return { text: part };
  const placeholder = part.slice(1, -1);
  if (!placeholders.includes(placeholder) && !/^(label|env)\..+$/.test(placeholder)) {
    const right = placeholders.map((name) => `{${name}}`).join(", ");
    throw badTemplate(`${part} is no placeholder; there are ${right}`);
  }
  if (placeholder.startsWith("env.") && !/^env\.(SERVICE_|VIRTUAL_|DNSDOCK_|HOSTNAMES$)/.test(placeholder)) {
    throw badTemplate(
      `${part} is never read: other variables than SERVICE_*, VIRTUAL_*, DNSDOCK_* and HOSTNAMES may hold secrets; use a label`,
    );
  }
  return { placeholder };
}

function badTemplate(message: string): BerthError {
  return new BerthError("bad-config", message, { who: "--name-template" });
}

export interface TemplateName {
  /** Labels with dots, relative to the zone. */
  text: string;
  /** Compose's service is in it, so that its replicas share the name. */
  isOfService: boolean;
  /** The alternative, as it was written. */
  alternative: string;
}

export type TemplateSubject = Pick<ContainerFacts, "name" | "image" | "labels" | "env" | "compose">;

/**
 * The name of the first alternative whose placeholders all have a value. Each value becomes a label, or a part of one, in the one way engine
 * names do. `fault`: a value that gives no label. Both undefined: no alternative has all its values.
 */
export function nameFromTemplate(
  { alternatives }: NameTemplate,
  subject: TemplateSubject,
  hostLabel: string,
): { found?: TemplateName; fault?: string } {
  for (const parts of alternatives) {
    const values = parts.map((part) =>
      "text" in part ? part.text : placeholderValue(part.placeholder, subject, hostLabel),
    );
    if (values.includes(undefined)) continue;
    const labels = parts.map((part, at) => ("text" in part ? part.text : labelFromText(values[at] ?? "")));
    const bad = labels.indexOf(undefined);
    if (bad >= 0)
      return {
        fault: `"${values[bad]}" gives no DNS label: one has 1 to 63 letters, digits and hyphens; rename it, or set berth.name`,
      };
    const isOfService = parts.some((part) => "placeholder" in part && part.placeholder === "service");
    return { found: { text: labels.join(""), isOfService, alternative: shown(parts) } };
  }
  return {};
}

function shown(parts: readonly TemplatePart[]): string {
  return parts.map((part) => ("text" in part ? part.text : `{${part.placeholder}}`)).join("");
}

function placeholderValue(
  placeholder: string,
  subject: TemplateSubject,
  hostLabel: string,
): string | undefined {
  const { name, image, labels, env, compose } = subject;
  const values: Record<string, string | undefined> = {
    container: name,
    service: compose?.service,
    project: compose?.project,
    number: own(labels, "com.docker.compose.container-number"),
    image: baseNameOfImage(image),
    host: hostLabel,
  };
  const key = placeholder.slice(placeholder.indexOf(".") + 1);
  const value = placeholder.startsWith("label.")
    ? own(labels, key)
    : placeholder.startsWith("env.")
      ? own(env, key)
      : values[placeholder];
  return value === "" ? undefined : value;
}

function own(texts: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(texts, key) ? texts[key] : undefined;
}

/** The labels whose values a template shows in names. */
export function labelsOfTemplate({ alternatives }: NameTemplate): string[] {
  const used = alternatives.flat().flatMap((part) => ("placeholder" in part ? [part.placeholder] : []));
  const labels = used.filter((placeholder) => placeholder.startsWith("label."));
  const number = used.includes("number") ? ["com.docker.compose.container-number"] : [];
  return [...labels.map((placeholder) => placeholder.slice("label.".length)), ...number];
}
