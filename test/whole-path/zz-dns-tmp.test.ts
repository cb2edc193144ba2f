import { it } from "vitest";
import { buildDeb } from "../../packaging/deb.ts";
import { mustRun, startProcess } from "../testbed/process.ts";
import { stopAll } from "../testbed/started-process.ts";
import { makeTemporaryDir } from "../testbed/temporary-dir.ts";
import { startStandIn } from "./dns-stand-in.ts";
import { bootInstalled, createCable, machineKinds } from "./name-machines.ts";

it("reboots", async () => {
  const built = makeTemporaryDir("berth-dt-");
  await buildDeb({ version: "0.1.0", outDir: built.path, compression: "none" });
  const spaces = await createCable();
  const own = spaces[0]!.name;
  const machine = await bootInstalled(own, machineKinds[0]!, built.path);
  const stub = await startStandIn(own, {
    address: "127.64.0.1",
    port: 53,
    answers: { "berth.internal": "127.64.0.9" },
  });
  await startStandIn(spaces[1]!.name, {
    address: "10.98.0.1",
    port: 53,
    answers: { "berth.internal": "192.0.2.66" },
  });
  await machine.must("berth", "dns", "install", "--zone", "berth.internal");
  for (let i = 0; i < 8; i++) startProcess(["timeout", "190", "sh", "-c", "while :; do :; done"]);
  const end = Date.now() + 150_000;
  for (let i = 0; Date.now() < end; i++) {
    await machine.must("systemctl", "restart", "systemd-resolved");
    await machine.reboot(async () => {
      const links = await mustRun(["ip", "-n", own, "-brief", "link"]);
      if (/^berth0\b/m.test(links)) {
        console.log("left");
        await mustRun(["ip", "-n", own, "link", "delete", "berth0"]);
      }
    });
    const t = Date.now();
    const r = (await machine.run("getent", "ahostsv4", `n${i}.berth.internal`)).stdout.split(" ")[0];
    const took = Date.now() - t;
    if (r === "127.64.0.9" && took < 3000) {
      process.stdout.write(".");
      continue;
    }
    console.log(i, r, took);
    console.log(
      (await machine.run("networkctl")).stdout,
      (await machine.run("sh", "-c", "cat /run/systemd/netif/links/*")).stdout,
      (await machine.run("resolvectl", "status")).stdout,
      (await machine.run("systemctl", "status", "--no-pager", "-l", "berth-dns")).stdout,
    );
    console.log(
      (
        await machine.run(
          "journalctl",
          "-b",
          "--no-pager",
          "-o",
          "short-monotonic",
          "-u",
          "berth-dns",
          "-u",
          "systemd-resolved",
          "-u",
          "systemd-networkd",
        )
      ).stdout,
    );
    await new Promise((r) => setTimeout(r, 8000));
    const t2 = Date.now();
    const r2 = (await machine.run("getent", "ahostsv4", `m${i}.berth.internal`)).stdout.split(" ")[0];
    console.log("later", r2, Date.now() - t2, (await machine.run("ip", "addr")).stdout, stub.lines.slice(-5));
    if (r2 !== "127.64.0.9") {
      console.log(
        (await machine.run("resolvectl", "status")).stdout,
        await machine.run("resolvectl", "query", `q${i}.berth.internal`),
      );
      break;
    }
  }
  await stopAll();
  await machine.stop();
  for (const s of spaces) await s.remove();
  built.remove();
}, 400_000);
