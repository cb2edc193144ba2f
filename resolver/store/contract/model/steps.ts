import fc from "fast-check";

import type { Binding, Turn } from "../../../../shared/binding.ts";
import { canonicalText, digestOf } from "../../../../shared/digest.ts";
import { parseName } from "../../../../shared/name.ts";
import { below } from "../builders.ts";
import type { ModelRequest } from "./registry-model.ts";
import type { Speaker } from "./speaker.ts";
import {
  bindingOf,
  describeSaying,
  hostIds,
  labels,
  lettersOfHosts,
  ownNames,
  type Saying,
  sharedNames,
  type TokenName,
  tokenNames,
  type Wish,
} from "./universe.ts";
import type { World } from "./world.ts";

/** One thing that happens; its text is what a person reads of a history that failed. */
export interface Step {
  happen(world: World): Promise<void>;
  toString(): string;
}

const minute = 60_000;
const day = 24 * 60 * minute;

/** What one history is about: with fewer names and tokens, hosts meet more often. */
interface Focus {
  names: Wish["name"][];
  tokens: TokenName[];
}

/** Random histories. `isPatient` ones have weeks in which hosts renew all the time: a thousand requests each. */
export function histories(length: number, isPatient: boolean): fc.Arbitrary<Step[]> {
  const focus = fc.record({
    names: fc.oneof(
      fc.subarray<Wish["name"]>([...sharedNames, ...ownNames], { minLength: 1, maxLength: 2 }),
      fc.subarray<Wish["name"]>([...sharedNames, ...ownNames], { minLength: 3 }),
    ),
    tokens: fc.oneof(
      fc.subarray([...tokenNames], { minLength: 1, maxLength: 3 }),
      // Room is where one claim's fate hangs on all others: half of the histories are about it.
      fc.constantFrom<TokenName[]>(["small"], ["small", "plain"], ["small", "tiny"], ["small", "brief"]),
    ),
  });
  return focus.chain((about) => fc.array(stepsAbout(about, isPatient), { maxLength: length, size: "max" }));
}

function stepsAbout(about: Focus, isPatient: boolean): fc.Arbitrary<Step> {
  return fc.oneof(
    { weight: 9, arbitrary: pushes(about) },
    { weight: 4, arbitrary: repushes(about) },
    { weight: 5, arbitrary: deltas(about) },
    { weight: 4, arbitrary: renewals(about) },
    { weight: 4, arbitrary: repeats },
    { weight: 3, arbitrary: withdrawals },
    { weight: 2, arbitrary: releases(about) },
    { weight: 5, arbitrary: waits },
    { weight: 5, arbitrary: renewedWaits(10 * minute, 10 * minute) },
    { weight: 1, arbitrary: fc.constant(stepOf("a restart", (world) => world.restart())) },
    { weight: isPatient ? 1 : 0, arbitrary: renewedWaits(15 * day, 59 * minute) },
  );
}

/** Which process speaks: mostly the first one of its host. */
const speaking = fc.record({ host: fc.nat(hostIds.length - 1), isClone: rarely() });
type Speaking = typeof speaking extends fc.Arbitrary<infer T> ? T : never;

/** Below the lowest that is granted, two of every day, and the highest. */
const leases = fc.constantFrom(1, 15, 15, 60, 3600);

function pushes({ names, tokens }: Focus): fc.Arbitrary<Step> {
  const saying: fc.Arbitrary<Saying> = fc.record({
    label: fc.constantFrom<Saying["label"][]>("nas", "nas", ...labels),
    families: fc.constantFrom<Saying["families"][]>("v4", "both"),
    wishes: fc.array(wishesFor(names), { maxLength: 5, size: "max" }),
  });
  const parts = fc.record({ who: speaking, saying, token: another(tokens), lease: leases, isLate: rarely() });
  return parts.map(({ who, saying, token, lease, isLate }) => {
    const what = `pushes${lateness(isLate)} ${describeSaying(saying)} for ${lease} s${under(token)}`;
    return spoken(who, what, async (world, speaker) => {
      Object.assign(speaker, { lease, token: token ?? speaker.token });
      await speaker.declare(speaker.meaning(saying));
      const request = (turn: Turn) => world.wholePush(speaker, turn);
      return isLate ? world.holdBack(speaker, request) : world.say(speaker, request);
    });
  });
}

function repushes({ tokens }: Focus): fc.Arbitrary<Step> {
  return fc.record({ who: speaking, token: another(tokens) }).map(({ who, token }) =>
    spoken(who, `pushes what it last did${under(token)}`, async (world, speaker) => {
      speaker.token = token ?? speaker.token;
      await speaker.declare(speaker.declared);
      await world.push(speaker);
    }),
  );
}

function deltas({ names, tokens }: Focus): fc.Arbitrary<Step> {
  const parts = fc.record({
    who: speaking,
    changed: fc.array(wishesFor(names), { maxLength: 2 }),
    gone: fc.subarray(names, { maxLength: Math.min(2, names.length) }),
    token: another(tokens),
    fault: fc.constantFrom("", "", "", "", "", " from another base", " to another digest"),
    isLate: rarely(),
  });
  return parts.map(({ who, changed, gone, token, fault, isLate }) => {
    const shown = describeSaying({ label: "nas", families: "v4", wishes: changed }).replace(/^[^:]*: /, "");
    const what = `changes${lateness(isLate)}${fault} ${shown}, without ${gone.join(", ") || "nothing"}${under(token)}`;
    return spoken(who, what, async (world, speaker) => {
      speaker.token = token ?? speaker.token;
      const request = await deltaOf(world, speaker, changed, gone, fault);
      return isLate ? world.holdBack(speaker, request) : world.say(speaker, request);
    });
  });
}

function renewals({ tokens }: Focus): fc.Arbitrary<Step> {
  const lease = fc.option(leases, { freq: 3, nil: undefined });
  const parts = fc.record({ who: speaking, token: another(tokens), lease, isLate: rarely() });
  return parts.map(({ who, token, lease, isLate }) => {
    const length = lease === undefined ? "" : ` for ${lease} s`;
    return spoken(who, `renews${lateness(isLate)}${length}${under(token)}`, async (world, speaker) => {
      speaker.lease = lease ?? speaker.lease;
      const request = (turn: Turn) => world.renewal(speaker, turn, token);
      return isLate ? world.holdBack(speaker, request) : world.say(speaker, request);
    });
  });
}

/** Played back or overtaken, word for word; or as a process would say it that raised its epoch and does not know that a push has to follow. */
const repeats = fc
  .record({ back: fc.constantFrom(0, 0, 1, 2, 3, 5, 8), isRaised: rarely() })
  .map(({ back, isRaised }) => {
    const what = back === 0 ? "the last request again" : `the request ${back} before the last one`;
    return stepOf(`${what}${isRaised ? ", an epoch later" : ""}`, (world) =>
      world.repeat(back, isRaised ? 1 : 0),
    );
  });

const withdrawals = fc.record({ who: speaking, isOperators: fc.boolean() }).map(({ who, isOperators }) => {
  const { host } = who;
  if (isOperators)
    return stepOf(`an operator removes ${lettersOfHosts[host]}`, (world) =>
      world.removeHost(hostIds[host] ?? ""),
    );
  return spoken(who, "withdraws", (world, speaker) =>
    world.say(speaker, (turn) => ({ kind: "withdraw", hostId: speaker.hostId, turn })),
  );
});

function releases({ names }: Focus): fc.Arbitrary<Step> {
  return fc
    .constantFrom(...names)
    .map((name) => stepOf(`an operator frees ${name}`, (world) => world.release(name)));
}

/** Leases end in the middle of some, and with others; what is kept ends with the longest, or a little later. */
const waits = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(1, 5, 5, 16).map(wait) },
  { weight: 1, arbitrary: fc.constantFrom(14 * day, 14 * day - 10 * minute).map(longWait) },
);

function wait(seconds: number): Step {
  return stepOf(`${seconds} s pass`, (world) => world.advance(seconds * world.secondMs));
}

function longWait(ms: number): Step {
  return stepOf(`${durationOf(ms)} pass`, (world) => world.advance(ms));
}

/** All hosts named renew for the longest lease before every `every` ms, as long as the registry lets them. */
function renewedWaits(ms: number, every: number): fc.Arbitrary<Step> {
  return fc.subarray([0, 1, 2], { minLength: 1 }).map((hosts) => {
    const letters = hosts.map((host) => lettersOfHosts[host]).join(", ");
    return stepOf(`${durationOf(ms)} pass, ${letters} renewing`, async (world) => {
      for (let left = ms; left > 0; left -= every) {
        for (const host of hosts) {
          const speaker = world.speakers[host]?.[0];
          if (speaker === undefined || speaker.digest === "") continue;
          speaker.lease = 3600 * (1000 / world.secondMs);
          await world.renewUnseen(speaker);
        }
        await world.advance(Math.min(every, left));
      }
    });
  });
}

function wishesFor(names: Wish["name"][]): fc.Arbitrary<Wish> {
  return fc.constantFrom(...names).chain((name) =>
    fc.record({
      name: fc.constant(name),
      rule: rulesFor(name),
      servicePort: fc.constantFrom<Wish["servicePort"][]>(80, 80, 5432),
      port: fc.constantFrom(8080, 8081, 32768, 32769),
      at: fc.constantFrom<Wish["at"][]>("all", "all", "v4", "v6"),
      health: fc.constantFrom<Binding["health"][]>("none", "none", "healthy", "unhealthy", "starting"),
      isTls: rarely(),
      txt: fc.constantFrom<Wish["txt"][]>("", "", "", "v=1", "v=2"),
    }),
  );
}

function rulesFor(name: Wish["name"]): fc.Arbitrary<Wish["rule"]> {
  if (name.endsWith(".host")) return fc.constant("host");
  const isContainers = name === "postgres";
  const [usual, other] = isContainers
    ? (["container", "compose"] as const)
    : (["compose", "container"] as const);
  return fc.constantFrom<Wish["rule"][]>(usual, usual, usual, other, "label");
}

/** Mostly the token the process has already. */
function another(tokens: TokenName[]): fc.Arbitrary<TokenName | undefined> {
  return fc.option(fc.constantFrom(...tokens), { freq: 2, nil: undefined });
}

function rarely(): fc.Arbitrary<boolean> {
  return fc.nat(9).map((number) => number === 9);
}

async function deltaOf(
  world: World,
  speaker: Speaker,
  wishes: Wish[],
  without: string[],
  fault: string,
): Promise<(turn: Turn) => ModelRequest> {
  const { hostId, digest: before } = speaker;
  const { bindings, ...about } = speaker.declared;
  const changed = wishes.map((wish) => bindingOf(wish, about.addresses));
  const gone = without
    .map((name) => parseName(below(name)))
    .filter((name) => changed.every((one) => one.name !== name));
  const others = new Set([...changed.map(({ name }) => name), ...gone]);
  const kept = bindings.filter(({ name }) => !others.has(name));
  await speaker.declare({ ...about, bindings: [...kept, ...changed] });
  const nothing = { ...about, bindings: [] };
  world.know(speaker.digest, canonicalText(speaker.declared));
  world.know(await digestOf(nothing), canonicalText(nothing));
  const base = fault.endsWith("base") || before === "" ? "0".repeat(64) : before;
  const digest = fault.endsWith("digest") ? await digestOf(nothing) : speaker.digest;
  return (turn) => {
    const lease = world.leaseOf(speaker);
    const body = { ...turn, lease, base, digest, declared: about, changed, gone };
    return { kind: "delta", hostId, access: world.tokenOf(speaker), body };
  };
}

/** A step of one process; it is looked at everything after each request. */
function spoken(
  { host, isClone }: Speaking,
  what: string,
  speak: (world: World, speaker: Speaker) => Promise<void> | void,
): Step {
  const name = `${lettersOfHosts[host]}${isClone ? "'" : ""}`;
  return stepOf(`${name} ${what}`, async (world) => {
    const speaker = world.speakers[host]?.[isClone ? 1 : 0];
    if (speaker !== undefined) await speak(world, speaker);
  });
}

function stepOf(text: string, happen: Step["happen"]): Step {
  return { happen, toString: () => text };
}

function under(token: TokenName | undefined): string {
  return token === undefined ? "" : ` under ${token}`;
}

function lateness(isLate: boolean): string {
  return isLate ? ", held back," : "";
}

function durationOf(ms: number): string {
  const [days, minutes] = [Math.floor(ms / day), (ms % day) / minute];
  return [days > 0 ? `${days} days` : "", minutes > 0 ? `${minutes} min` : ""].join(" ").trim();
}
