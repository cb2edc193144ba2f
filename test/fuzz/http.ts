import { deepStrictEqual } from "node:assert";

import { type Case, caseOf, chunksOf, describeCase } from "./cases.ts";
import { httpRequests } from "./http-exchanges.ts";
import { HttpRun, type SeenRun } from "./http-run.ts";
import { MemoryWire } from "./memory-wire.ts";
import type { Tally } from "./pure.ts";

/** Cases under way together: they share the turns of the event loop that each would need for itself. */
const atOnce = 100;
/** One batch in so many is not compared: its clients send on while they are answered, and leave as their case says. */
const oneBatchLoose = 3;
/** Beyond this one side reads more slowly than the other writes, and how far each has come hangs on how the octets were cut. */
const mostCompared = 12_000;
const nothing = new Uint8Array(0);
const unheardOf = ["uncaughtException", "unhandledRejection"] as const;

/** Puts cases `from` to `to` of `seed` to the HTTP proxy, over connections in memory. Throws on the first that breaks a promise. */
export async function fuzzHttp(seed: number, from: number, to: number, tally: Tally): Promise<void> {
  for (let first = from; first < to; first += atOnce) {
    const length = Math.min(atOnce, to - first);
    const cases = Array.from({ length }, (_, i) => caseOf(seed, first + i, httpRequests));
    const isLoose = Math.floor(first / atOnce) % oneBatchLoose === 0;
    const fault = await faultOf(cases, isLoose, tally);
    if (fault !== undefined) await blame(cases, isLoose, fault);
  }
}

/** What was thrown outside every call belongs to one of the cases: each by itself says to which. */
async function blame(cases: readonly Case[], isLoose: boolean, fault: unknown): Promise<never> {
  for (const one of cases) {
    const cause = await faultOf([one], isLoose, new Map());
    if (cause !== undefined) throw new Error(describeCase(one), { cause });
  }
  const [{ seed, index } = { seed: 0, index: 0 }] = cases;
  throw new Error(`seed ${seed}, cases ${index} to ${index + cases.length}, together`, { cause: fault });
}

async function faultOf(cases: readonly Case[], isLoose: boolean, tally: Tally): Promise<unknown> {
  const faults: unknown[] = [];
  const hear = (fault: unknown): void => void faults.push(fault);
  for (const event of unheardOf) process.on(event, hear);
  try {
    const wire = new MemoryWire();
    for (const { client } of await (isLoose ? tryLoosely : compare)(cases, wire)) {
      const status = outcomeOf(client);
      tally.set(status, (tally.get(status) ?? 0) + 1);
    }
    if (wire.open > 0) throw new Error(`${wire.open} ends of connections stay open`);
  } catch (fault) {
    hear(fault);
  } finally {
    for (const event of unheardOf) process.off(event, hear);
  }
  return faults[0];
}

/** Nothing is answered before all is sent, so that what there is to see must be the same however it was cut. */
async function compare(cases: readonly Case[], wire: MemoryWire): Promise<SeenRun[]> {
  const whole = cases.map((one) => new HttpRun(one, wire));
  const cut = cases.map((one) => new HttpRun(one, wire));
  const runs = [...whole, ...cut];
  for (const run of whole) run.begin(run.tried.bytes);
  for (const run of cut) {
    run.begin(nothing);
    for (const chunk of chunksOf(run.tried)) run.send(chunk);
  }
  await wire.rest();
  for (const run of runs) run.answer();
  await wire.rest();
  for (const run of runs) run.end();
  await wire.rest();
  for (const run of runs) run.leave();
  await wire.rest();
  return whole.map((run, i) => {
    const [seen, other] = [run.seen(), cut[i]?.seen()];
    if (isComparable(run.tried)) deepStrictEqual(other, seen);
    return seen;
  });
}

/**
 * Of what comes at once, Node's parser drops all that is behind a request for another protocol that is not granted (h2c, one with a
 * body's length, or HTTP/2's own preface); of what comes later it drops nothing.
 */
function isComparable({ bytes }: Case): boolean {
  const text = Buffer.from(bytes).toString("latin1");
  const isUpgrade = /\nupgrade[ \t]*:/i.test(text) && /h2c|content-length|transfer-encoding/i.test(text);
  return bytes.length <= mostCompared && !isUpgrade && !text.includes("PRI ");
}

async function tryLoosely(cases: readonly Case[], wire: MemoryWire): Promise<SeenRun[]> {
  const runs = cases.map((one) => new HttpRun(one, wire));
  await Promise.all(runs.map(sendSlowly));
  await wire.rest();
  for (const run of runs) run.leave();
  await wire.rest();
  return runs.map((run) => run.seen());
}

async function sendSlowly(run: HttpRun): Promise<void> {
  const [early = nothing, ...chunks] = chunksOf(run.tried);
  run.answer();
  run.begin(early);
  for (const chunk of chunks) {
    await new Promise(setImmediate);
    run.send(chunk);
  }
  if (run.tried.ending === "half-close") run.end();
  if (run.tried.ending === "reset") run.leave();
}

function outcomeOf(client: string): string {
  if (client.startsWith("HTTP/1.1 200 Connection Established")) return "HTTP tunnel";
  return /^HTTP\/1\.1 \d{3}/.exec(client)?.[0] ?? "HTTP without a reply";
}
