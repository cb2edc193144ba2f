import { it } from "vitest";
import { buildDeb } from "../../packaging/deb.ts";
import { mustRun, startProcess } from "../testbed/process.ts";
import { makeTemporaryDir } from "../testbed/temporary-dir.ts";
import { bootInstalled, createCable, machineKinds } from "./name-machines.ts";
import { stopAll } from "../testbed/started-process.ts";

it("reboots", async () => {
  const built = makeTemporaryDir("berth-dt-");
  await buildDeb({ version: "0.1.0", outDir: built.path, compression: "none" });
  const spaces = await createCable();
  const own = spaces[0]!.name;
  const machine = await bootInstalled(own, machineKinds[0]!, built.path);
  await machine.must("berth", "dns", "install", "--zone", "berth.internal");
  for (let i = 0; i < 3; i++) startProcess(["timeout", "200", "sh", "-c", "while :; do :; done"]);
  for (let i = 0; i < 12; i++) {
    await machine.reboot(async () => { await mustRun(["ip", "-n", own, "link", "delete", "berth0"]).catch(() => {}); });
    const { stdout } = await machine.run("resolvectl", "status", "berth0");
    const ok = /Current Scopes: DNS/.test(stdout) && /127.64.0.1/.test(stdout);
    console.log(i, ok ? "ok" : "BAD");
    if (!ok) {
      console.log(stdout, (await machine.run("systemctl", "status", "--no-pager", "-l", "berth-dns")).stdout);
      console.log((await machine.run("journalctl", "-b", "--no-pager", "-o", "short-monotonic", "-u", "berth-dns", "-u", "systemd-resolved", "-u", "systemd-networkd")).stdout);
      await new Promise((r) => setTimeout(r, 6000));
      console.log((await machine.run("resolvectl", "status", "berth0")).stdout);
      break;
    }
  }
  await stopAll(); await machine.stop(); for (const s of spaces) await s.remove(); built.remove();
}, 300_000);
