import { setTimeout as sleep } from "node:timers/promises";

import type { Engine } from "../testbed/engine.ts";
import type { EngineProxy } from "../testbed/engine-proxy.ts";
import type { EventPlan } from "../testbed/engine-proxy-events.ts";
import type { Podman } from "../testbed/podman.ts";

export type ModelEngine = {
  engine: Engine | Podman;
  proxy: EngineProxy;
  /** The proxy's own: what is changed here holds from the next event on. */
  plan: EventPlan;
  /** Two characters, the same in no other engine: its containers' names begin with it. */
  prefix: string;
  /** Ends when everything that was done to it so far has. */
  queue: Promise<void>;
  /** When it was last killed, frozen, cut off or at work on coming back, by the wall clock; until then nothing is late. */
  disturbedAt: number;
};

/** A number from 0 to 1. */
export type Random = () => number;

/** `what` is for the story that a failing run tells. */
export type Action = { what: string; act(): Promise<void> };

/** Short, so that silences of seconds meet them all. */
export const engineLimits = { callMs: 3_000, quietMs: 1_000 };

const slots = 4;
/** An agent that found no engine may wait so long until it looks again. */
export const returnMs = 12_000;

/** One action, drawn by chance. Many are impossible when their turn comes, as people's are: the engine's refusal is part of the game. */
export function drawAction(own: ModelEngine, random: Random): Action {
  if (random() < 0.2) return drawDisturbance(own, random);
  const burst = Array.from({ length: random() < 0.2 ? 4 : 1 }, () => {
    const container = `${own.prefix}${Math.floor(random() * slots)}`;
    return pick(containerActions, random)(container, random, own.prefix);
  });
  return {
    what: burst.map((args) => `${own.prefix}: docker ${args.join(" ")}`).join(" & "),
    act: async () => {
      await Promise.allSettled(burst.map((args) => own.engine.docker(...args)));
    },
  };
}

/** What every run begins with. */
export async function runFirst(
  { engine, prefix }: Pick<ModelEngine, "engine" | "prefix">,
  random: Random,
): Promise<void> {
  // Drawn first: who is started before whom must not change what.
  const [owner, ...others] = Array.from({ length: slots }, (_, slot) =>
    runOf(`${prefix}${slot}`, prefix, random),
  );
  const host = idle(`${prefix}h`, "--network", "host");
  // Nobody acts on this owner, so its guest can always be started.
  const fixed = ["run", "--detach", "--name", `${prefix}o`, "--publish", "80", "berth-sample"];
  await Promise.all([owner ?? [], fixed].map((args) => engine.docker(...args)));
  const guest = idle(`${prefix}g`, "--network", `container:${prefix}o`);
  await Promise.all([...others, host, guest].map((args) => engine.docker(...args)));
}

/** At least one of its effects is certain, whatever there was before. */
export async function startOneAndEndOne(
  { engine, prefix }: Pick<ModelEngine, "engine" | "prefix">,
  step: number,
): Promise<void> {
  await engine.docker("run", "--detach", "--name", `${prefix}s${step}`, "--publish", "80", "berth-sample");
  await engine.docker("rm", "--force", `${prefix}${step % slots}`).catch(() => undefined);
}

/** Those whose new run the engine's list does not tell from the one before: nothing of theirs is published. */
export async function restartUntold({
  engine,
  prefix,
}: Pick<ModelEngine, "engine" | "prefix">): Promise<void> {
  const names = ["h", "g"].map((name) => `${prefix}${name}`);
  await Promise.allSettled(names.map((name) => engine.docker("restart", "--time", "2", name)));
}

/** The event that says a container was told to stop, and not the one that says it has. */
export function stopEventOf({ prefix }: Pick<ModelEngine, "prefix">): RegExp {
  return prefix === "po" ? /"Action":"(kill|stop)"/ : /"Action":"kill"/;
}

const containerActions: ((container: string, random: Random, prefix: string) => string[])[] = [
  (container, random, prefix) => runOf(container, prefix, random),
  (container, random, prefix) => runOf(container, prefix, random),
  (container, random, prefix) => [
    ...["run", "--detach", "--name", container, "--publish", `${fixedPort(container, prefix)}:80`],
    ...(random() < 0.5 ? ["--restart", "always"] : []),
    "berth-sample",
  ],
  (container) => ["stop", "--time", "2", container],
  (container) => ["start", container],
  (container) => ["start", container],
  (container) => ["restart", "--time", "2", container],
  (container) => ["rm", "--force", container],
  (container) => ["pause", container],
  (container) => ["unpause", container],
  (container) => ["unpause", container],
  (container) => ["kill", container],
  (container) => ["kill", "--signal", "HUP", container],
  (container, random) =>
    random() < 0.5 ? ["rename", container, `${container}x`] : ["rename", `${container}x`, container],
  (container) => ["exec", container, "touch", "/good"],
  (container) => ["exec", container, "touch", "/good"],
  (container) => ["exec", container, "rm", "/good"],
  (container) => ["network", "connect", "aaa", container],
  (container) => ["network", "disconnect", "aaa", container],
];

/** Bad, once it was good, as soon as the file is gone. */
const healthCheck = [
  ...["--health-cmd", "test -e /good", "--health-interval", "1s"],
  ...["--health-retries", "1", "--health-start-period", "2s"],
];

const shapes: string[][] = [
  ["--publish", "80"],
  ["--publish", "80", "--publish", "53/udp"],
  ["--publish", "80", "--publish", "443", "--network", "aaa"],
  ["--publish", "80", "--restart", "always"],
  // Its probes fill the event stream.
  ["--publish", "80", ...healthCheck],
  ["--publish", "80", ...healthCheck],
  [],
];

function runOf(container: string, prefix: string, random: Random): string[] {
  if (random() < 0.8)
    return ["run", "--detach", "--name", container, ...pick(shapes, random), "berth-sample"];
  const owner = `${prefix}0`;
  const isGuest = container !== owner && random() < 0.6;
  return idle(container, "--network", isGuest ? `container:${owner}` : "host");
}

/** Says that it listens at the port its image EXPOSEs, and does not: in a shared network one alone could. */
function idle(container: string, ...flags: string[]): string[] {
  const command = ["sh", "-c", "trap 'exit 0' TERM; sleep 99999 & wait"];
  return ["run", "--detach", "--name", container, ...flags, "berth-sample", ...command];
}

/** No two containers want the same one, unless one of them was renamed. */
function fixedPort(container: string, prefix: string): number {
  const engine = { da: 8100, db: 8200 }[prefix] ?? 8300;
  return engine + Number(container.slice(prefix.length));
}

function drawDisturbance(own: ModelEngine, random: Random): Action {
  const { engine, proxy, prefix } = own;
  const pauseMs = 200 + Math.floor(random() * 1500);
  // A third of them outlast the limit of a call, nearly all that of a quiet stream.
  const silenceMs = pauseMs + Math.floor(random() * engineLimits.callMs);
  const choices: Record<string, () => Promise<void>> = {
    "kill -9": async () => {
      await engine.kill9();
      await sleep(pauseMs);
      await engine.restart();
    },
    "restart by SIGTERM": () => engine.restart({ signal: "SIGTERM" }),
    "restart by SIGKILL": () => engine.restart({ signal: "SIGKILL" }),
    freeze: async () => {
      engine.freeze();
      await sleep(silenceMs);
      engine.thaw();
    },
    "hang of all calls": async () => {
      proxy.hang();
      await sleep(silenceMs);
      proxy.release();
    },
    "broken streams": async () => proxy.breakStreams(),
    "broken streams again": async () => proxy.breakStreams(),
  };
  const what = pick(Object.keys(choices), random);
  const act = async (): Promise<void> => {
    // Until its end nothing that is said of the engine counts as late.
    own.disturbedAt = Number.POSITIVE_INFINITY;
    await choices[what]?.();
    own.disturbedAt = Date.now() + returnMs;
  };
  return { what: `${prefix}: ${what} (${pauseMs} ms)`, act };
}

function pick<T>(choices: readonly T[], random: Random): T {
  const choice = choices[Math.floor(random() * choices.length)];
  if (choice === undefined) throw new Error("nothing to choose from");
  return choice;
}
