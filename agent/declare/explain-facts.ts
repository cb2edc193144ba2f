import { formatEndpoint } from "../../shared/address.ts";
import type { ContainerFacts, PublishedPort } from "../engine/facts.ts";
import { idleWords } from "./examine.ts";
import { namingFamilies } from "./families.ts";
import type { DeclareRules, PlacedContainer } from "./input.ts";
import { isKnownLabel } from "./labels.ts";
import { labelsOfTemplate } from "./name-template.ts";
import { displayPort } from "./ports.ts";

/** What the engine says of a container, as far as any rule reads it. */
export function factsLines({ container, engine, isNear }: PlacedContainer, rules: DeclareRules): string[] {
  const { name, id, image, running, startedAt, health, networkMode, compose } = container;
  const on = engine === "" ? "" : ` on the engine ${engine}`;
  const reach = isNear ? "" : " (this machine does not reach its own addresses)";
  return [
    `container ${name} (${id.slice(0, 12)})${on}, image ${image}`,
    `  ${running ? `runs since ${startedAt}` : idleWords(container)}`,
    `  its own HEALTHCHECK says: ${health}`,
    `  network mode ${networkMode}${reach}`,
    ...container.networks.map(
      (network) => `  network ${network.name}: ${network.addresses.join(", ") || "no address"}`,
    ),
    ...(compose === undefined ? [] : [`  Compose service ${compose.service} of project ${compose.project}`]),
    ...(container.isSwarmTask ? ["  it is a task of a Swarm service"] : []),
    ...publishedLines(container.ports),
    `  EXPOSEs ${container.exposed.map(displayPort).join(", ") || "nothing"}`,
    ...labelLines(container, rules),
    ...variableLines(container, rules),
  ];
}

function publishedLines(ports: readonly PublishedPort[]): string[] {
  if (ports.length === 0) return ["  publishes no port"];
  return ports.map((entry) => {
    const where = formatEndpoint({ address: entry.hostIp || "0.0.0.0", port: entry.hostPort });
    const chosen = entry.fixed ? "chosen by a person" : "chosen by the engine, another one after a restart";
    return `  publishes ${displayPort(entry)} at ${where} (${chosen})`;
  });
}

const ofCompose = /^com\.docker\.compose\.(service|project|oneoff)$/;

/** Only labels that a rule reads: the values of others are nobody's business. */
function labelLines(
  { labels }: ContainerFacts,
  { families, template, only, except }: DeclareRules,
): string[] {
  const readers = namingFamilies.filter(({ family }) => families.has(family));
  const selected = [...only, ...except].flatMap((selector) =>
    selector.kind === "label" ? [selector.key] : [],
  );
  const named = new Set([...selected, ...labelsOfTemplate(template)]);
  const isRead = (key: string) =>
    isKnownLabel(key) ||
    ofCompose.test(key) ||
    named.has(key) ||
    readers.some(({ readsLabel }) => readsLabel(key));
  return Object.keys(labels)
    .filter(isRead)
    .toSorted()
    .map((key) => `  label ${key}=${labels[key]}`);
}

function variableLines({ env }: ContainerFacts, { families, template }: DeclareRules): string[] {
  const readers = namingFamilies.filter(({ family }) => families.has(family));
  const parts = template.alternatives.flat();
  const inTemplate = (key: string) =>
    parts.some((part) => "placeholder" in part && part.placeholder === `env.${key}`);
  return Object.keys(env)
    .filter((key) => inTemplate(key) || readers.some(({ readsVariable }) => readsVariable(key)))
    .toSorted()
    .map((key) => `  variable ${key}=${env[key]}`);
}
