import { startEtcdCluster } from "../testbed/etcd.ts";
import { openResolver } from "./etcd-resolver.ts";
import { TestHost, binding, accepted } from "../../resolver/store/contract/builders.ts";
const cluster = await startEtcdCluster();
const letters = "abcdefghijklmnopqrstuvwxyz234567";
const w = await openResolver(cluster, "/mem");
const began = performance.now();
const hosts = Array.from({ length: 1000 }, (_, n) => {
  const host = new TestHost("a", `h${n}`, [`10.${n >> 8}.${n & 255}.5`]);
  (host as { hostId: string }).hostId = [letters[n >> 5], letters[n & 31]].join("").padEnd(52, "q");
  return host;
});
const from = hosts.entries();
await Promise.all(Array.from({ length: 16 }, async () => {
  for (const [n, host] of from)
    await accepted(host.push(w.store, Array.from({ length: 100 }, (_, i) => binding(`svc-${i}.stack-${n}`, { at: [`10.${n >> 8}.${n & 255}.5`], port: 1024 + i, instance: "f".repeat(64) + "@2026-11-22T06:00:00.000000000Z" })), { lease: 3600 }));
}));
console.log("registered in ms", performance.now() - began);
const cpu0 = process.cpuUsage(); const t0 = performance.now();
await Promise.all(Array.from({ length: 4 }, () => 0).map(async (_, k) => { for (let n = k; n < 1000; n += 4) await accepted(hosts[n]!.renew(w.store)); }));
const cpu = process.cpuUsage(cpu0);
console.log("1000 renewals ms", performance.now() - t0, "cpu ms", (cpu.user + cpu.system) / 1000);
await w.close();
(globalThis as { gc?: () => void }).gc?.();
const { spawnSync } = await import("node:child_process");
spawnSync(process.execPath, ["--expose-gc", "--cpu-prof", "--cpu-prof-dir=/tmp/b3/mem", "test/whole-path/zz-mem2.ts", JSON.stringify(cluster.urls)], { stdio: "inherit" });
await cluster.close();
process.exit(0);
