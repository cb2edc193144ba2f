import { lookup } from "node:dns/promises";

import { type Address, parseAddress } from "../../shared/address.ts";

/** What getaddrinfo(3) finds, in its order (RFC 6724). Rejects with code ENOTFOUND when it finds nothing. */
export async function systemLookup(name: string): Promise<Address[]> {
  const found = await lookup(name, { all: true, order: "verbatim" });
  return found.flatMap(({ address }) => parseAddress(address) ?? []);
}

/**
 * How many of them may be for names of strangers at once. libuv runs getaddrinfo(3) on half of its threads, which are 4 unless
 * UV_THREADPOOL_SIZE says otherwise, and has all others wait for as long as it takes. Where there are many, two are left free: for the
 * resolver's own hostname, say.
 */
export function systemLookupsAtOnce(): number {
  const { UV_THREADPOOL_SIZE: poolSize } = process.env;
  // As libuv reads it.
  const threads = poolSize === undefined ? 4 : Number.parseInt(poolSize, 10) || 1;
  const half = Math.max(1, Math.floor((threads + 1) / 2));
  return Math.max(Math.min(half, 2), half - 2);
}
