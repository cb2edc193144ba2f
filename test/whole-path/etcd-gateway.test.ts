import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { EtcdGatewayOptions } from "../../resolver/store/etcd/gateway.ts";
import type { Operation } from "../../resolver/store/etcd/wire.ts";
import { type EtcdCluster, startEtcdCluster } from "../testbed/etcd.ts";
import { makeForeignCa } from "../testbed/etcd-certificates.ts";
import { until } from "../testbed/wait.ts";
import { gatewayTo, isInOrder, type LoggedGateway, watching } from "./etcd-watching.ts";

const opened: { close(): void }[] = [];

function open(cluster: EtcdCluster, first?: number, over?: Partial<EtcdGatewayOptions>): LoggedGateway {
  const gateway = gatewayTo(cluster, first, over);
  opened.push(gateway);
  return gateway;
}

afterEach(() => {
  for (const gateway of opened.splice(0)) gateway.close();
});

function put(key: string, value: string, lease?: string): Operation {
  return lease === undefined ? { kind: "put", key, value } : { kind: "put", key, value, lease };
}

async function write(gateway: LoggedGateway, ...operations: Operation[]): Promise<number> {
  return (await gateway.txn({ success: operations })).revision;
}

async function present(gateway: LoggedGateway): Promise<number> {
  return (await gateway.range({ key: "none" })).revision;
}

describe("etcd's JSON gateway", () => {
  let cluster: EtcdCluster;
  beforeAll(async () => {
    cluster = await startEtcdCluster();
  });
  afterEach(() => cluster.startAll());
  afterAll(() => cluster?.close());

  it("gives back what was written, in pages of one revision", async () => {
    const gateway = open(cluster);
    const first = await write(gateway, put("page/a", "ä\n\u{1f40b}"), put("page/b", ""), put("page/c", "3"));
    const second = await write(gateway, put("page/c", "4"), put("pagf", "beside"), put("pag", "beside"));
    const { items, revision } = await gateway.range({ prefix: "page/" }, { pageSize: 1 });
    expect(revision).toBe(second);
    expect(items).toEqual([
      { key: "page/a", value: "ä\n\u{1f40b}", createRevision: first, modRevision: first, version: 1 },
      { key: "page/b", value: "", createRevision: first, modRevision: first, version: 1 },
      { key: "page/c", value: "4", createRevision: first, modRevision: second, version: 2 },
    ]);
    const older = await gateway.range(
      { prefix: "page/" },
      { revision: first, pageSize: 2, serializable: true },
    );
    expect(older.items.map(({ value }) => value)).toEqual(["ä\n\u{1f40b}", "", "3"]);
    expect((await gateway.range({ from: "page/b", to: "page/c" })).items).toHaveLength(1);
    expect((await gateway.range({ prefix: "page/" }, { limit: 2, pageSize: 1 })).items).toHaveLength(2);
    expect((await gateway.range({ prefix: "" })).items.length).toBeGreaterThan(4);
  });

  it("carries out the branch that the conditions choose", async () => {
    const gateway = open(cluster);
    const claim = (value: string) =>
      gateway.txn({
        compare: [{ key: "claim", is: "equal", createRevision: 0 }],
        success: [put("claim", value)],
        failure: [{ kind: "get", keys: { key: "claim" } }],
      });
    const won = await claim("first");
    expect(won).toMatchObject({ succeeded: true, replies: [{ kind: "put" }] });
    const lost = await claim("second");
    expect(lost).toMatchObject({
      succeeded: false,
      revision: won.revision,
      replies: [{ kind: "get", items: [{ value: "first", modRevision: won.revision }] }],
    });
    const conditions = [
      { key: "claim", is: "equal", modRevision: won.revision },
      { key: "claim", is: "less", version: 2 },
      { key: "claim", is: "not-equal", value: "second" },
    ] as const;
    const removed = await gateway.txn({
      compare: [...conditions],
      success: [{ kind: "delete", keys: { prefix: "claim" } }],
    });
    expect(removed).toMatchObject({ succeeded: true, replies: [{ kind: "delete", deleted: 1 }] });
  });

  it("takes 100 operations at once, and says clearly that 129 are too many", async () => {
    const gateway = open(cluster);
    const puts = (count: number) => Array.from({ length: count }, (_, n) => put(`many/${n}`, "x"));
    const { replies } = await gateway.txn({ success: puts(100) });
    expect(replies).toHaveLength(100);
    await expect(gateway.txn({ success: puts(129) })).rejects.toMatchObject({
      code: "etcd-refused",
      retryable: false,
      message: expect.stringContaining("too many operations"),
    });
  });

  it("deletes a lease's keys when it lapses or is revoked, and the watch says so", async () => {
    const gateway = open(cluster);
    const watch = watching(gateway, { prefix: "leased/" }, (await present(gateway)) + 1);
    const { lease, ttlSeconds } = await gateway.grantLease(2);
    await write(gateway, put("leased/a", "1", lease));
    expect(await gateway.keepLeaseAlive(lease)).toBe(ttlSeconds);
    expect((await gateway.range({ key: "leased/a" })).items[0]?.lease).toBe(lease);
    await watch.untilSeen("-leased/a");
    expect(await gateway.keepLeaseAlive(lease)).toBeUndefined();
    await expect(write(gateway, put("leased/a", "2", lease))).rejects.toMatchObject({
      code: "etcd-lease-gone",
    });
    // Beyond what a JavaScript number tells apart.
    const id = "9007199254740993";
    expect(await gateway.grantLease(600, id)).toEqual({ lease: id, ttlSeconds: 600 });
    await write(gateway, put("leased/b", "1", id));
    await gateway.revokeLease(id);
    await gateway.revokeLease(id);
    await watch.untilSeen("-leased/b");
    expect(watch.seen()).toEqual(["leased/a=1", "-leased/a", "leased/b=1", "-leased/b"]);
    watch.stop();
    expect(await watch.ended).toBeUndefined();
  });

  it("tells every event once while the watched member is killed under writes", async () => {
    const [reader, writer] = [open(cluster, 0), open(cluster, 1)];
    const watch = watching(reader, { prefix: "run/" }, (await present(writer)) + 1);
    for (let n = 0; n < 300; n++) {
      if (n === 100) await cluster.killMember(0);
      if (n === 200) await cluster.startMember(0);
      await untilWritten(writer, [put(`run/${n}/a`, "x"), put(`run/${n}/b`, "x")]);
    }
    await watch.untilSeen("run/299/b=x");
    const history = Array.from({ length: 300 }, (_, n) => [`run/${n}/a=x`, `run/${n}/b=x`]).flat();
    expect(watch.seen()).toEqual(history);
    expect(isInOrder(watch)).toBe(true);
    // Both keys of a transaction in one call, whatever broke in between.
    expect(watch.calls.every(({ events }) => events.length % 2 === 0)).toBe(true);
    expect(reader.warnings.join()).toMatch(/the watch at .* broke after revision \d+/);
  });

  it("brings a long history in one go, though it is more than one message may hold", async () => {
    const gateway = open(cluster);
    const value = "v".repeat(60 * 1024);
    const from = await write(gateway, put("long/0", value));
    for (let n = 1; n < 100; n++) await write(gateway, put(`long/${n}`, value));
    const watch = watching(gateway, { prefix: "long/" }, from);
    await watch.untilSeen(`long/99=${value}`);
    expect(watch.seen()).toEqual(Array.from({ length: 100 }, (_, n) => `long/${n}=${value}`));
    const { items } = await gateway.range({ prefix: "long/" });
    expect(items).toHaveLength(100);
  });

  it("says that the history was compacted, even when it ends right at a deletion", async () => {
    const gateway = open(cluster);
    const from = await write(gateway, put("old/a", "1"));
    const removal = await write(gateway, { kind: "delete", keys: { key: "old/a" } });
    await cluster.compact(removal);
    for (const start of [from, removal]) {
      const watch = watching(gateway, { prefix: "old/" }, start);
      expect(await watch.ended).toMatchObject({ code: "etcd-compacted", retryable: false });
      expect(watch.calls).toEqual([]);
    }
    expect(await watching(gateway, { prefix: "old/" }, 1).ended).toMatchObject({
      facts: { compactRevision: removal },
    });
    await expect(gateway.range({ prefix: "old/" }, { revision: from })).rejects.toMatchObject({
      code: "etcd-compacted",
    });
  });

  it("says that the history is another one when etcd has not come as far as the watch had", async () => {
    const gateway = open(cluster);
    const watch = watching(gateway, { prefix: "later/" }, (await present(gateway)) + 1000);
    expect(await watch.ended).toMatchObject({ code: "etcd-compacted" });
  });

  it("hands on what the listener throws, and ends", async () => {
    const gateway = open(cluster);
    const from = await write(gateway, put("thrown", "1"));
    const listener = {
      onEvents() {
        throw new Error("no room");
      },
      signal: new AbortController().signal,
    };
    await expect(gateway.watch({ key: "thrown" }, from, listener)).rejects.toThrow("no room");
  });

  it("goes on within seconds when the leader is killed", async () => {
    const led = await cluster.leader();
    const gateway = open(cluster, led);
    await write(gateway, put("led", "before"));
    await cluster.killMember(led);
    await untilWritten(gateway, [put("led", "after")]);
    expect((await gateway.range({ key: "led" })).items[0]?.value).toBe("after");
    expect(gateway.warnings.join()).toContain(`etcd at ${cluster.urls[led]} does not serve`);
  });

  it("sends a change elsewhere when nobody listens, for it was surely not carried out", async () => {
    await cluster.leader();
    await cluster.killMember(0);
    await cluster.leader();
    const gateway = open(cluster, 0);
    await write(gateway, put("elsewhere", "1"));
    expect((await gateway.range({ key: "elsewhere" })).items[0]).toMatchObject({ version: 1 });
  });

  it("repeats a read elsewhere but not a change when a member hangs", async () => {
    const hung = (await cluster.leader()) === 0 ? 1 : 0;
    cluster.freezeMember(hung);
    try {
      const change = write(open(cluster, hung, { timeoutMs: 500 }), put("hung", "1"));
      await expect(change).rejects.toMatchObject({ code: "etcd-uncertain", retryable: true });
      const reader = open(cluster, hung, { timeoutMs: 500 });
      expect((await reader.range({ key: "hung" })).items).toEqual([]);
    } finally {
      cluster.thawMember(hung);
    }
  });

  it("leaves a watched member that hangs", async () => {
    const hung = (await cluster.leader()) === 0 ? 1 : 0;
    const writer = open(cluster, 2);
    const reader = open(cluster, hung, { timeoutMs: 500, probeEveryMs: 200 });
    const watch = watching(reader, { key: "hung-watch" }, await write(writer, put("hung-watch", "1")));
    await watch.untilSeen("hung-watch=1");
    cluster.freezeMember(hung);
    try {
      await untilWritten(writer, [put("hung-watch", "2")]);
      await watch.untilSeen("hung-watch=2");
    } finally {
      cluster.thawMember(hung);
    }
    expect(watch.seen()).toEqual(["hung-watch=1", "hung-watch=2"]);
  });

  it("leaves a watched member that is cut off from the others, by etcd's own word", async () => {
    // No probe comes in time to notice.
    await leavesCutOff({ probeEveryMs: 600_000 }, /watch at .* broke .*no leader/);
  });

  it("leaves a watched member that is cut off from the others, by asking it", async () => {
    await leavesCutOff({ probeEveryMs: 100, timeoutMs: 300 }, /watch at .* broke .*no reply within/);
  });

  async function leavesCutOff(over: Partial<EtcdGatewayOptions>, warning: RegExp): Promise<void> {
    const writer = open(cluster, 0);
    await cluster.leader();
    const reader = open(cluster, 0, over);
    const watch = watching(reader, { key: "cut" }, await write(writer, put("cut", "1")));
    await watch.untilSeen("cut=1");
    for (const other of [1, 2]) cluster.freezeMember(other);
    try {
      const isBroken = () => reader.warnings.some((line) => warning.test(line));
      await until("the watch leaves the member", isBroken, { timeoutMs: 30_000 });
    } finally {
      for (const other of [1, 2]) cluster.thawMember(other);
    }
    await untilWritten(writer, [put("cut", "2")]);
    await watch.untilSeen("cut=2");
    expect(watch.seen()).toEqual(["cut=1", "cut=2"]);
  }

  it("says that no member can be used, and recovers with its watches", async () => {
    const gateway = open(cluster);
    const watch = watching(gateway, { key: "down" }, await write(gateway, put("down", "1")));
    await watch.untilSeen("down=1");
    await cluster.stopAll();
    const unavailable = { code: "etcd-unavailable", retryable: true };
    await expect(gateway.range({ key: "down" })).rejects.toMatchObject(unavailable);
    await expect(write(gateway, put("down", "never"))).rejects.toMatchObject(unavailable);
    await cluster.startAll();
    await untilWritten(gateway, [put("down", "2")]);
    await watch.untilSeen("down=2");
    expect(watch.seen()).toEqual(["down=1", "down=2"]);
    expect(await gateway.status()).toMatchObject({ hasLeader: true });
  });
});

describe("etcd that asks for a client certificate", () => {
  let cluster: EtcdCluster;
  let shown: { cert: string; key: string };
  beforeAll(async () => {
    // Its own interval is 10 minutes.
    const flags = ["--experimental-watch-progress-notify-interval", "200ms"];
    cluster = await startEtcdCluster({ members: 1, tls: "mutual", flags });
    const { certFile = "", keyFile = "" } = cluster.certificates ?? {};
    shown = { cert: readFileSync(certFile, "utf8"), key: readFileSync(keyFile, "utf8") };
  });
  afterAll(() => cluster?.close());

  it("serves who shows one, and says what is missing to who does not", async () => {
    const gateway = open(cluster, 0, shown);
    const watch = watching(gateway, { key: "mutual" }, await write(gateway, put("mutual", "1")));
    await watch.untilSeen("mutual=1");
    await expect(write(open(cluster), put("mutual", "2"))).rejects.toMatchObject({
      code: "etcd-untrusted",
      message: expect.stringContaining("a client certificate if etcd asks for one"),
    });
  });

  it("lets a quiet watch go on after a compaction and a restart, for it was told of the progress", async () => {
    const gateway = open(cluster, 0, shown);
    const watch = watching(gateway, { key: "quiet" }, await write(gateway, put("quiet", "1")));
    await watch.untilSeen("quiet=1");
    const elsewhere = await write(gateway, put("loud", "1"));
    await until("the watch is told of the progress", () => watch.progress.includes(elsewhere));
    await cluster.compact(elsewhere);
    await cluster.killMember(0);
    await cluster.startMember(0);
    await untilWritten(gateway, [put("quiet", "2")]);
    await watch.untilSeen("quiet=2");
    expect(watch.seen()).toEqual(["quiet=1", "quiet=2"]);
  });
});

describe("etcd behind TLS and a password", () => {
  const [user, password] = ["berth", "correct-horse"];
  const login = { user, readPassword: () => password };
  let cluster: EtcdCluster;
  beforeAll(async () => {
    // Tokens come back with the log's entries when a member starts: it has to have taken snapshots to forget any.
    const flags = ["--snapshot-count", "1"];
    cluster = await startEtcdCluster({ members: 1, tls: true, auth: { user, password }, flags });
  });
  afterAll(() => cluster?.close());

  it("serves who trusts its CA and knows the password", async () => {
    const gateway = open(cluster, 0, login);
    await write(gateway, put("secret", "1"));
    expect((await gateway.range({ key: "secret" })).items[0]?.value).toBe("1");
  });

  it("is refused clearly when another CA signed its certificate", async () => {
    const gateway = open(cluster, 0, { ...login, ca: await makeForeignCa(cluster.dir) });
    await expect(write(gateway, put("secret", "2"))).rejects.toMatchObject({
      code: "etcd-untrusted",
      message: expect.stringContaining("give the CA"),
    });
  });

  it("names the user, never the password, when the password is wrong", async () => {
    const gateway = open(cluster, 0, { user, readPassword: () => "wrong-battery" });
    const fault = await gateway.range({ key: "secret" }).catch((error: unknown) => error);
    expect(fault).toMatchObject({ code: "etcd-auth", message: expect.stringContaining('"berth"') });
    expect(`${fault} ${JSON.stringify(fault)} ${gateway.warnings}`).not.toContain("wrong-battery");
    expect(await watching(gateway, { key: "secret" }, 1).ended).toMatchObject({ code: "etcd-auth" });
  });

  it("says that a user is wanted when none is configured", async () => {
    const fault = await open(cluster)
      .range({ key: "secret" })
      .catch((error: unknown) => error);
    expect(fault).toMatchObject({
      code: "etcd-auth",
      message: expect.stringContaining("none is configured"),
    });
  });

  it("makes a new token when the member has forgotten the old one", async () => {
    const gateway = open(cluster, 0, login);
    await write(gateway, put("renewed", "1"));
    await forgetTokens(gateway);
    await write(gateway, put("renewed", "2"));
    expect((await gateway.range({ key: "renewed" })).items[0]?.version).toBe(2);
  });

  it("makes a new token for a watch as well", async () => {
    const [reader, writer] = [open(cluster, 0, login), open(cluster, 0, login)];
    const watch = watching(reader, { key: "watched" }, await write(writer, put("watched", "1")));
    await watch.untilSeen("watched=1");
    await forgetTokens(writer);
    await write(writer, put("watched", "2"));
    await watch.untilSeen("watched=2");
    expect(watch.seen()).toEqual(["watched=1", "watched=2"]);
  });

  async function forgetTokens(writer: LoggedGateway): Promise<void> {
    for (let n = 0; n < 5; n++) await write(writer, put("snapshot", `${n}`));
    await cluster.killMember(0);
    await cluster.startMember(0);
  }
});

/** Repeats what may be repeated: these writes are the same ones twice, but a second revision would show in the watch. */
async function untilWritten(gateway: LoggedGateway, operations: Operation[]): Promise<void> {
  const [first] = operations;
  if (first?.kind !== "put") throw new Error("a put was expected");
  const unwritten = async () => {
    const { items } = await gateway.range({ key: first.key });
    return items[0]?.value !== first.value;
  };
  const attempt = async () => {
    if (await unwritten()) await write(gateway, ...operations);
    return true;
  };
  await until(`${first.key} is written`, attempt, { timeoutMs: 30_000 });
}
