import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { NewAuditEntry } from "../../resolver/audit.ts";
import type { Change } from "../../resolver/changes.ts";
import { standardSettings } from "../../resolver/settings.ts";
import {
  accepted,
  binding,
  endpointsAt,
  existsAt,
  heldAt,
  refusedIn,
  TestHost,
  tokenOf,
  zone,
} from "../../resolver/store/contract/builders.ts";
import { keysFor } from "../../resolver/store/etcd/layout.ts";
import { auditEntry, makeToken } from "../../resolver/testing/tokens.ts";
import { BerthError } from "../../shared/errors.ts";
import { parseName } from "../../shared/name.ts";
import { type EtcdCluster, startEtcdCluster } from "../testbed/etcd.ts";
import { until } from "../testbed/wait.ts";
import {
  agreed,
  blind,
  type EtcdResolver,
  openResolver,
  type ResolverOptions,
  viewOf,
} from "./etcd-resolver.ts";
import { gatewayTo, type LoggedGateway, watching } from "./etcd-watching.ts";

let cluster: EtcdCluster;
let root = "";
let rooms = 0;
const opened: { close(): unknown }[] = [];

beforeAll(async () => {
  cluster = await startEtcdCluster();
});
beforeEach(() => {
  root = `/berth-${++rooms}`;
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()));
  await cluster.startAll();
});
afterAll(() => cluster?.close());

async function open(options: ResolverOptions = {}): Promise<EtcdResolver> {
  const resolver = await openResolver(cluster, root, options);
  opened.push(resolver);
  return resolver;
}

function openTwo(): Promise<[EtcdResolver, EtcdResolver]> {
  return Promise.all([open(), open({ first: 1 })]);
}

/** etcd as seen past every resolver. */
function directly(): LoggedGateway {
  const gateway = gatewayTo(cluster);
  opened.push(gateway);
  return gateway;
}

const keys = () => keysFor(zone, root);
const short = { lease: 5 };
const unavailable = { code: "store-unavailable", retryable: true };
const patient = { timeoutMs: 30_000 };

/** `count` services of one stack, all on one host. */
function many(count: number, at = "10.0.0.5", stack = "big") {
  return Array.from({ length: count }, (_, n) => binding(`svc-${n}.${stack}`, { port: 1024 + n, at: [at] }));
}

/** As its agent would: says it again until it is taken. */
async function pushed(
  host: TestHost,
  resolver: EtcdResolver,
  ...said: DropFirst<Parameters<TestHost["push"]>>
) {
  const attempt = async () => accepted(host.push(resolver.store, ...said));
  return until("the push is taken", attempt, { ...patient, everyMs: 200 });
}
type DropFirst<T extends unknown[]> = T extends [unknown, ...infer Rest] ? Rest : never;

describe("a large host on etcd", () => {
  it("registers 5,000 bindings within etcd's limits, and one changed binding writes one chunk and the head", async () => {
    const [a, b] = await openTwo();
    const nas = new TestHost("a", "nas");
    // One name with more than a chunk holds, and 5,000 in all.
    const replicas = Array.from({ length: 500 }, (_, n) => binding("replicas", { port: 20_000 + n }));
    const set = [...many(4500), ...replicas];
    expect((await accepted(nas.push(a.store, set))).refused).toEqual([]);
    const gateway = directly();
    const { items, revision } = await gateway.range({ prefix: keys().hosts });
    const sizes = items.map(({ value }) => Buffer.byteLength(value));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(64 * 1024);
    for (const { compare = [], success, failure = [] } of a.txns) {
      expect(Math.max(compare.length, success.length, failure.length)).toBeLessThanOrEqual(128);
      expect(Buffer.byteLength(JSON.stringify(success))).toBeLessThan(1.4 * 1024 * 1024);
    }
    await agreed(a, b);
    expect((await b.store.services()).services).toHaveLength(4501);

    const watch = watching(gateway, { prefix: root }, revision + 1);
    const isWritten = () => watch.seen().some((word) => word.startsWith(keys().turn(nas.hostId)));
    // Without one of the first names, all that follow stand elsewhere in the set.
    const changed = set.filter(({ name }) => !name.startsWith("svc-1000."));
    await accepted(nas.push(a.store, changed.with(1, binding("svc-1.big", { port: 9 }))));
    await until("the host is written", isWritten);
    const words = watch.calls.flatMap(({ events }) => events.map(wordOf));
    expect(words.filter((word) => word === "chunk").length, "of some 80").toBeLessThanOrEqual(4);
    await agreed(a, b);
    watch.calls.splice(0);
    await accepted(nas.push(a.store, changed.with(1, binding("svc-1.big", { port: 10 }))));
    await until("the host is written", isWritten);
    const again = watch.calls.flatMap(({ events }) => events.map(wordOf));
    // The mark has nothing in it, and one of the change before may come this late.
    expect(again.filter((word) => word !== "mark").toSorted()).toEqual(["-chunk", "chunk", "head", "turn"]);
    await agreed(a, b);
    expect(await endpointsAt(b.store, "_80._tcp.svc-1.big")).toEqual(["10.0.0.5:10"]);
  });
});

function wordOf(event: { kind: string; key?: string; item?: { key: string } }): string {
  const key = event.item?.key ?? event.key ?? "";
  const word =
    /(meta|mark|head|turn|chunk|labels|holds|tokens)(\/|$)/.exec(key.slice(root.length))?.[1] ?? key;
  return event.kind === "delete" ? `-${word}` : word;
}

describe("two resolvers on one etcd", () => {
  it("grant each of 500 names to exactly one of two owners who ask for them at once", async () => {
    const [a, b] = await openTwo();
    const hosts = [
      new TestHost("a", "nas", ["10.0.0.5"], tokenOf("team-a")),
      new TestHost("b", "pi", ["10.0.0.6"], tokenOf("team-b")),
    ] as const;
    const wanted = (at: string) =>
      Array.from({ length: 500 }, (_, n) =>
        binding(`name-${n}`, { at: [at], rule: n % 2 === 0 ? "container" : "compose" }),
      );
    const [first, second] = await Promise.all([
      accepted(hosts[0].push(a.store, wanted("10.0.0.5"))),
      accepted(hosts[1].push(b.store, wanted("10.0.0.6"))),
    ]);
    const refused = [...first.refused, ...second.refused];
    expect(refused).toHaveLength(500);
    expect(new Set(refused.map(({ name }) => name)).size).toBe(500);
    expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(["held"]));
    await agreed(a, b, await open());
    for (const { store } of [a, b]) {
      const { services } = await store.services();
      expect(services).toHaveLength(500);
      expect(services.every(({ ports }) => ports.every(({ endpoints }) => endpoints.length === 1))).toBe(
        true,
      );
    }
  });

  it("grant one label to one of two hosts who ask for it at once", async () => {
    const [a, b] = await openTwo();
    const pairs = ["a", "b", "c", "d", "e", "f", "g", "h"];
    const replies = await Promise.all(
      pairs.map((letter, n) => {
        const host = new TestHost(letter, `nas-${n >> 1}`);
        return accepted(host.push((n % 2 === 0 ? a : b).store, []));
      }),
    );
    await agreed(a, b);
    const labels = replies.map(({ hostLabel }) => hostLabel);
    expect(new Set(labels).size).toBe(pairs.length);
    expect(labels.filter((label) => /^nas-\d$/.test(label))).toHaveLength(4);
    expect((await a.store.hosts()).hosts.map(({ hostLabel }) => hostLabel)).toEqual(labels.toSorted());
  });

  it("grant no label that was taken while a push for it was under way", async () => {
    const [a, b] = await openTwo();
    const isTaken = async () => (await b.store.hosts()).hosts.length === 1;
    b.faults.beforeLease = async () => {
      b.faults.beforeLease = undefined;
      await accepted(new TestHost("a", "nas").push(a.store, []));
      await until("the other sees it", isTaken);
    };
    const late = await accepted(new TestHost("b", "nas").push(b.store, []));
    expect(late.hostLabel).toBe("nas-bbbbbb");
    await agreed(a, b);
    expect((await a.store.hosts()).hosts.map(({ hostLabel }) => hostLabel)).toEqual(["nas", "nas-bbbbbb"]);
  });

  it("take one host through both at once: its latest word stays, and all of it is on the one lease that is renewed", async () => {
    const [a, b] = await openTwo();
    for (const letter of ["a", "b", "c", "d", "e", "f"]) {
      const [older, newer] = [new TestHost(letter, letter), new TestHost(letter, letter)];
      await Promise.all([older.push(a.store, [], { sequence: 0 }), newer.push(b.store, [], { sequence: 0 })]);
      await a.store.withdraw(older.hostId);
      await agreed(a, b);
      const common = many(20, "10.0.0.5", letter);
      const outcomes = await Promise.all([
        older.push(a.store, common, { sequence: 5 }),
        newer.push(b.store, [...common, binding(`more.${letter}`)], { sequence: 6 }),
      ]);
      expect(outcomes[1].kind).toBe("accepted");
      expect(await existsAt(b.store, `more.${letter}`)).toBe(true);
      await accepted(
        newer.push(b.store, [...common, binding(`more.${letter}`, { port: 7 })], { sequence: 9 }),
      );
      await agreed(a, b);
      // Late from the network, after another resolver took the next one.
      expect(await older.push(a.store, [], { sequence: 8 })).toMatchObject({ kind: "superseded" });
    }
    await agreed(a, b);
    expect((await a.store.services()).services).toHaveLength(6 * 21);
    const { items } = await directly().range({ prefix: root });
    const heads = items.filter(({ key }) => key.endsWith("/head"));
    expect(heads).toHaveLength(6);
    for (const { key, value, lease } of heads) {
      const { chunks, leaseId, host } = JSON.parse(value);
      expect(lease).toBe(leaseId);
      for (const hash of chunks) {
        const at = keys().chunk(host.hostId, leaseId, hash);
        expect(items.find((item) => item.key === at)?.lease, `a chunk of ${key}`).toBe(leaseId);
      }
      expect(items.find((item) => item.key === keys().label(host.hostLabel))).toMatchObject({
        value: host.hostId,
        lease: leaseId,
      });
    }
  });

  it("tell the two processes of a cloned key apart, though each speaks to another resolver", async () => {
    const [a, b] = await openTwo();
    const [original, clone] = [new TestHost("c", "vm"), new TestHost("c", "vm")];
    await accepted(original.push(a.store, [binding("one")]));
    await agreed(a, b);
    expect(await clone.push(b.store, [binding("two")])).toMatchObject({ kind: "superseded", heldEpoch: 1 });
    await accepted(clone.push(b.store, [binding("two")], { epoch: 2 }));
    await agreed(a, b);
    expect(await original.renew(a.store)).toMatchObject({ kind: "superseded", heldEpoch: 2 });
    expect(await original.push(a.store, [binding("one")])).toMatchObject({ kind: "superseded" });
  });

  it("free a name for who waits longest, whichever resolver settles it, also one that starts late", async () => {
    const [a, b] = await openTwo();
    const rule = { rule: "container" as const };
    const holder = new TestHost("h", "holder");
    await accepted(holder.push(a.store, [binding("postgres", rule)]));
    // The one that waits longer has the higher host id, which would come second.
    for (const [letter, resolver] of [
      ["z", b],
      ["a", a],
    ] as const) {
      await accepted(new TestHost(letter, letter).push(resolver.store, [binding("postgres", rule)]));
      await agreed(a, b);
    }
    const late = await open();
    await agreed(a, b, late);
    await late.store.withdraw(holder.hostId);
    await until(
      "the name is given on",
      async () => (await heldAt(late.store, "postgres"))?.hostLabel === "z",
    );
    await agreed(a, b, late);
  });

  it("of different zones do not disturb each other", async () => {
    const [a, other] = await Promise.all([
      open(),
      open({ settings: standardSettings(parseName("other.internal")) }),
    ]);
    const nas = new TestHost("a", "nas");
    await accepted(nas.push(a.store, [binding("web")]));
    const before = await viewOf(a);
    await accepted(new TestHost("a", "nas").push(other.store, []));
    await accepted(new TestHost("b", "nas").push(other.store, []));
    expect(await viewOf(a)).toEqual(before);
    expect((await other.store.hosts()).hosts).toHaveLength(2);
    await accepted(nas.push(a.store, [binding("api")]));
    await until("web is free", async () => (await heldAt(a.store, "web")) === undefined);
  });

  it("know each other's tokens: created on one accepted on the other, revoked on one announced on the other", async () => {
    const [a, b] = await openTwo();
    const { record } = await makeToken(1);
    await a.tokenTable.put(record, auditEntry());
    await until("the other knows it", async () => (await b.tokenTable.find(record.id)) !== undefined);
    expect(await b.tokenTable.find(record.id)).toEqual(record);
    const both = [
      a.tokenTable.revoke(record.id, 5000, auditEntry()),
      b.tokenTable.revoke(record.id, 6000, auditEntry()),
    ];
    expect(await Promise.all(both)).toEqual([true, true]);
    await agreed(a, b);
    expect([a.announced, b.announced]).toEqual([[record.id], [record.id]]);
  });
});

describe("a lease on etcd", () => {
  it("is renewed by every push, changed set or not", async () => {
    const a = await open();
    const nas = new TestHost("a", "nas");
    await accepted(nas.push(a.store, [binding("web")], short));
    const { items } = await directly().range({ key: keys().head(nas.hostId) });
    const id = BigInt(items[0]?.lease ?? "0").toString(16);
    const left = async () =>
      Number(/remaining\((\d+)s\)/.exec(await cluster.etcdctl(["lease", "timetolive", id]))?.[1]);
    const whole = await left();
    await until("some of it is over", async () => (await left()) <= whole - 2);
    await accepted(nas.push(a.store, [binding("api")], short));
    expect(await left()).toBeGreaterThanOrEqual(whole - 1);
  });

  it("moves with the host, and is ended by etcd itself when its resolver is gone: all see it, and who waits has the names", async () => {
    const [a, b] = await openTwo();
    const nas = new TestHost("a", "nas");
    const waiting = new TestHost("b", "pi", ["10.0.0.6"]);
    await accepted(nas.push(a.store, [binding("db", { rule: "container" })], short));
    await accepted(
      waiting.push(a.store, [binding("db", { rule: "container", at: ["10.0.0.6"] })], { lease: 600 }),
    );
    await agreed(a, b);
    // Its set is known: a renewal is enough, once it is signed for the other resolver, and changes nothing anybody sees.
    const seen = await viewOf(a);
    expect((await accepted(nas.renew(b.store))).lease).toBe(5);
    await agreed(a, b);
    expect(await viewOf(a)).toEqual(seen);
    // Longer than the lease, which the first resolver thinks was last renewed by itself.
    const renewed = async () => accepted(nas.renew(b.store));
    const end = Date.now() + 7000;
    await until("the first one's time is long over", async () => (await renewed()) && Date.now() > end, {
      ...patient,
      everyMs: 1000,
    });
    expect(await existsAt(a.store, "nas.host"), "kept alive by the other").toBe(true);
    const before = await a.store.hosts();
    expect(before.hosts.find(({ hostLabel }) => hostLabel === "nas")?.leaseRemaining).toBe(5);
    await b.crash();
    const isGivenOn = async () => (await endpointsAt(a.store, "_80._tcp.db")).join() === "10.0.0.6:8080";
    await until("the name is the waiting host's", isGivenOn, { timeoutMs: 30_000, everyMs: 200 });
    expect((await a.store.hosts()).hosts.map(({ hostLabel }) => hostLabel)).toEqual(["pi"]);
    await agreed(a, await open({ first: 2 }));
  });
});

describe("an etcd that loses members", () => {
  it("loses nothing that was acknowledged while its leader is killed under pushes, and goes on with two of three", async () => {
    const led = await cluster.leader();
    // Both speak to the one that dies.
    const [a, b] = await Promise.all([open({ first: led }), open({ first: led })]);
    const acknowledged = new Map<string, number>();
    const isOver = new AbortController();
    const pushing = ["a", "b", "c", "d"].map(async (letter, n) => {
      const host = new TestHost(letter, letter, [`10.0.0.${n + 1}`]);
      const resolver = n % 2 === 0 ? a : b;
      for (let port = 1000; !isOver.signal.aborted; port++) {
        const set = [binding(`svc-${n}`, { at: [`10.0.0.${n + 1}`], port })];
        await pushed(host, resolver, set, { lease: 600 });
        const shown = await endpointsAt(resolver.store, `_80._tcp.svc-${n}`);
        expect(shown, "what was acknowledged is there").toEqual([`10.0.0.${n + 1}:${port}`]);
        acknowledged.set(`svc-${n}`, port);
      }
    });
    const rounds = () => Math.min(...[0, 1, 2, 3].map((n) => acknowledged.get(`svc-${n}`) ?? 0));
    const untilRound = (round: number) =>
      Promise.race([Promise.all(pushing), until("pushes go on", () => rounds() >= round, patient)]);
    await untilRound(1005);
    await cluster.killMember(led);
    await untilRound(rounds() + 10);
    isOver.abort();
    await Promise.all(pushing);
    const late = await open({ first: (led + 1) % 3 });
    await agreed(a, b, late);
    for (const { store } of [a, b, late]) {
      for (const [name, port] of acknowledged) {
        const address = `10.0.0.${Number(name.at(-1)) + 1}`;
        expect(await endpointsAt(store, `_80._tcp.${name}`)).toEqual([`${address}:${port}`]);
      }
    }
  });

  it("is read whole again when it forgot what happened while a watch was down", async () => {
    const [a, b] = await openTwo();
    const nas = new TestHost("a", "nas");
    const kept = new TestHost("b", "pi", ["10.0.0.6"]);
    await accepted(nas.push(a.store, [binding("web"), binding("api")]));
    await accepted(kept.push(a.store, [binding("other", { at: ["10.0.0.6"] })]));
    const [old, fresh] = [await makeToken(1), await makeToken(2)];
    await a.tokenTable.put(old.record, auditEntry());
    await agreed(a, b);
    const see = blind(b);
    await accepted(nas.push(a.store, [binding("web", { port: 9999 }), binding("new")]));
    await a.store.withdraw(kept.hostId);
    await a.tokenTable.revoke(old.id, 5000, auditEntry());
    await a.tokenTable.put(fresh.record, auditEntry());
    await until("names are settled", async () => (await heldAt(a.store, "other")) === undefined);
    const { revision } = await directly().range({ key: "none" });
    await cluster.compact(revision);
    expect(await existsAt(b.store, "new"), "it sees nothing yet").toBe(false);
    see();
    await agreed(a, b);
    expect(b.lines.join("\n")).toContain("reading etcd anew");
    expect(b.announced).toEqual([old.id]);
    expect(await endpointsAt(b.store, "_80._tcp.web")).toEqual(["10.0.0.5:9999"]);
  });

  it("is answered for from memory, marked stale, while all of it is down; writes are refused at once, and nothing lapses", async () => {
    const [a, b] = await openTwo();
    const nas = new TestHost("a", "nas");
    await accepted(nas.push(a.store, [binding("web")], short));
    await agreed(a, b);
    await cluster.stopAll();
    await until("both notice", () => a.isAway() && b.isAway(), patient);
    const { record } = await makeToken(1);
    const began = performance.now();
    await expect(new TestHost("b", "pi").push(a.store, [])).rejects.toMatchObject(unavailable);
    await expect(nas.renew(b.store)).rejects.toMatchObject(unavailable);
    await expect(a.store.releaseName(binding("web").name)).rejects.toMatchObject(unavailable);
    await expect(a.tokenTable.put(record, auditEntry())).rejects.toMatchObject(unavailable);
    expect(performance.now() - began, "no time-out was waited for").toBeLessThan(500);
    const end = performance.now() + 7000;
    await until("the lease would long be over", () => performance.now() > end, patient);
    for (const { store } of [a, b]) {
      const view = await store.read(`_80._tcp.web.${zone}`);
      expect(view.stale).toBe(true);
      expect(view.rrsets[0]?.ttl).toBeGreaterThan(0);
      expect((await store.hosts()).hosts).toHaveLength(1);
    }
    await cluster.startAll();
    await until("both are back", () => !a.isAway() && !b.isAway(), patient);
    expect((await a.store.hosts()).hosts[0]?.leaseRemaining).toBeGreaterThanOrEqual(3);
    expect((await accepted(nas.renew(a.store))).lease).toBe(5);
    await pushed(nas, a, [binding("api")], short);
    await agreed(a, b);
    expect((await a.store.read(`api.${zone}`)).stale).toBeUndefined();
  });

  it("is taken as it is when it comes back empty: hosts push whole again, and no serial goes back", async () => {
    const [a, b] = await openTwo();
    const nas = new TestHost("a", "nas");
    await accepted(nas.push(a.store, [binding("web")]));
    const gateway = directly();
    for (let n = 0; n < 300; n++) await gateway.txn({ success: [{ kind: "put", key: "else", value: "" }] });
    await accepted(nas.push(a.store, [binding("web", { port: 1 })]));
    await agreed(a, b);
    const before = await counted(a);
    await cluster.wipe();
    await cluster.startAll();
    const isEmpty = async () =>
      (await a.store.hosts()).hosts.length + (await b.store.hosts()).hosts.length === 0;
    await until("both have read it anew", isEmpty, patient);
    await until("both are back", () => !a.isAway() && !b.isAway(), patient);
    const renewal = async () => (await nas.renew(a.store)).kind;
    expect(await until("the renewal is judged", renewal, patient)).toBe("unknown-digest");
    await pushed(nas, a, [binding("web", { port: 4 })]);
    await agreed(a, b);
    expect(await endpointsAt(b.store, "_80._tcp.web")).toEqual(["10.0.0.5:4"]);
    const after = await counted(b);
    expect(after.serial).toBeGreaterThan(before.serial);
    expect(after.revision).toBeGreaterThan(before.revision);
    const anew = a.lines.filter(
      (line) => line.includes("reading etcd anew") || line.includes("reading it anew"),
    );
    expect(anew.length, "once, or twice when it was read while it began").toBeLessThanOrEqual(2);
  });

  it("is not taken for the old one though it has come as far again by the time anybody looks", async () => {
    const [a, b] = await openTwo();
    const nas = new TestHost("a", "nas");
    await accepted(nas.push(a.store, [binding("web")]));
    await agreed(a, b);
    const see = blind(b);
    const { revision } = await directly().range({ key: "none" });
    await cluster.wipe();
    await cluster.startAll();
    const gateway = directly();
    const isAsFar = async () =>
      (await gateway.txn({ success: [{ kind: "put", key: "else", value: "" }] })).revision > revision + 100;
    await until("it has come as far", isAsFar, { ...patient, everyMs: 0 });
    see();
    await until("both have read it anew", async () => (await b.store.hosts()).hosts.length === 0, patient);
    await pushed(nas, a, [binding("api")]);
    await agreed(a, b);
    expect(b.lines.join("\n")).toContain("another one than before");
  });
});

async function counted({ store }: EtcdResolver) {
  return { revision: (await store.hosts()).revision, serial: (await store.read(zone)).serial };
}

describe("a resolver on etcd", () => {
  it("starts again with all that was there", async () => {
    const a = await open();
    const nas = new TestHost("a", "nas", ["10.0.0.5"], tokenOf("team-a"));
    const pi = new TestHost("b", "pi", ["10.0.0.6"], tokenOf("team-b", { maxBindings: 3 }));
    const { record } = await makeToken(1);
    await a.tokenTable.put(record, auditEntry());
    await accepted(nas.push(a.store, [binding("web"), binding("db", { rule: "container" })]));
    await accepted(
      pi.push(
        a.store,
        ["web", "x", "y"].map((name) => binding(name, { at: ["10.0.0.6"] })),
      ),
    );
    const before = await viewOf(a);
    expect(before).toMatchObject({ tokens: [record], names: [{}, {}, {}, {}], hosts: [{}, {}] });
    await a.crash();
    const again = await open();
    expect(await viewOf(again)).toEqual(before);
    expect(refusedIn(await accepted(pi.renew(again.store)))).toEqual(["web held"]);
  });

  it("does not know whether the head it sent was taken: the host's next push heals it, and nothing is doubled", async () => {
    const [a, b] = await openTwo();
    const nas = new TestHost("a", "nas");
    const uncertain = () => {
      throw new BerthError("etcd-uncertain", "no reply", { retryable: true });
    };
    const isHead = ({ success }: { success: { kind: string; key?: string }[] }) =>
      success.some(({ key }) => key?.endsWith("/head") === true);
    for (const [port, when] of [
      [1, "afterTxn"],
      [2, "beforeTxn"],
    ] as const) {
      const set = [binding("web", { port }), binding("api", { port })];
      a.faults[when] = (txn) => {
        if (isHead(txn)) uncertain();
      };
      await expect(nas.push(a.store, set)).rejects.toMatchObject(unavailable);
      a.faults[when] = undefined;
      await accepted(nas.push(a.store, set));
      await agreed(a, b);
      expect(await endpointsAt(b.store, "_80._tcp.web")).toEqual([`10.0.0.5:${port}`]);
      expect((await b.store.names()).names).toHaveLength(2);
    }
    const { items } = await directly().range({ prefix: keys().hostPrefix(nas.hostId) });
    expect(items.filter(({ key }) => key.includes("/chunk/"))).toHaveLength(1);
  });

  it("that dies between claiming names and showing them leaves them to who waits", async () => {
    const [a, b] = [await open(), await open({ first: 1, claimingMs: 2000 })];
    a.faults.beforeTxn = (txn) => {
      const isHead = txn.success.some(
        (operation) => operation.kind === "put" && operation.key.endsWith("/head"),
      );
      if (isHead) throw new BerthError("etcd-unavailable", "it died here", { retryable: true });
    };
    const dying = new TestHost("a", "nas", ["10.0.0.5"], tokenOf("team-a"));
    await expect(dying.push(a.store, [binding("web"), binding("api")])).rejects.toMatchObject(unavailable);
    await a.crash();
    const waiting = new TestHost("b", "pi", ["10.0.0.6"], tokenOf("team-b"));
    const reply = await accepted(waiting.push(b.store, [binding("web", { at: ["10.0.0.6"] })]));
    expect(refusedIn(reply), "claimed, for all anybody knows").toEqual(["web held"]);
    await until("the name is given on", () => existsAt(b.store, "web"), patient);
    await until("the other is free", async () => (await heldAt(b.store, "api")) === undefined, patient);
    expect(await heldAt(b.store, "web")).toMatchObject({ owner: "team-b", waiting: [] });
  });

  it("shows the former set of a host whose head lists a chunk that is not there, and the next turn mends it", async () => {
    const a = await open();
    const nas = new TestHost("a", "nas");
    await accepted(nas.push(a.store, many(10), { lease: 600 }));
    const gateway = directly();
    const chunk = `${keys().hostPrefix(nas.hostId)}chunk/`;
    await gateway.txn({ success: [{ kind: "delete", keys: { prefix: chunk } }] });
    const late = await open();
    expect((await late.store.hosts()).hosts, "nothing rather than a part").toEqual([]);
    expect(late.lines.join("\n")).toMatch(/holds host nas .* in part only/);
    expect((await a.store.services()).services, "the former set").toHaveLength(10);
    await accepted(nas.renew(a.store));
    await agreed(a, late);
    expect((await late.store.services()).services).toHaveLength(10);
    await gateway.txn({ success: [{ kind: "delete", keys: { prefix: chunk } }] });
    const later = await open();
    expect((await nas.renew(later.store)).kind).toBe("unknown-digest");
    await accepted(nas.push(later.store, many(10)));
    await agreed(a, later);
  });

  it("passes over what is not as berth writes it, names its key, and goes on", async () => {
    const [a, b] = await openTwo();
    const nas = new TestHost("a", "nas");
    await accepted(nas.push(a.store, [binding("web")]));
    const spoilt = [
      keys().head(nas.hostId),
      keys().turn(nas.hostId),
      keys().head("b".repeat(52)),
      keys().hold(binding("web").name),
      keys().token("abcdefghij"),
      `${keys().prefix}holds/not..a name`,
      `${keys().prefix}later/feature`,
    ];
    const gateway = directly();
    for (const key of spoilt) await gateway.txn({ success: [{ kind: "put", key, value: "{}" }] });
    await gateway.txn({ success: [{ kind: "put", key: keys().head("d".repeat(52)), value: "no JSON" }] });
    const isTold = () => spoilt.slice(0, -1).every((key) => b.lines.some((line) => line.includes(key)));
    await until("the log names them", isTold);
    for (const { store } of [a, b]) expect(await existsAt(store, "web")).toBe(true);
    await accepted(nas.push(a.store, [binding("api")]));
    await accepted(new TestHost("b", "pi").push(b.store, [binding("web")]));
    await agreed(a, b, await open());
  });
});

describe("one resolver of two", () => {
  it("that is cut off from etcd prolongs nothing for a link, so that its agent asks the other one", async () => {
    const [a, b] = await openTwo();
    const nas = new TestHost("a", "nas");
    await accepted(nas.push(a.store, [binding("web")]));
    expect(a.store.touch(nas.hostId, 1)).toBe(true);
    a.faults.isCut = true;
    await until("it notices", () => a.isAway(), patient);
    expect(() => a.store.touch(nas.hostId, 1)).toThrow(expect.objectContaining(unavailable));
    expect(() => a.store.touch("b".repeat(52), 1), "nor says that it is another's").toThrow();
    await expect(nas.renew(a.store)).rejects.toMatchObject(unavailable);
    await accepted(nas.renew(b.store));
    expect(b.store.touch(nas.hostId, 1)).toBe(true);
    a.faults.isCut = false;
    await until("it is back", () => !a.isAway(), patient);
    expect(a.store.touch(nas.hostId, 1), "carried by the other now").toBe(false);
  });

  it("writes down that a host went by etcd's own lease, and none that one of them removed", async () => {
    const told: string[] = [];
    const auditOf = (who: string) => ({
      record: async (entries: NewAuditEntry[]) => {
        told.push(...entries.map(({ action, target }) => `${who} ${action} ${target}`));
      },
    });
    const clock = jumpingClock();
    const a = await open({ audit: auditOf("a"), now: clock.now });
    const b = await open({ first: 1, audit: auditOf("b") });
    const [dying, leaving, late] = ["a", "b", "c"].map((letter) => new TestHost(letter, `host-${letter}`));
    if (!dying || !leaving || !late) throw new Error("three hosts");
    await accepted(dying.push(b.store, [binding("one")]));
    await accepted(leaving.push(a.store, [binding("two")]));
    await accepted(late.push(a.store, [binding("three")]));
    await agreed(a, b);
    told.splice(0);
    await a.store.withdraw(leaving.hostId, undefined, leaving.access);
    clock.jump(20_000);
    await until("it lapsed", async () => !(await existsAt(b.store, "three")));
    const { items } = await directly().range({ key: keys().head(dying.hostId) });
    await directly().revokeLease(items[0]?.lease ?? "");
    await until("an entry is there", () => told.length >= 3);
    await agreed(a, b);
    await accepted(leaving.push(b.store, []));
    expect(
      told.filter((word) => word.includes(" lapse ")),
      "each by one of them",
    ).toHaveLength(2);
    expect(told.filter((word) => word.includes(dying.hostId) || word.includes("host-a"))).toHaveLength(1);
    expect(told.filter((word) => word.includes(" withdraw "))).toHaveLength(1);
  });

  it("writes a revocation down though its own watch does not tell of it in time", async () => {
    const actions: string[] = [];
    const record = async (entries: NewAuditEntry[]) => {
      actions.push(...entries.map(({ action }) => action));
    };
    const a = await open({ audit: { record }, mirrorLimitMs: 200 });
    const { record: token } = await makeToken(1);
    await a.tokenTable.put(token, auditEntry());
    actions.splice(0);
    const see = blind(a);
    await expect(a.tokenTable.revoke(token.id, 5000, auditEntry())).rejects.toMatchObject(unavailable);
    see();
    expect(actions).toEqual([auditEntry().action]);
    await until("it is told", () => a.announced.includes(token.id));
    expect(await a.tokenTable.revoke(token.id, 6000, auditEntry())).toBe(true);
    expect(actions, "once").toHaveLength(1);
  });

  it("leaves what follows from a renewal to the sweep when it cannot be written now", async () => {
    const a = await open();
    const nas = new TestHost("a", "nas");
    await accepted(nas.push(a.store, [binding("web")]));
    await until("its mark is made", () => a.txns.length > 0);
    a.faults.beforeTxn = () => {
      throw new BerthError("etcd-full", "no room", { retryable: true });
    };
    const gateway = directly();
    const hold = binding("web").name;
    await gateway.txn({ success: [{ kind: "delete", keys: { key: keys().hold(hold) } }] });
    await until("it is seen", async () => (await heldAt(a.store, "web"))?.owner === undefined);
    await accepted(nas.renew(a.store));
    expect(a.lines.join("\n")).toContain("left to the next sweep");
    a.faults.beforeTxn = undefined;
    await until("the sweep writes it", () => existsAt(a.store, "web"));
  });
});

describe("a lease that ran out on etcd", () => {
  it("does not end a host that renewed while others were ended before it", async () => {
    const clock = jumpingClock();
    const a = await open({ now: clock.now });
    const [first, second] = [new TestHost("a", "one"), new TestHost("b", "two")];
    await accepted(first.push(a.store, []));
    await accepted(second.push(a.store, [binding("web")]));
    let renewed: string | undefined;
    a.faults.beforeTxn = async () => {
      a.faults.beforeTxn = undefined;
      renewed = (await second.renew(a.store)).kind;
    };
    clock.jump(20_000);
    await until("the first is gone", async () => !(await existsAt(a.store, "one.host")));
    await a.store.sweep();
    expect(renewed).toBe("accepted");
    expect(await existsAt(a.store, "web")).toBe(true);
  });

  it("is granted anew by a resolver that stood still, and runs out by one that did not", async () => {
    const clock = jumpingClock();
    const steady = jumpingClock();
    const a = await open({ now: clock.now, steadyNow: steady.now });
    const nas = new TestHost("a", "nas");
    await accepted(nas.push(a.store, [binding("web")]));
    clock.jump(20_000);
    steady.jump(20_000);
    expect(a.store.touch(nas.hostId, 1), "a link's ping comes before the sweep").toBe(true);
    clock.jump(20_000);
    steady.jump(20_000);
    await a.store.sweep();
    expect(await existsAt(a.store, "web")).toBe(true);
    expect((await a.store.hosts()).hosts[0]?.leaseRemaining).toBeGreaterThan(10);
    clock.jump(20_000);
    await a.store.sweep();
    expect(await existsAt(a.store, "web")).toBe(false);
  });
});

/** The real clock, and what it was moved by. */
function jumpingClock() {
  let moved = 0;
  const now = () => performance.timeOrigin + performance.now() + moved;
  const jump = (ms: number) => {
    moved += ms;
  };
  return { now, jump };
}

describe("a gap in etcd's history", () => {
  it("has a host that went in it told to readers of the feed, and marked for resolvers that start later", async () => {
    const changes: Change[] = [];
    const b = await open({ first: 1, onCommitted: (change) => changes.push(change) });
    const nas = new TestHost("a", "nas");
    await accepted(nas.push(b.store, [binding("web", { rule: "container" })]));
    const before = (await b.store.hosts()).revision;
    const see = blind(b);
    const gateway = directly();
    const { revision } = await gateway.txn({
      success: [{ kind: "delete", keys: { prefix: keys().hosts } }],
    });
    await cluster.compact(revision);
    changes.splice(0);
    see();
    await until("it is gone", async () => (await b.store.hosts()).hosts.length === 0);
    const named = changes.find(({ names }) => names.includes(binding("web").name));
    expect(named?.revision).toBeGreaterThan(before);
    await agreed(b, await open());
  });

  it("does not cost a host whose label another one had before", async () => {
    const [a, b] = await openTwo();
    const [old, young] = [new TestHost("a", "nas"), new TestHost("b", "pi", ["10.0.0.6"])];
    await accepted(old.push(a.store, [binding("web")]));
    await agreed(a, b);
    const see = blind(b);
    await accepted(old.push(a.store, [binding("web")], {}, { hostLabel: "attic" }));
    await accepted(young.push(a.store, [], {}, { hostLabel: "nas" }));
    await accepted(old.push(a.store, [binding("web", { port: 7 })], {}, { hostLabel: "attic" }));
    await cluster.compact((await directly().range({ key: "none" })).revision);
    see();
    await agreed(a, b);
    expect((await b.store.hosts()).hosts.map(({ hostLabel }) => hostLabel)).toEqual(["attic", "nas"]);
  });

  it("that opens between two pages of the first read is read over", async () => {
    const a = await open();
    await accepted(new TestHost("a", "nas").push(a.store, [binding("web")]));
    let isOpened = false;
    const beforeRange = async (revision: number | undefined) => {
      if (revision === undefined || isOpened) return;
      isOpened = true;
      const put = { kind: "put", key: "else", value: "" } as const;
      await cluster.compact((await directly().txn({ success: [put] })).revision);
    };
    const late = await open({ faults: { beforeRange } });
    expect(isOpened).toBe(true);
    await agreed(a, late);
  });
});

describe("the meta of etcd", () => {
  it("that is not as berth writes it is told once, and nothing is read anew for it", async () => {
    const a = await open();
    await accepted(new TestHost("a", "nas").push(a.store, [binding("web")]));
    const before = await counted(a);
    let looks = 0;
    let reads = 0;
    a.faults.beforeRange = (revision) => void (revision === undefined ? looks++ : reads++);
    await directly().txn({ success: [{ kind: "put", key: keys().meta, value: "no JSON" }] });
    await until("it was looked at twice", () => looks >= 3, patient);
    expect(reads).toBe(0);
    expect(a.lines.filter((line) => line.includes(keys().meta))).toHaveLength(1);
    expect(await counted(a)).toEqual(before);
  });

  it("of one restored from its own backup begins a new life: nothing goes back, and old requests are worth nothing", async () => {
    const [a, b] = await openTwo();
    const nas = new TestHost("a", "nas");
    await accepted(nas.push(a.store, [binding("web")]));
    const gateway = directly();
    const { items } = await gateway.range({ key: keys().meta });
    for (let n = 0; n < 60; n++) await gateway.txn({ success: [{ kind: "put", key: "else", value: "" }] });
    await accepted(nas.push(a.store, [binding("api")]));
    await agreed(a, b);
    const before = await counted(b);
    const generations = [a.generation(), b.generation()];
    for (const { faults } of [a, b]) faults.isCut = true;
    await cluster.wipe();
    await cluster.startAll();
    // As a backup would bring it, before anybody looks: the same meta, and less than was there.
    const meta = { kind: "put", key: keys().meta, value: items[0]?.value ?? "" } as const;
    await directly().txn({ success: [meta] });
    for (const { faults } of [a, b]) faults.isCut = false;
    const isAnew = () => a.generation() !== generations[0] && b.generation() !== generations[1];
    await until("both begin anew", isAnew, patient);
    await until("both are back", () => !a.isAway() && !b.isAway(), patient);
    await agreed(a, b);
    const between = await counted(a);
    expect(between.revision).toBeGreaterThan(before.revision);
    expect(between.serial).toBeGreaterThan(before.serial);
    expect((await a.store.hosts()).hosts).toEqual([]);
    await pushed(nas, a, [binding("web")]);
    await agreed(a, b, await open());
    expect((await counted(b)).revision).toBeGreaterThan(between.revision);
  });
});
