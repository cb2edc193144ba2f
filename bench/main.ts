import { parseArgs } from "node:util";

import { describeFault } from "../shared/errors.ts";
import { stopAll } from "../test/testbed/started-process.ts";
import { verdictsOf } from "./bar.ts";
import type { Bench, Context } from "./bench.ts";
import { agent } from "./benches/agent.ts";
import { dohAnswers } from "./benches/doh-answers.ts";
import { eventToAnswer } from "./benches/event-to-answer.ts";
import { feed } from "./benches/feed.ts";
import { fleet } from "./benches/fleet.ts";
import { pushCost } from "./benches/push-cost.ts";
import { socks } from "./benches/socks.ts";
import { machineFacts, shareUsedByOthers } from "./machine.ts";
import { type Outcome, writeReport } from "./report.ts";

const benches = [eventToAnswer, agent, dohAnswers, pushCost, fleet, feed, socks];

process.exitCode = await main();

/** 0 when nothing failed and each bar was met; what could not run here is no failure, but stands in the report. */
async function main(): Promise<number> {
  const chosen = readArguments();
  if (typeof chosen === "string") {
    process.stderr.write(`${chosen}\n`);
    return 2;
  }
  endOnSignal();
  const { quick, wanted } = chosen;
  const machine = machineFacts();
  const outcomes: Outcome[] = [];
  for (const bench of wanted) outcomes.push(await outcomeOf(bench, quick));
  // A look at one bench must not replace the figures of a whole run.
  const name = quick || wanted.length < benches.length ? "partial" : "latest";
  console.log(`\n${writeReport({ machine, quick, outcomes }, name)}`);
  console.log(`bench/results/${name}.json and ${name}.md are written.`);
  // Few rounds and small sizes are for no bar.
  const missed = quick ? [] : barsNotMet(outcomes);
  for (const line of missed) console.log(line);
  return missed.length > 0 || outcomes.some(({ failed }) => failed !== undefined) ? 1 : 0;
}

/** Missed, or not judged: a figure that was not taken proves nothing. */
function barsNotMet(outcomes: Outcome[]): string[] {
  return outcomes.flatMap(({ name, results }) =>
    results.flatMap((result) =>
      verdictsOf(result)
        .filter(({ isMet }) => isMet !== true)
        .map(({ text }) => `${name}: ${result.what}: ${text}`),
    ),
  );
}

function readArguments(): { quick: boolean; wanted: Bench[] } | string {
  const names = benches.map(({ name }) => name).join(", ");
  const usage = `npm run bench -- [--quick] [NAME ...], with names from ${names}`;
  try {
    const options = { quick: { type: "boolean", default: false } } as const;
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    const unknown = positionals.filter((name) => !benches.some((bench) => bench.name === name));
    if (unknown.length > 0) return `there is no bench "${unknown.join('", "')}"; ${usage}`;
    const wanted = benches.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
    return { quick: values.quick, wanted };
  } catch (fault) {
    return `${describeFault(fault)}; ${usage}`;
  }
}

async function outcomeOf(bench: Bench, quick: boolean): Promise<Outcome> {
  const { name, about } = bench;
  const context: Context = { quick, say: (line) => process.stderr.write(`${name}: ${line}\n`) };
  const usedByOthers = await shareUsedByOthers();
  const startedAt = performance.now();
  const outcome = { name, about, results: [], seconds: 0, usedByOthers };
  const notRun = bench.whyNot();
  if (notRun !== undefined) return { ...outcome, notRun };
  try {
    const results = await bench.run(context);
    return { ...outcome, results, seconds: (performance.now() - startedAt) / 1000 };
  } catch (fault) {
    context.say(`failed: ${describeFault(fault)}`);
    return { ...outcome, failed: describeFault(fault) };
  } finally {
    await stopAll();
  }
}

/** The testbed's janitor removes namespaces, engines and directories of a run that ends early; programs end with their channel. */
function endOnSignal(): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
}
