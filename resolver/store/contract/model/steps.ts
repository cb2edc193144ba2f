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
  tokens,
  type Wish,
} from "./universe.ts";
import type { World } from "./world.ts";

/** One thing that happens; its text is what a person reads of a history that failed. */
export interface Step {
  happen(world: World): Promise<void>;
  toString(): string;
}

const second = 1000;
const minute = 60 * second;
const day = 24 * 60 * minute;

/** Random histories. `isPatient` ones have weeks in which hosts renew all the time: a thousand requests each. */
export function histories(length: number, isPatient: boolean): fc.Arbitrary<Step[]> {
  const step = fc.oneof(
    { weight: 9, arbitrary: pushes },
    { weight: 4, arbitrary: repushes },
    { weight: 5, arbitrary: deltas },
    { weight: 4, arbitrary: renewals },
    { weight: 4, arbitrary: repeats },
    { weight: 3, arbitrary: withdrawals },
    { weight: 2, arbitrary: releases },
    { weight: 5, arbitrary: waits },
    { weight: 3, arbitrary: renewedWaits(11 * minute, 11 * minute) },
    { weight: 1, arbitrary: fc.constant(stepOf("a restart", (world) => world.restart())) },
    { weight: isPatient ? 1 : 0, arbitrary: renewedWaits(15 * day, 59 * minute) },
  );
  return fc.array(step, { maxLength: length, size: "max" });
}

/** Which process speaks: mostly the first one of its host. */
const speaking = fc.record({
  host: fc.nat(hostIds.length - 1),
  isClone: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
});
type Speaking = typeof speaking extends fc.Arbitrary<infer T> ? T : never;

const anyToken = fc.constantFrom<TokenName[]>("plain", "plain", "twin", "narrow", "small", "small", "brief");
const sameToken = fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: anyToken });
/** Below the lowest that is granted, two of every day, and the highest. */
const leases = fc.constantFrom(1, 15, 15, 60, 3600);
const isLate = fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) });

const wishes: fc.Arbitrary<Wish> = fc
  .constantFrom<Wish["name"][]>(...sharedNames.slice(0, 4), "postgres", "web.shop", "api", ...ownNames, "ns")
  .chain((name) =>
    fc.record({
      name: fc.constant(name),
      rule: rulesFor(name),
      servicePort: fc.constantFrom<Wish["servicePort"][]>(80, 80, 5432),
      port: fc.constantFrom(8080, 8081, 32768, 32769),
      at: fc.constantFrom<Wish["at"][]>("all", "all", "v4", "v6"),
      health: fc.constantFrom<Binding["health"][]>("none", "none", "healthy", "unhealthy", "starting"),
    }),
  );

function rulesFor(name: Wish["name"]): fc.Arbitrary<Wish["rule"]> {
  if (name.endsWith(".host")) return fc.constant("host");
  const [usual, other] = name === "postgres" ? (["container", "compose"] as const) : (["compose", "container"] as const);
  return fc.constantFrom<Wish["rule"][]>(usual, usual, usual, other, "label");
}

const sayings: fc.Arbitrary<Saying> = fc.record({
  label: fc.constantFrom<Saying["label"][]>("nas", "nas", ...labels),
  families: fc.constantFrom<Saying["families"][]>("v4", "both"),
  wishes: fc.array(wishes, { maxLength: 5, size: "max" }),
});

const pushes = fc
  .record({ who: speaking, saying: sayings, token: sameToken, lease: leases, isLate })
  .map(({ who, saying, token, lease, isLate }) => {
    const what = `pushes${lateness(isLate)} ${describeSaying(saying)} for ${lease} s${under(token)}`;
    return spoken(who, what, async (world, speaker) => {
      Object.assign(speaker, { lease, token: token ?? speaker.token });
      await speaker.declare(speaker.meaning(saying));
      const request = (turn: Turn) => world.wholePush(speaker, turn);
      return isLate ? world.holdBack(speaker, request) : world.say(speaker, request);
    });
  });

const repushes = fc.record({ who: speaking, token: sameToken }).map(({ who, token }) =>
  spoken(who, `pushes what it last did${under(token)}`, async (world, speaker) => {
    speaker.token = token ?? speaker.token;
    await speaker.declare(speaker.declared);
    await world.push(speaker);
  }),
);

const deltas = fc
  .record({
    who: speaking,
    changed: fc.array(wishes, { maxLength: 2 }),
    gone: fc.subarray([...sharedNames, ...ownNames], { maxLength: 2 }),
    token: sameToken,
    fault: fc.constantFrom("", "", "", "", "", " from another base", " to another digest"),
    isLate,
  })
  .map(({ who, changed, gone, token, fault, isLate }) => {
    const shown = describeSaying({ label: "nas", families: "v4", wishes: changed }).replace(/^[^:]*: /, "");
    const what = `changes${lateness(isLate)}${fault} ${shown}, without ${gone.join(", ") || "nothing"}${under(token)}`;
    return spoken(who, what, async (world, speaker) => {
      speaker.token = token ?? speaker.token;
      const request = await deltaOf(world, speaker, changed, gone, fault);
      return isLate ? world.holdBack(speaker, request) : world.say(speaker, request);
    });
  });

const renewals = fc
  .record({ who: speaking, token: sameToken, lease: fc.option(leases, { freq: 3, nil: undefined }), isLate })
  .map(({ who, token, lease, isLate }) => {
    const length = lease === undefined ? "" : ` for ${lease} s`;
    return spoken(who, `renews${lateness(isLate)}${length}${under(token)}`, async (world, speaker) => {
      speaker.lease = lease ?? speaker.lease;
      const request = (turn: Turn) => world.renewal(speaker, turn, token);
      return isLate ? world.holdBack(speaker, request) : world.say(speaker, request);
    });
  });

const repeats = fc.constantFrom(0, 0, 1, 2, 3, 5, 8).map((back) =>
  stepOf(back === 0 ? "the last request again" : `the request ${back} before the last one`, (world) =>
    world.repeat(back),
  ),
);

const withdrawals = fc.record({ who: speaking, isOperators: fc.boolean() }).map(({ who, isOperators }) => {
  if (isOperators)
    return stepOf(`an operator removes ${lettersOfHosts[who.host]}`, (world) =>
      world.removeHost(hostIds[who.host] ?? ""),
    );
  return spoken(who, "withdraws", (world, speaker) =>
    world.say(speaker, (turn) => ({ kind: "withdraw", hostId: speaker.hostId, turn })),
  );
});

const releases = fc
  .constantFrom(...sharedNames.slice(0, 4), "web.nas.host")
  .map((name) => stepOf(`an operator frees ${name}`, (world) => world.release(name)));

const waits = fc
  .constantFrom(second, 6 * second, 6 * second, 16 * second, 14 * day - 10 * minute)
  .map((ms) => stepOf(`${durationOf(ms)} pass`, (world) => world.advance(ms)));

/** All hosts named renew for the longest lease before every `every` ms, as long as the registry lets them. */
function renewedWaits(ms: number, every: number): fc.Arbitrary<Step> {
  return fc.subarray([0, 1, 2], { minLength: 1 }).map((hosts) => {
    const letters = hosts.map((host) => lettersOfHosts[host]).join(", ");
    return stepOf(`${durationOf(ms)} pass, ${letters} renewing`, async (world) => {
      for (let left = ms; left > 0; left -= every) {
        for (const host of hosts) {
          const speaker = world.speakers[host]?.[0];
          if (speaker === undefined || speaker.digest === "") continue;
          speaker.lease = 3600;
          await world.renewUnseen(speaker);
        }
        await world.advance(Math.min(every, left));
      }
    });
  });
}

async function deltaOf(
  world: World,
  speaker: Speaker,
  wishes: Wish[],
  without: string[],
  fault: string,
): Promise<(turn: Turn) => ModelRequest> {
  const { hostId, token, lease, digest: before } = speaker;
  const { bindings, ...about } = speaker.declared;
  const changed = wishes.map((wish) => bindingOf(wish, about.addresses));
  const gone = without.map((name) => parseName(below(name))).filter((name) => changed.every((one) => one.name !== name));
  const others = new Set([...changed.map(({ name }) => name), ...gone]);
  const kept = bindings.filter(({ name }) => !others.has(name));
  await speaker.declare({ ...about, bindings: [...kept, ...changed] });
  const nothing = { ...about, bindings: [] };
  world.know(speaker.digest, canonicalText(speaker.declared));
  world.know(await digestOf(nothing), canonicalText(nothing));
  const base = fault.endsWith("base") || before === "" ? "0".repeat(64) : before;
  const digest = fault.endsWith("digest") ? await digestOf(nothing) : speaker.digest;
  return (turn) => {
    const body = { ...turn, lease, base, digest, declared: about, changed, gone };
    return { kind: "delta", hostId, access: tokens[token], body };
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
  if (ms >= day) return `${ms / day} days`;
  return ms >= minute ? `${ms / minute} min` : `${ms / second} s`;
}
