import type { Binding, Problem } from "../../shared/binding.ts";
import type { ContainerFacts } from "../engine/facts.ts";
import { problemOf } from "../problem.ts";
import { isSameSite } from "../site.ts";
import { type Examination, examine, type Surroundings, speaksTls } from "./examine.ts";
import type {
  CheckState,
  DeclareRules,
  PlacedContainer,
  RelayState,
  WantedCheck,
  WantedRelay,
} from "./input.ts";
import { instanceOf } from "./instance.ts";
import { bindingsOf, type Offer, type OfferParts, octetsOf, sizeOf } from "./offers.ts";
import type { ServicePort } from "./ports.ts";

/** What one container comes to, before its names are settled against the others'. */
export interface Draft {
  /** Undefined when it has nothing to declare. */
  offer: Offer | undefined;
  relays: readonly WantedRelay[];
  checks: readonly WantedCheck[];
  problems: readonly Problem[];
  notes: readonly string[];
}

/** A draft and all it was made of besides the container's facts. */
interface Kept {
  draft: Draft;
  placed: PlacedContainer;
  rules: DeclareRules;
  owner: ContainerFacts | undefined;
  isFlapping: boolean;
  relays: (RelayState | undefined)[];
  checks: (CheckState | undefined)[];
}

/** By the facts object, which an engine's inventory keeps as long as the container stays as it is. */
const kept = new WeakMap<ContainerFacts, Kept>();

/** The container's draft: the one made before, where nothing it was made of has changed since. */
export function draftOf(placed: PlacedContainer, rules: DeclareRules, around: Surroundings): Draft {
  const known = kept.get(placed.container);
  if (known !== undefined && isStill(known, placed, rules, around)) return known.draft;
  const draft = draftFrom(placed, examine(placed, rules, around));
  const relays = draft.relays.map(({ key }) => around.relays.get(key));
  const checks = draft.checks.map(({ key }) => around.checks.get(key));
  const { owner, isFlapping } = around;
  kept.set(placed.container, { draft, placed, rules, owner, isFlapping, relays, checks });
  return draft;
}

function isStill(known: Kept, placed: PlacedContainer, rules: DeclareRules, around: Surroundings): boolean {
  const { draft } = known;
  return (
    known.rules === rules &&
    known.owner === around.owner &&
    known.isFlapping === around.isFlapping &&
    known.placed.engine === placed.engine &&
    known.placed.isNear === placed.isNear &&
    known.placed.fixedOnly === placed.fixedOnly &&
    isSameSite(known.placed.site, placed.site) &&
    draft.checks.every(({ key }, at) => around.checks.get(key) === known.checks[at]) &&
    draft.relays.every(({ key }, at) => isSameRelay(around.relays.get(key), known.relays[at]))
  );
}

function isSameRelay(left: RelayState | undefined, right: RelayState | undefined): boolean {
  if (left === undefined || right === undefined) return left === right;
  if (left.kind === "open") return right.kind === "open" && left.port === right.port;
  return right.kind === "failed" && left.fault === right.fault;
}

function draftFrom(placed: PlacedContainer, examined: Examination): Draft {
  const { container } = placed;
  const place = placeOf(placed);
  const left = examined.leftOut !== undefined && examined.isChoice ? [examined.leftOut] : [];
  return {
    offer: offerFrom(placed, examined),
    relays: examined.ports.relays,
    checks: examined.health?.checks ?? [],
    problems: examined.faults.map(({ code, message }) =>
      problemOf(container.name, code, `${place}${message}`),
    ),
    notes: [...left, ...examined.notes].map((note) => `${place}${container.name}: ${note}`),
  };
}

/** Two engines may each have a container of one name. */
function placeOf({ engine }: PlacedContainer): string {
  return engine === "" ? "" : `on the engine ${engine}: `;
}

function offerFrom(placed: PlacedContainer, examined: Examination): Offer | undefined {
  const { container, engine } = placed;
  const { names } = examined.naming;
  const { ports } = examined.ports;
  if (names.length === 0 || ports.length === 0) return undefined;
  const parts: OfferParts = {
    names,
    ports,
    http: examined.http,
    bindingOf: bindingMaker(container, examined),
  };
  let made: readonly Binding[] | undefined;
  const bindings = (): readonly Binding[] => {
    made ??= bindingsOf(parts);
    return made;
  };
  const on = engine === "" ? "" : ` on the engine ${engine}`;
  return {
    ...{ shown: container.name, called: `container ${container.name}${on}`, place: placeOf(placed) },
    ...{ key: `container ${engine} ${container.id}`, compose: container.compose, yieldsHostName: false },
    ...{ names, size: sizeOf(parts), octets: octetsOf(parts), portCount: ports.length, bindings },
  };
}

function bindingMaker(
  container: ContainerFacts,
  { declaration, health }: Examination,
): OfferParts["bindingOf"] {
  const shared = {
    container: container.name.slice(0, 255),
    instance: instanceOf(container),
    priority: declaration.priority,
    weight: declaration.weight,
    ...(declaration.txt.length > 0 ? { txt: declaration.txt } : {}),
  };
  return (port: ServicePort): Omit<Binding, "name" | "rule" | "http"> => {
    const { protocol, servicePort, addresses, port: hostPort, fixed } = port;
    const open = { protocol, servicePort, addresses, port: hostPort, fixed };
    const tls = speaksTls(declaration, port) ? { tls: true as const } : {};
    return { ...open, ...shared, ...tls, health: health?.healthOf(port) ?? "none" };
  };
}
