import type { ClientHttp2Session } from "node:http2";

import { RRType } from "../../shared/dns/constants.ts";
import { encodeQuery } from "../../shared/dns/message.ts";
import { ownerAt } from "../registry.ts";
import { exchange, type Method, openSession } from "./doh-session.ts";
import { takeOrders } from "./orders.ts";

/** Asks SRV of all names in turn, in an order that jumps about, with a fixed number of questions in flight per connection. */

interface Load {
  origin: string;
  caFile: string;
  path: string;
  method: Method;
  names: number;
  sessions: number;
  inFlight: number;
  seconds: number;
}

const kept = new Map<string, ClientHttp2Session[]>();
/** By number of names: their questions, and how many of them were asked. */
const encoded = new Map<number, Uint8Array[]>();
const asked = new Map<number, number>();
/** Prime, so that it takes turns through all names, from all over the zone. */
const stride = 7_919;

const orders = {
  /** How many answers came in how many seconds; one that is not a positive answer is a fault. */
  async run({ origin, caFile, path, method, names, sessions, inFlight, seconds }: Load) {
    const queries = queriesFor(names);
    const open = kept.get(origin) ?? (await openSessions(origin, caFile, sessions));
    kept.set(origin, open);
    const startedAt = performance.now();
    const endsAt = startedAt + seconds * 1000;
    let answers = 0;
    // From where the last run ended: begun anew, every run would ask for names that the one before made hot.
    let next = asked.get(names) ?? 0;
    const lanes = open.flatMap((session) => Array.from({ length: inFlight }, () => lane(session)));
    await Promise.all(lanes);
    asked.set(names, next);
    return { answers, seconds: (performance.now() - startedAt) / 1000 };

    /** One question after the other, until the time is over. */
    function lane(session: ClientHttp2Session): Promise<void> {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const ask = (): void => {
        if (performance.now() >= endsAt) {
          resolve();
          return;
        }
        const query = queries[next++ % queries.length] ?? new Uint8Array();
        exchange(session, { method, path }, query, (fault, answer) => {
          if (fault !== undefined) return reject(fault);
          if (!isPositive(answer))
            return reject(new Error("an answer without the record that was asked for"));
          answers++;
          ask();
        });
      };
      ask();
      return promise;
    }
  },

  /** One answer, for the server that repeats it. */
  async sample({ origin, caFile }: { origin: string; caFile: string }): Promise<Uint8Array> {
    const session = await openSession(origin, caFile);
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    exchange(session, { method: "POST" }, encodeQuery(ownerAt(0), RRType.SRV), (fault, answer) => {
      if (fault === undefined) resolve(answer);
      else reject(fault);
    });
    const answer = await promise;
    session.close();
    return answer;
  },
};

export type LoadOrders = typeof orders;
takeOrders(orders);

function queriesFor(names: number): Uint8Array[] {
  const known =
    encoded.get(names) ??
    Array.from({ length: names }, (_, index) => encodeQuery(ownerAt((index * stride) % names), RRType.SRV));
  encoded.set(names, known);
  return known;
}

function openSessions(origin: string, caFile: string, count: number): Promise<ClientHttp2Session[]> {
  return Promise.all(Array.from({ length: count }, () => openSession(origin, caFile)));
}

/** NOERROR, and at least one answer (RFC 1035 §4.1.1). Decoding every answer would make the generator the slower side. */
function isPositive(answer: Uint8Array): boolean {
  return ((answer[3] ?? 15) & 15) === 0 && ((answer[6] ?? 0) << 8) + (answer[7] ?? 0) > 0;
}
