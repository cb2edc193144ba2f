import type { ClientHttp2Session } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";

import { RRType } from "../../shared/dns/constants.ts";
import { encodeQuery } from "../../shared/dns/message.ts";
import { ownerAt } from "../registry.ts";
import { exchange, openSession } from "./doh-session.ts";
import { takeOrders } from "./orders.ts";

/** Asks one name after the other, with a short pause: how long the resolver's loop keeps a lookup waiting. */

const pauseMs = 2;
let session: ClientHttp2Session;
let goesOn = false;
let asking: Promise<number[]> | undefined;

const orders = {
  async open({ origin, caFile }: { origin: string; caFile: string }): Promise<void> {
    session = await openSession(origin, caFile);
  },

  /** Begins to ask for names from `from` to `to` - 1 in turn. */
  begin({ from, to }: { from: number; to: number }): void {
    goesOn = true;
    asking = ask(from, to);
  },

  /** Milliseconds of every answer since then. */
  async end(): Promise<number[]> {
    goesOn = false;
    return (await asking) ?? [];
  },

  /** Of names in that range, how many have a positive answer. */
  async count({ names }: { names: number[] }): Promise<number> {
    const answers = await Promise.all(names.map((index) => answerOf(index)));
    return answers.filter(isPositive).length;
  },
};

export type ProbeOrders = typeof orders;
takeOrders(orders);

async function ask(from: number, to: number): Promise<number[]> {
  const taken: number[] = [];
  for (let next = 0; goesOn; next++) {
    const startedAt = performance.now();
    await answerOf(from + (next % (to - from)));
    taken.push(performance.now() - startedAt);
    await sleep(pauseMs);
  }
  return taken;
}

function answerOf(index: number): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  exchange(session, { method: "POST" }, encodeQuery(ownerAt(index), RRType.SRV), (fault, answer) => {
    if (fault === undefined) resolve(answer);
    else reject(fault);
  });
  return promise;
}

/** At least one answer (RFC 1035 §4.1.1). */
function isPositive(answer: Uint8Array): boolean {
  return ((answer[6] ?? 0) << 8) + (answer[7] ?? 0) > 0;
}
