import { describe, expect, it } from "vitest";

import { type Name, parseName } from "../shared/name.ts";
import { applyChanges } from "./dns-change.ts";
import { networkManager } from "./dns-network-manager.ts";
import { planInstallation } from "./dns-plan.ts";
import { plainFile } from "./dns-resolv-conf.ts";
import { resolved } from "./dns-resolved.ts";
import { FakeNameMachine } from "./testing/fake-name-machine.ts";

const [zone, other] = [parseName("berth.internal"), parseName("shop.example")];
const setting = { zones: [zone, other], server: { host: "127.64.0.1", port: 53 } };
const enabled = "/etc/systemd/system/systemd-resolved.service.wants/berth-dns.service";
const arrive = async (_: Name) => true;

/** One on which it was installed, with what systemd makes of the unit. */
async function machineWith(service: typeof resolved): Promise<FakeNameMachine> {
  const machine = new FakeNameMachine({ "/etc/resolv.conf": "nameserver 192.0.2.1\n" });
  await applyChanges(await planInstallation(service, setting, machine, arrive), machine);
  if (service === resolved) {
    machine.files.set("/proc/net/dev", "    lo: 1\nberth0: 1\n");
    machine.links.set(enabled, "/etc/systemd/system/berth-dns.service");
  }
  return machine;
}

async function commands(
  service: typeof resolved,
  machine: FakeNameMachine,
  arrives = arrive,
): Promise<string[]> {
  const changes = await planInstallation(service, setting, machine, arrives);
  return changes.map((change) => (change.kind === "run" ? change.argv.join(" ") : change.path));
}

describe("an installation on a machine that is set already", () => {
  it.each([resolved, networkManager, plainFile])(
    "does nothing when all names arrive: $name",
    async (service) => {
      expect(await commands(service, await machineWith(service))).toEqual([]);
    },
  );

  it("starts the unit anew, and enables it, when names of one zone do not arrive", async () => {
    const done = await commands(resolved, await machineWith(resolved), async (each) => each === zone);
    expect(done).toContain("systemctl enable berth-dns.service");
    expect(done).toContain("systemctl restart berth-dns.service");
  });

  it("enables the unit again when somebody has disabled it, though names arrive until the machine stops", async () => {
    const machine = await machineWith(resolved);
    machine.links.delete(enabled);
    expect(await commands(resolved, machine)).toContain("systemctl enable berth-dns.service");
  });

  it("has dnsmasq read the file again when names do not arrive", async () => {
    const done = await commands(networkManager, await machineWith(networkManager), async () => false);
    expect(done).toEqual(["nmcli general reload dns-full"]);
  });

  it("has nobody to tell of a plain file", async () => {
    expect(await commands(plainFile, await machineWith(plainFile), async () => false)).toEqual([]);
  });

  it("takes back what is set elsewhere", async () => {
    const machine = await machineWith(networkManager);
    expect(await commands(plainFile, machine)).toContain("/etc/NetworkManager/dnsmasq.d/berth-dns.conf");
  });
});
