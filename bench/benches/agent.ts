import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { serviceOwner } from "../../shared/dns/endpoints.ts";
import { nameBelow } from "../../shared/name.ts";
import { type Engine, startEngine } from "../../test/testbed/engine.ts";
import { importSampleImage } from "../../test/testbed/image.ts";
import { whyNoEngines } from "../../test/testbed/requirements.ts";
import type { StartedProcess } from "../../test/testbed/started-process.ts";
import { makeTemporaryDir } from "../../test/testbed/temporary-dir.ts";
import type { Bench, Context, Result } from "../bench.ts";
import { resolverFiles, resolverUrl, startPart } from "../berth.ts";
import { countCalls } from "../counting-socket.ts";
import { followEvents } from "../engine-api.ts";
import { cpuSeconds, residentMemory } from "../machine.ts";
import { ratio, summarize } from "../measure.ts";
import { startProgram } from "../program.ts";
import type { PollOrders } from "../programs/doh-poll.ts";
import { zone } from "../registry.ts";
import { buildAgent } from "../shipped-agent.ts";
import { withUndo } from "../undo.ts";
import { type Poller, subject, timeDeath, timeStart } from "./event-to-answer.ts";

const published = 200;
const parallel = 4;
/** After a change of everything, until nothing is left to do: a resync and a renewal, and the agent's own collection of garbage. */
const settleMs = 40_000;

interface Stand {
  context: Context;
  engine: Engine;
  dir: string;
  later: (undo: () => unknown) => void;
  startAgent(name: string, changed?: Record<string, string>): Promise<StartedProcess>;
}

export const agent: Bench = {
  name: "agent",
  about:
    "The agent as it is packaged, beside a real dockerd: start to answer with few and with 1,000 running containers, its memory beside dockerd's, and the cost of one pass over them",
  whyNot: whyNoEngines,
  run: (context) =>
    withUndo(async (later) => {
      const dir = makeTemporaryDir("berth-bench-");
      later(() => dir.remove());
      const engine = await startEngine({ extraArgs: ["--userland-proxy=false"] });
      later(() => engine.stop());
      await importSampleImage(engine);
      await engine.docker("create", "--name", subject, "--publish", "80", "berth-sample");
      return await measure(await stand(context, engine, dir.path, later));
    }),
};

async function stand(
  context: Context,
  engine: Engine,
  dir: string,
  later: (undo: () => unknown) => void,
): Promise<Stand> {
  const { netns, socketPath } = engine;
  const { caFile, agentToken } = resolverFiles(join(dir, "resolver"));
  const resolver = await startPart("resolver", { "state-dir": join(dir, "resolver") }, { netns });
  later(() => resolver.stop());
  const program = await buildAgent(join(dir, "program"));
  const standard = { resolver: resolverUrl, ca: caFile, "token-file": agentToken };
  return {
    context,
    engine,
    dir,
    later,
    async startAgent(name, changed = {}) {
      const own = { engine: `unix://${socketPath}`, "state-dir": join(dir, name), "host-label": name };
      const started = await startPart("agent", { ...standard, ...own, ...changed }, { netns }, program);
      later(() => started.stop());
      return started;
    },
  };
}

async function measure(given: Stand): Promise<Result[]> {
  const { context, engine, later } = given;
  const [few, many] = context.quick ? [20, 100] : [published, 1000];
  const started = await given.startAgent("bench");
  const poller = startProgram<PollOrders>("doh-poll.ts", { netns: engine.netns });
  later(() => poller.stop());
  const alone = await timeStarts(given, poller);
  await sleep(context.quick ? 0 : settleMs);
  const memory = memoryRows("no container running", started.pid, engine);
  await runContainers(given, few, (index) => ({ name: `published-${index}`, publish: ["80"] }));
  const [agentRow, ...others] = memoryRows(`${few} containers`, started.pid, engine);
  memory.push({ ...agentRow, bars: [{ of: "median", atMost: 70 }] }, ...others);
  await runContainers(given, many - few, (index) => ({ name: `plain-${index}`, network: "none" }));
  memory.push(...memoryRows(`${many} containers`, started.pid, engine));
  const crowded = await timeStarts(given, poller);
  return [
    {
      what: "start to answer, no other container",
      unit: "ms",
      summary: summarize(alone),
      bars: [
        { of: "median", atMost: 30 },
        { of: "p99", atMost: 150 },
      ],
      note: pollNote,
    },
    {
      what: `start to answer, ${many} others`,
      unit: "ms",
      summary: summarize(crowded),
      ratio: { to: "no other container", summary: ratio(crowded, alone) },
      bars: [{ of: "ratio", atMost: 2 }],
      note: `all of them real, ${few} with a published port, the others without a network`,
    },
    ...memory,
    ...(await passRows(given, many)),
  ];
}

const pollNote = "includes the last poll of the client; event-to-answer says how long one takes";

async function timeStarts({ context, engine, dir, later }: Stand, poller: Poller): Promise<number[]> {
  const { caFile } = resolverFiles(join(dir, "resolver"));
  const owner = serviceOwner(nameBelow(subject, zone), "tcp", 80);
  // A new connection: the resolver ends one that was idle for as long as a thousand containers take to start.
  await poller.ask("open", { origin: resolverUrl, caFile, owner });
  // From here on: those of other containers' starts are none of ours.
  const events = await followEvents(engine.socketPath);
  later(() => events.close());
  const counted = context.quick ? 10 : 100;
  const warmUp = 3;
  const taken: number[] = [];
  context.say(`${counted} starts`);
  for (let round = 0; round < warmUp + counted; round++) {
    const { ms } = await timeStart(engine, events, poller);
    await timeDeath(engine, events, poller);
    if (round >= warmUp) taken.push(ms);
  }
  return taken;
}

type Containers = (index: number) => Parameters<Engine["runContainer"]>[0];

async function runContainers({ context, engine }: Stand, count: number, options: Containers): Promise<void> {
  context.say(`${count} more containers`);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await engine.runContainer({ command: ["sleep", "1000000"], ...options(next++) });
  };
  await Promise.all(Array.from({ length: parallel }, lane));
  await sleep(settleMs);
}

function memoryRows(what: string, pid: number, { pid: enginePid = 0 }: Engine): [Result, Result] {
  const row = (who: string, one: number): Result => {
    return { what: `${who}, ${what}`, unit: "MiB resident", summary: summarize([residentMemory(one)]) };
  };
  return [row("agent", pid), row("dockerd", enginePid)];
}

/** Of a second agent with a resync every second and no event: what one costs in calls, time and CPU time. */
async function passRows(given: Stand, many: number): Promise<Result[]> {
  const { context, engine, dir, later } = given;
  const socket = await countCalls(join(dir, "counted.sock"), engine.socketPath);
  later(() => socket.close());
  const quiet = await given.startAgent("pass", {
    engine: `unix://${join(dir, "counted.sock")}`,
    resync: "1",
    // The first agent has the port.
    status: "off",
  });
  await sleep(settleMs);
  const seconds = context.quick ? 5 : 20;
  context.say(`${seconds} s of passes`);
  socket.calls.length = 0;
  const before = cpuSeconds(quiet.pid);
  await sleep(seconds * 1000);
  const cpuMs = (cpuSeconds(quiet.pid) - before) * 1000;
  const calls = [...socket.calls];
  const lists = calls.filter(({ path }) => /^(\/v[\d.]+)?\/containers\/json/.test(path));
  const what = `one pass over ${many} containers`;
  const passes = lists.length;
  return [
    {
      what: `${what}: its list`,
      unit: "ms",
      summary: summarize(lists.map(({ ms }) => ms)),
      note: "dockerd's time is nearly all of it",
    },
    {
      what,
      unit: "calls",
      summary: summarize([calls.length / passes]),
      bars: [{ of: "median", atMost: 1 }],
      note: `mean of ${passes} passes`,
    },
    {
      what,
      unit: "ms of CPU time",
      summary: summarize([cpuMs / passes]),
      note: `mean of ${passes} passes`,
    },
  ];
}
