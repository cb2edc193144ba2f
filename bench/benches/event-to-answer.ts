import { join } from "node:path";

import { serviceOwner } from "../../shared/dns/endpoints.ts";
import { nameBelow } from "../../shared/name.ts";
import { type Engine, startEngine } from "../../test/testbed/engine.ts";
import { importSampleImage } from "../../test/testbed/image.ts";
import { whyNoEngines } from "../../test/testbed/requirements.ts";
import { makeTemporaryDir } from "../../test/testbed/temporary-dir.ts";
import type { Bench, Context, Result } from "../bench.ts";
import { resolverFiles, resolverUrl, startPart } from "../berth.ts";
import { type EngineEvents, followEvents, whenInspected } from "../engine-api.ts";
import { ratio, summarize } from "../measure.ts";
import { type Program, startProgram } from "../program.ts";
import type { PollOrders } from "../programs/doh-poll.ts";
import { zone } from "../registry.ts";
import { withUndo } from "../undo.ts";

export type Poller = Program<PollOrders>;

/** The container that is started and killed. */
export const subject = "subject";
const bystanders = ["bystander-1", "bystander-2", "bystander-3"];

/** What one change took: until the answer, and until the engine told as much itself; `period` is how finely the answer was looked at. */
export interface Seen {
  ms: number;
  engineMs: number;
  period: number;
}

export const eventToAnswer: Bench = {
  name: "event-to-answer",
  about:
    "From the time in the engine's own event of a container to the first DoH answer that has its SRV record (start) or no longer has it (die); dockerd, agent, resolver and the asking client on one machine, three other containers running",
  whyNot: whyNoEngines,
  run: (context) =>
    withUndo(async (later) => {
      const dir = makeTemporaryDir("berth-bench-");
      later(() => dir.remove());
      const engine = await startEngine();
      later(() => engine.stop());
      await importSampleImage(engine);
      await prepareContainers(engine);
      const { agent, caFile } = await startParts(engine, dir.path, later);
      const poller = startProgram<PollOrders>("doh-poll.ts", { netns: engine.netns });
      later(() => poller.stop());
      const events = await followEvents(engine.socketPath);
      later(() => events.close());
      const owner = serviceOwner(nameBelow(subject, zone), "tcp", 80);
      await poller.ask("open", { origin: resolverUrl, caFile, owner });
      return await startAndKill(context, engine, events, poller).catch((cause: Error) => {
        throw new Error(`${cause.message}; the agent's last lines:\n${agent.tail()}`, { cause });
      });
    }),
};

/** Resolver and agent, each with a state directory of its own, in the engine's network namespace. */
async function startParts({ netns, socketPath }: Engine, dir: string, later: (undo: () => unknown) => void) {
  const stateDir = join(dir, "resolver");
  const { caFile, agentToken } = resolverFiles(stateDir);
  const resolver = await startPart("resolver", { "state-dir": stateDir }, { netns });
  later(() => resolver.stop());
  const agentFlags = {
    engine: `unix://${socketPath}`,
    resolver: resolverUrl,
    ca: caFile,
    "token-file": agentToken,
    "state-dir": join(dir, "agent"),
    "host-label": "bench",
  };
  const agent = await startPart("agent", agentFlags, { netns });
  later(() => agent.stop());
  return { agent, caFile };
}

async function prepareContainers(engine: Engine): Promise<void> {
  for (const name of bystanders) await engine.runContainer({ name, publish: ["80"] });
  await engine.docker("create", "--name", subject, "--publish", "80", "berth-sample");
}

/** The same container over and over: every start gives it another host port, so no old answer passes for a new one. */
async function startAndKill(
  context: Context,
  engine: Engine,
  events: EngineEvents,
  poller: Poller,
): Promise<Result[]> {
  const counted = context.quick ? 10 : 40;
  const warmUp = 3;
  const started: Seen[] = [];
  const died: Seen[] = [];
  context.say(`${counted} starts and kills`);
  for (let round = 0; round < warmUp + counted; round++) {
    const start = await timeStart(engine, events, poller);
    const death = await timeDeath(engine, events, poller);
    if (round < warmUp) continue;
    started.push(start);
    died.push(death);
  }
  return [...rowsOf("start to answer", "start", started), ...rowsOf("die to no answer", "die", died)];
}

export async function timeStart(engine: Engine, events: EngineEvents, poller: Poller): Promise<Seen> {
  const started = engine.docker("start", subject);
  const seen = await timeChange(engine, events, poller, "start");
  await started;
  const published = await engine.publishedPort(subject, "80/tcp");
  if (seen.port === published) return seen;
  throw new Error(`port ${seen.port} was answered, and ${published} is published`);
}

export async function timeDeath(engine: Engine, events: EngineEvents, poller: Poller): Promise<Seen> {
  const killed = engine.docker("kill", subject);
  const seen = await timeChange(engine, events, poller, "die");
  await killed;
  return seen;
}

async function timeChange(engine: Engine, events: EngineEvents, poller: Poller, action: "start" | "die") {
  const isStart = action === "start";
  const answered = poller.ask("until", isStart ? "present" : "absent");
  const event = events.next(action).then(async ({ at }) => {
    return { at, inspectedAt: await whenInspected(engine.socketPath, subject, isStart) };
  });
  const [seen, { at, inspectedAt }] = await Promise.all([answered, event]);
  return { ms: seen.at - at, engineMs: inspectedAt - at, period: seen.sinceLast, port: seen.port };
}

function rowsOf(what: string, action: string, seen: Seen[]): Result[] {
  const period = summarize(seen.map((one) => one.period));
  const [whole, engine] = [seen.map(({ ms }) => ms), seen.map(({ engineMs }) => engineMs)];
  const floor = `the engine's own inspect, from ${action}`;
  return [
    {
      what,
      unit: "ms",
      summary: summarize(whole),
      ratio: { to: floor, summary: ratio(whole, engine) },
      // The change fell somewhere into the last poll: the figure is too large by up to one period, never too small.
      note: `includes the last poll: ${period.median.toFixed(1)} ms median, ${period.max.toFixed(1)} ms at most`,
    },
    { what: floor, unit: "ms", summary: summarize(engine), note: "the engine itself does not say it sooner" },
  ];
}
