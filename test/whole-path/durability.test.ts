import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { binding } from "../../resolver/store/contract/builders.ts";
import type { AuditList } from "../../shared/audit.ts";
import type { Declared } from "../../shared/binding.ts";
import { digestOf } from "../../shared/digest.ts";
import type { HostList, ServiceList } from "../../shared/registry-views.ts";
import { RegistryBed } from "./registry-bed.ts";
import { RegistryHost } from "./registry-host.ts";

const pushes = 10_000;
const kills = 3;
const hostCount = 8;
const seed = Number(process.env.BERTH_TEST_SEED ?? Date.now() % 1_000_000);

/** mulberry32: the same sequence for the same seed. */
function seeded(state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A host that pushes one set after the other; all bindings of one have its number as their port, so that a mixture would show. */
class Pusher {
  readonly host: RegistryHost;
  acknowledged = 0;
  sent = 0;
  acknowledgements = 0;

  constructor(host: RegistryHost) {
    this.host = host;
  }

  /** Some names come and go from set to set. */
  setOf(number: number): Declared {
    const names = ["a", "b", `c${number % 3}`, ...(number % 2 === 0 ? ["d", "e"] : [])];
    return this.host.declare(names.map((name) => binding(`${name}.${this.host.label}`, { port: number })));
  }

  async pushNext(): Promise<void> {
    this.sent++;
    const reply = await this.host.push(this.setOf(this.sent));
    if (reply.status !== 200) throw new Error(`push ${this.sent} of ${this.host.label}: ${reply.body}`);
    this.acknowledged = this.sent;
    this.acknowledgements++;
  }
}

describe(`a resolver killed in the middle of ${pushes} pushes (BERTH_TEST_SEED=${seed})`, () => {
  let bed: RegistryBed;
  let pushers: Pusher[];

  beforeAll(async () => {
    bed = await RegistryBed.start();
    const labels = Array.from({ length: hostCount }, (_, index) => `h${index}`);
    pushers = await Promise.all(labels.map(async (label) => new Pusher(await RegistryHost.make(bed, label))));
  });
  afterAll(() => bed?.close());

  it(`has every acknowledged one whole after each of ${kills} kills, and in its audit record`, async () => {
    const random = seeded(seed);
    const part = pushes / (kills + 1);
    for (let kill = 0; kill < kills; kill++) {
      await pushUntilKilled(Math.floor(part * (kill + 0.3 + 0.6 * random())), random() * 3);
      await bed.restart();
      await expectWhole();
    }
    await pushUntil(pushes);
    await expectWhole();
    await expectAudited();
  });

  const acknowledgedInAll = () => pushers.reduce((sum, { acknowledgements }) => sum + acknowledgements, 0);

  async function pushUntil(total: number): Promise<void> {
    await Promise.all(
      pushers.map(async (pusher) => {
        while (acknowledgedInAll() < total) await pusher.pushNext();
      }),
    );
  }

  /** All hosts push on until the end of the process breaks off what is under way. */
  async function pushUntilKilled(total: number, delayMs: number): Promise<void> {
    const work = pushers.map(async (pusher) => {
      while (bed.part.isRunning) await pusher.pushNext();
    });
    const broken = Promise.allSettled(work);
    while (acknowledgedInAll() < total) await sleep(1);
    await sleep(delayMs);
    await bed.part.kill9();
    for (const outcome of await broken) {
      if (outcome.status === "rejected")
        expect(String(outcome.reason)).toMatch(/ECONNRE|socket hang up|EPIPE|aborted/);
    }
  }

  async function expectWhole(): Promise<void> {
    const { hosts } = await bed.json<HostList>("/v1/hosts");
    const { services } = await bed.json<ServiceList>("/v1/services");
    const digests = new Map(hosts.map(({ hostLabel, digest }) => [hostLabel, digest]));
    for (const pusher of pushers) {
      const { label } = pusher.host;
      const ports = new Map(
        services
          .flatMap(({ name, ports }) =>
            ports.flatMap(({ endpoints }) =>
              endpoints.map(({ hostLabel, port }) => [name, hostLabel, port] as const),
            ),
          )
          .filter(([, hostLabel]) => hostLabel === label)
          .map(([name, , port]) => [name as string, port]),
      );
      const number = [...ports.values()][0] ?? 0;
      expect(
        [pusher.acknowledged, pusher.sent],
        `${label}: the last set acknowledged, or the one under way`,
      ).toContain(number);
      const set = pusher.setOf(number);
      expect(Object.fromEntries(ports), `${label}: set ${number} and no other`).toEqual(
        Object.fromEntries(set.bindings.map(({ name }) => [name, number])),
      );
      expect(digests.get(label)).toBe(await digestOf(set));
    }
  }

  async function expectAudited(): Promise<void> {
    const rows = new Map<string, number>();
    for (let before: number | undefined; before !== 0; ) {
      const page = before === undefined ? "" : `&before=${before}`;
      const { entries } = await bed.json<AuditList>(`/v1/audit?limit=1000${page}`);
      for (const { target } of entries.filter(({ action }) => action === "push"))
        rows.set(target, (rows.get(target) ?? 0) + 1);
      before = entries[0]?.id === 1 ? 0 : (entries[0]?.id ?? 0);
    }
    for (const { host, acknowledgements } of pushers) {
      const written = rows.get(host.hostId) ?? 0;
      expect(written, `${host.label}: a row for every acknowledged push`).toBeGreaterThanOrEqual(
        acknowledgements,
      );
      expect(written, `${host.label}: and for none that never was`).toBeLessThanOrEqual(
        acknowledgements + kills,
      );
    }
  }
});
