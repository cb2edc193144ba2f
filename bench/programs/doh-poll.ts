import type { ClientHttp2Session } from "node:http2";

import { RRType } from "../../shared/dns/constants.ts";
import { decodeResponse, encodeQuery } from "../../shared/dns/message.ts";
import { parseName } from "../../shared/name.ts";
import { exchange, openSession } from "./doh-session.ts";
import { takeOrders } from "./orders.ts";

/** Asks one SRV question again and again, the next one as soon as the last is answered, and says when the answer changed. */

const patienceMs = 20_000;
let session: ClientHttp2Session;
let query: Uint8Array;

const orders = {
  async open({ origin, caFile, owner }: { origin: string; caFile: string; owner: string }): Promise<void> {
    session = await openSession(origin, caFile);
    query = encodeQuery(parseName(owner), RRType.SRV);
  },

  /**
   * When the first answer with a port came (or the first without one), in milliseconds of the wall clock; and the time from the answer
   * before: the change happened no earlier than that.
   */
  async until(wanted: "present" | "absent") {
    const clock = anchoredClock();
    const givesUpAt = clock() + patienceMs;
    let last = clock();
    while (last < givesUpAt) {
      const port = await ask();
      const at = clock();
      if ((port !== undefined) === (wanted === "present")) return { at, port, sinceLast: at - last };
      last = at;
    }
    throw new Error(`the record was not ${wanted} within ${patienceMs} ms`);
  },
};

export type PollOrders = typeof orders;
takeOrders(orders);

async function ask(): Promise<number | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  exchange(session, { method: "POST" }, query, (fault, answer) => {
    if (fault === undefined) resolve(answer);
    else reject(fault);
  });
  const rdata = decodeResponse(await promise).answer[0]?.rdata;
  return rdata?.type === RRType.SRV ? rdata.port : undefined;
}

/**
 * The wall clock, which the engine's events carry, in fractions of a millisecond. Date.now() counts whole ones; so the monotonic clock
 * counts on from the moment it ticked over. Anchored anew for every measurement: the two clocks drift apart.
 */
function anchoredClock(): () => number {
  const before = Date.now();
  let now = before;
  while (now === before) now = Date.now();
  const offset = now - performance.now();
  return () => offset + performance.now();
}
