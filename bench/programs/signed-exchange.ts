import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { Agent, request } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";

import type { SignedRequest } from "./signed-hosts.ts";

/** How requests reach the resolver: over HTTP/1.1 like an agent's. */
export interface Way {
  origin: string;
  ca: Buffer;
  agent: Agent;
}

/** At most `connections` at a time, kept open for the next request, or each for one request only. */
export function openWay(origin: string, ca: Buffer, connections: number, keepAlive: boolean): Way {
  return { origin, ca, agent: new Agent({ keepAlive, maxSockets: connections, ca }) };
}

export interface Reply {
  status: number;
  text: string;
  ms: number;
}

/** One exchange, timed from the call until the reply is here as a whole. */
export async function exchange(way: Way, { method, path, headers, body }: SignedRequest): Promise<Reply> {
  const startedAt = performance.now();
  const length = body === undefined ? {} : { "content-length": body.length };
  const sent = request(new URL(path, way.origin), {
    method,
    headers: { ...headers, ...length },
    agent: way.agent,
  });
  sent.end(body);
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  const text = Buffer.concat(await response.toArray()).toString();
  return { status: response.statusCode ?? 0, text, ms: performance.now() - startedAt };
}

/** As `exchange`; throws unless it was accepted. Milliseconds. */
export async function mustBeAccepted(way: Way, signed: SignedRequest): Promise<number> {
  const { status, text, ms } = await exchange(way, signed);
  if (status === 200) return ms;
  throw new Error(`${signed.method} ${signed.path}: HTTP ${status}: ${text.slice(0, 300)}`);
}

/** All of them, `lanes` at a time. */
export async function allAtOnce<T>(
  items: readonly T[],
  lanes: number,
  step: (item: T) => Promise<number>,
): Promise<number[]> {
  const taken: number[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) taken.push(await step(item));
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return taken;
}

/** All of them, begun `perSecond` a second, whether or not the ones before have ended: a fleet does not wait either. */
export async function paced<T>(
  items: readonly T[],
  perSecond: number,
  step: (item: T) => Promise<number>,
): Promise<number[]> {
  const startedAt = performance.now();
  const taken: Promise<number>[] = [];
  for (const [index, item] of items.entries()) {
    const wait = startedAt + (index * 1000) / perSecond - performance.now();
    if (wait > 1) await sleep(wait);
    const one = step(item);
    // Told when all are awaited; unheard until then, it would end the program.
    one.catch(() => undefined);
    taken.push(one);
  }
  return Promise.all(taken);
}
