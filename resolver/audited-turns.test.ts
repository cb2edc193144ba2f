import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";

import { makeTemporaryDir } from "../test/testbed/temporary-dir.ts";
import { standardSettings } from "./settings.ts";
import { binding, TestHost, zone } from "./store/contract/builders.ts";
import { openSqliteStore, type SqliteStore } from "./store/sqlite.ts";

function makeStore(auditNow?: () => number): SqliteStore {
  const directory = makeTemporaryDir("berth-audited-");
  const clock = { now: 1_800_000_000_000 };
  const options = auditNow === undefined ? {} : { auditNow };
  const now = () => clock.now;
  const store = openSqliteStore(join(directory.path, "registry.db"), standardSettings(zone), now, options);
  onTestFinished(() => {
    store.close();
    directory.remove();
  });
  return store;
}

const detailsOf = async (store: SqliteStore) => (await store.audit.list(100)).map(({ detail }) => detail);

test("a process that takes its host over with the set as it is leaves an entry", async () => {
  const store = makeStore();
  const host = new TestHost("a", "nas");
  await host.push(store, [binding("web.shop")]);
  await host.push(store, [binding("web.shop")], { epoch: 7, sequence: 1 });
  expect(await detailsOf(store)).toEqual(["nas: +1 -0 names, 0 changed", "nas: another process, epoch 7"]);
  expect((await store.audit.list(1))[0]?.actor).toMatchObject({ tokenId: "bootstrap-agent" });
});

test("a renewal leaves an entry when it changes the lease, and none when it only prolongs it", async () => {
  const store = makeStore();
  const host = new TestHost("a", "nas");
  await host.push(store, [binding("web.shop")]);
  await host.renew(store);
  await host.renew(store, { lease: 3600 });
  await host.renew(store, { lease: 3600 });
  expect(await detailsOf(store)).toEqual(["nas: +1 -0 names, 0 changed", "nas: lease is 3600 s now"]);
});

test("changes are dated by the wall clock, which may have been set since leases began to run", async () => {
  const store = makeStore(() => 1_900_000_000_000.5);
  await new TestHost("a", "nas").push(store, [binding("web.shop")]);
  expect((await store.audit.list(1))[0]?.at).toBe(1_900_000_000_000);
});
