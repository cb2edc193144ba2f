import { getHeapSpaceStatistics } from "node:v8";

import type { SqliteStore } from "../../resolver/store/sqlite.ts";
import { RRType } from "../../shared/dns/constants.ts";
import {
  agentAccess,
  bindingsPerHost,
  fill,
  hostIdAt,
  mustAccept,
  openRegistry,
  ownerAt,
  pushAt,
} from "../registry.ts";
import { takeOrders } from "./orders.ts";

/** A registry in a process of its own, so that its memory and its garbage are its own too. */
let store: SqliteStore;
let hosts = 0;
/** How often every host has changed its set, and spoken. */
let changes = 0;
let sequence = 1;
const renewalsEach = 50;

const orders = {
  async create({ file, bindings }: { file: string; bindings: number }): Promise<void> {
    store = openRegistry(file);
    hosts = bindings / bindingsPerHost;
    await fill(store, hosts);
  },

  /** Opens what another process filled, until the first right answer; memory is what lives after a collection. */
  async open({ file, bindings }: { file: string; bindings: number }) {
    const before = memory();
    const cpuBefore = process.cpuUsage();
    const startedAt = performance.now();
    store = openRegistry(file);
    const ports = await portsAt(bindings - 1);
    const ms = performance.now() - startedAt;
    const { user, system } = process.cpuUsage(cpuBefore);
    if (ports.length !== 1) throw new Error(`the last name has ${ports.length} ports instead of one`);
    const after = memory();
    return { ms, cpuMs: (user + system) / 1000, before, after };
  },

  /** Asks for `count` names from all over the zone; memory as for `open`. */
  async ask({ bindings, count }: { bindings: number; count: number }) {
    const step = Math.max(1, Math.floor(bindings / count));
    for (let index = 0; index < Math.min(count, bindings); index++) {
      const ports = await portsAt(index * step);
      if (ports.length !== 1)
        throw new Error(`name ${index * step} has ${ports.length} ports instead of one`);
      // Between two questions a resolver's loop turns, and its garbage can be collected.
      if (index % 1000 === 0) await new Promise((resume) => setImmediate(resume));
    }
    return memory();
  },

  /** Pushes of `count` hosts with one changed binding each. */
  async push(count: number) {
    changes++;
    sequence++;
    const pushes = await Promise.all(
      spread(count).map(async (host) => ({ host, push: await pushAt(host, changes, store.generation()) })),
    );
    const costs = await timed(pushes, ({ host, push }) =>
      mustAccept(store, hostIdAt(host), { ...push, sequence }),
    );
    for (const { host, push } of pushes) {
      const wanted = push.declared.bindings[0]?.port;
      const ports = await portsAt(host * bindingsPerHost);
      if (ports.join() !== String(wanted))
        throw new Error(`pushed port ${wanted}, and ${ports.join()} answers`);
    }
    return costs;
  },

  /** Renewals of the sets last pushed by the same hosts, many of each: one alone is too short to be timed. */
  async renew(count: number) {
    const pushed = await Promise.all(
      spread(count).map(async (host) => {
        const { declared: _, ...turn } = await pushAt(host, changes, store.generation());
        return { host, turn };
      }),
    );
    const turns = Array.from({ length: renewalsEach }, () => ++sequence).flatMap((sequence) =>
      pushed.map(({ host, turn }) => ({ host, turn: { ...turn, sequence } })),
    );
    return timed(turns, async ({ host, turn }) => {
      const { kind } = await store.renew(hostIdAt(host), turn, agentAccess);
      if (kind !== "accepted") throw new Error(`the registry said ${kind} to a renewal`);
    });
  },
};

export type RegistryOrders = typeof orders;
takeOrders(orders);

/** Hosts from all over the zone, the same ones every time. */
function spread(count: number): number[] {
  const step = Math.max(1, Math.floor(hosts / count));
  return Array.from({ length: Math.min(count, hosts) }, (_, index) => index * step);
}

/** Milliseconds of each step, and the process' CPU milliseconds per step: the rest was spent waiting for the disk. */
async function timed<T>(items: T[], step: (item: T) => Promise<void>) {
  const cpuBefore = process.cpuUsage();
  const ms: number[] = [];
  for (const item of items) {
    const startedAt = performance.now();
    await step(item);
    ms.push(performance.now() - startedAt);
  }
  const { user, system } = process.cpuUsage(cpuBefore);
  return { ms, cpuMs: (user + system) / 1000 / items.length };
}

async function portsAt(index: number): Promise<number[]> {
  const { rrsets } = await store.read(ownerAt(index));
  return rrsets.flatMap((rrset) =>
    rrset.rdata.flatMap((rdata) => (rdata.type === RRType.SRV ? rdata.port : [])),
  );
}

/** What lives after a collection; resident stays what V8 has no reason to give back. */
function memory() {
  globalThis.gc?.();
  const { rss, heapUsed } = process.memoryUsage();
  const young = getHeapSpaceStatistics().filter(({ space_name }) => space_name === "new_space");
  return { rss, heap: heapUsed, young: young.reduce((sum, space) => sum + space.physical_space_size, 0) };
}
