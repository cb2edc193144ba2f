import { afterAll, beforeAll, onTestFinished } from "vitest";
import { standardSettings } from "../../resolver/settings.ts";
import { zone } from "../../resolver/store/contract/builders.ts";
import type { StoreHarness } from "../../resolver/store/contract/harness.ts";
import { describeStore } from "../../resolver/store/contract.ts";
import { createEtcdGateway } from "../../resolver/store/etcd/gateway.ts";
import { type OpenEtcdStore, openEtcdStore } from "../../resolver/store/etcd/open.ts";
import { createLog } from "../../shared/log.ts";
import { type EtcdCluster, startEtcdCluster } from "../testbed/etcd.ts";

let cluster: EtcdCluster;
let rooms = 0;

beforeAll(async () => {
  cluster = await startEtcdCluster();
});
afterAll(() => cluster?.close());

const silent = createLog("etcd-store", "error", () => undefined);

/** A resolver's store on the cluster, in a part of it that no other test uses. */
async function makeStore(): Promise<StoreHarness> {
  const root = `/berth-test-${++rooms}`;
  let now = 1_800_000_000_000;
  let opened: OpenEtcdStore | undefined;
  const open = async () => {
    await opened?.close();
    const gateway = createEtcdGateway({ urls: cluster.urls, timeoutMs: 5000, log: silent });
    opened = await openEtcdStore(gateway, {
      settings: standardSettings(zone),
      now: () => now,
      root,
      log: silent,
    });
    return opened.store;
  };
  onTestFinished(async () => opened?.close());
  return {
    store: await open(),
    async advance(ms) {
      now += ms;
      await opened?.store.sweep();
    },
    restart: open,
  };
}

describeStore("etcd", makeStore, {
  serial: "it counts etcd's revisions, which every resolver sees alike, from the clock of the first start",
});
