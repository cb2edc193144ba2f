import { startEtcdCluster } from "../testbed/etcd.ts";
import { gatewayTo } from "./etcd-watching.ts";
const cluster = await startEtcdCluster();
const g = gatewayTo(cluster, 0, { timeoutMs: 20000 });
const put = (key: string, value: string) => ({ kind: "put", key, value }) as const;
for (let n = 0; n < 1000; n++) await g.txn({ success: Array.from({ length: 100 }, (_, i) => put(`h/${n}-${i}.stack.berth.internal.`, "x".repeat(180))) });
for (let n = 0; n < 300; n++) await g.txn({ success: Array.from({ length: 12 }, (_, i) => put(`hosts/${n}-${i}`, "x".repeat(10000))) });
async function time(what: string, f: () => Promise<unknown>) { const t = performance.now(); try { await f(); } catch (e) { console.log(what, String(e)); } console.log(what, Math.round(performance.now() - t)); }
await time("single read", () => g.range({ key: "h/1" }));
await time("100 single reads", async () => { for (let i = 0; i < 100; i++) await g.range({ key: "h/1" }); });
for (const pageSize of [1000, 5000, 10000, 20000]) await time(`holds page ${pageSize}`, () => g.range({ prefix: "h/" }, { pageSize }));
for (const pageSize of [1000]) await time(`holds page ${pageSize} serializable`, () => g.range({ prefix: "h/" }, { pageSize, serializable: true }));
for (const pageSize of [16, 48, 200]) await time(`hosts page ${pageSize}`, () => g.range({ prefix: "hosts/" }, { pageSize }));
g.close(); await cluster.close(); process.exit(0);
