import { describe, expect, it } from "vitest";

import { parseName } from "../shared/name.ts";
import { applyChanges, linesOfChange } from "./dns-change.ts";
import { networkManager } from "./dns-network-manager.ts";
import { resolved } from "./dns-resolved.ts";
import { FakeNameMachine } from "./testing/fake-name-machine.ts";

const zones = [parseName("berth.internal"), parseName("shop.example")];
const setting = { zones, server: { host: "127.64.0.1", port: 53 } };
const elsewhere = { zones, server: { host: "127.0.0.1", port: 5353 } };

describe("a change of how this machine resolves names", () => {
  it("is said line by line before it is done", () => {
    const change = { kind: "write", path: "/etc/x", was: "a\nb\n", text: "a\nc\n" } as const;
    expect(linesOfChange(change)).toEqual(["change /etc/x", "  - b", "  + c"]);
    expect(linesOfChange({ kind: "delete", path: "/etc/x", was: "a\n" })).toEqual(["delete /etc/x", "  - a"]);
    expect(linesOfChange({ kind: "run", argv: ["sh", "-c", "a b"] })).toEqual(["run sh -c 'a b'"]);
  });

  it("is not done to a file that is another by then", async () => {
    const machine = new FakeNameMachine({ "/etc/x": "changed" });
    const change = { kind: "write", path: "/etc/x", was: "a", text: "b" } as const;
    await expect(applyChanges([change], machine)).rejects.toThrow(/changed by somebody else/);
    expect(machine.files.get("/etc/x")).toBe("changed");
  });

  it("ends at the step that fails, and says which", async () => {
    const machine = new FakeNameMachine();
    machine.says.set("systemctl enable", { code: 1, output: "no bus" });
    const failed = applyChanges(resolved.install(setting, machine), machine);
    await expect(failed).rejects.toThrow(
      /systemctl enable berth-dns\.service failed \(exit code 1\): no bus/,
    );
    expect(machine.done.some((line) => line.startsWith("systemctl restart"))).toBe(false);
  });
});

describe.each([
  ["systemd-resolved", resolved, { "/etc/NetworkManager/NetworkManager.conf": "" }],
  ["systemd-resolved without NetworkManager", resolved, {}],
  ["NetworkManager's dnsmasq", networkManager, {}],
] as const)("%s", (_, service, files) => {
  it.each([setting, elsewhere])("is set to what status reads again", async (wanted) => {
    const machine = new FakeNameMachine(files);
    await applyChanges(service.install(wanted, machine), machine);
    const names = ["berth.internal", "shop.example"];
    expect(service.installed(machine)).toEqual({ zones: names, server: wanted.server });
  });

  it("is as before after it was set and taken back", async () => {
    const machine = new FakeNameMachine(files);
    expect(service.remove(machine)).toEqual([]);
    await applyChanges(service.install(setting, machine), machine);
    await applyChanges(service.remove(machine), machine);
    expect(Object.fromEntries(machine.files)).toEqual(files);
    expect(service.installed(machine)).toBe(undefined);
    expect(service.remove(machine)).toEqual([]);
  });

  it("leaves alone what somebody else calls by our file's name", async () => {
    const machine = new FakeNameMachine({ ...files, [service.files[0] ?? ""]: "mine\n" });
    expect(() => service.install(setting, machine)).toThrow(/not from berth dns install/);
    expect(service.remove(machine)).toEqual([]);
  });
});

describe("systemd-resolved beside NetworkManager", () => {
  it("has NetworkManager leave the link alone before there is one", async () => {
    const machine = new FakeNameMachine({ "/etc/NetworkManager/NetworkManager.conf": "" });
    await applyChanges(resolved.install(setting, machine), machine);
    const told = machine.done.indexOf("nmcli general reload conf");
    const written = machine.done.indexOf("write /etc/NetworkManager/conf.d/berth-dns.conf");
    const started = machine.done.indexOf("systemctl restart berth-dns.service");
    expect([written < told, told < started, written !== -1]).toEqual([true, true, true]);
  });

  it("is repaired by another installation when the link is gone", async () => {
    const machine = new FakeNameMachine();
    await applyChanges(resolved.install(setting, machine), machine);
    machine.done.length = 0;
    await applyChanges(resolved.install(setting, machine), machine);
    expect(machine.done).toContain("systemctl restart berth-dns.service");
    machine.files.set("/proc/net/dev", "    lo: 1\nberth0: 1\n");
    machine.links.set("/etc/systemd/system/systemd-resolved.service.wants/berth-dns.service", "");
    expect(resolved.install(setting, machine)).toEqual([]);
  });
});
