import { afterAll, beforeAll, onTestFinished } from "vitest";
import type { NewAuditEntry } from "../../resolver/audit.ts";
import { standardSettings } from "../../resolver/settings.ts";
import { zone } from "../../resolver/store/contract/builders.ts";
import type { StoreHarness } from "../../resolver/store/contract/harness.ts";
import { describeModel } from "../../resolver/store/contract/model.ts";
import { describeTokenTable, type TokenTableUnderTest } from "../../resolver/store/contract/token-tables.ts";
import { describeStore } from "../../resolver/store/contract.ts";
import { createEtcdGateway } from "../../resolver/store/etcd/gateway.ts";
import { type EtcdStoreOptions, type OpenEtcdStore, openEtcdStore } from "../../resolver/store/etcd/open.ts";
import { TokenWatch } from "../../resolver/token-table.ts";
import { createLog } from "../../shared/log.ts";
import { type EtcdCluster, startEtcdCluster } from "../testbed/etcd.ts";

let cluster: EtcdCluster;
let rooms = 0;

beforeAll(async () => {
  cluster = await startEtcdCluster();
});
afterAll(() => cluster?.close());

const silent = createLog("etcd-store", "error", () => undefined);

/** A resolver on the cluster, in a part of it that no other test uses, and on a clock of its own. */
async function makeResolver(more: Partial<EtcdStoreOptions> = {}) {
  const root = `/berth-test-${++rooms}`;
  let now = 1_800_000_000_000;
  let opened: OpenEtcdStore | undefined;
  const open = async (): Promise<OpenEtcdStore> => {
    await opened?.close();
    const gateway = createEtcdGateway({ urls: cluster.urls, timeoutMs: 5000, log: silent });
    const settings = standardSettings(zone);
    opened = await openEtcdStore(gateway, {
      settings,
      now: () => now,
      steadyNow: () => 0,
      root,
      log: silent,
      ...more,
    });
    return opened;
  };
  onTestFinished(async () => opened?.close());
  return {
    ...(await open()),
    open,
    async advance(ms: number) {
      now += ms;
      await opened?.store.sweep();
    },
  };
}

async function makeStore(): Promise<StoreHarness> {
  const { store, open, advance } = await makeResolver();
  return { store, advance, restart: async () => (await open()).store };
}

async function makeTokenTable(): Promise<TokenTableUnderTest> {
  const announced: string[] = [];
  const actions: string[] = [];
  const watch = new TokenWatch(silent);
  watch.onRevoked((id) => announced.push(id));
  const record = async (entries: NewAuditEntry[]) => {
    actions.push(...entries.map(({ action }) => action));
  };
  const { tokenTable } = await makeResolver({ watch, audit: { record } });
  return { table: tokenTable, announced, actions: async () => actions };
}

const spared = {
  serial: "it counts etcd's revisions, which every resolver sees alike, from the clock of the first start",
};

describeStore("etcd", makeStore, spared);

/** Without restarts: after one, etcd still knows whose turn it was, and its own lease, on its own clock, ends that of who never comes again. */
async function makeLastingStore(): Promise<StoreHarness> {
  return { ...(await makeStore()), restart: undefined };
}

describeModel("etcd", makeLastingStore, { runs: 8, length: 30, spared });
describeTokenTable("etcd", makeTokenTable);
