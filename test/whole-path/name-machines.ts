import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { createNetns, type Netns, randomSuffix } from "../testbed/netns.ts";
import { bootMachine, type Machine } from "../testbed/nspawn.ts";
import { mustRun } from "../testbed/process.ts";

const packages = ["systemd-resolved", "network-manager", "dnsmasq-base"];
/** The machine's address, and that of its network's DNS server. */
export const [inside, outside] = ["10.98.0.2", "10.98.0.1"];
type Put = (path: string, text: string, mode?: number) => void;

/** A way a Debian resolves names. */
export interface MachineKind {
  name: string;
  /** As `berth dns install` says it. */
  title: string;
  /** Its name resolution begins anew. */
  restart: string[];
  /** Somebody undoes what was set, by a shell's line. */
  undo: string;
  /** Whether names outside the zone pass the proxy too. */
  asksForAll: boolean;
  prepare(put: Put, root: string): void;
}

const dnsmasqFile = "/etc/NetworkManager/dnsmasq.d/berth-dns.conf";

export const machineKinds: MachineKind[] = [
  {
    name: "systemd-resolved, its network by systemd-networkd",
    title: "systemd-resolved",
    restart: ["systemctl", "restart", "systemd-resolved.service"],
    undo: "resolvectl revert berth0",
    asksForAll: false,
    prepare(put, root) {
      mask(root, "NetworkManager.service");
      enable(root, "systemd-networkd.service");
      const lines = ["[Match]", "Name=eth0", "[Network]", `Address=${inside}/24`, `DNS=${outside}`];
      put("etc/systemd/network/eth0.network", `${lines.join("\n")}\n`);
    },
  },
  {
    name: "systemd-resolved, its network by NetworkManager",
    title: "systemd-resolved",
    restart: ["systemctl", "restart", "NetworkManager.service"],
    undo: "systemctl disable --now berth-dns.service",
    asksForAll: false,
    prepare(put) {
      putConnection(put);
    },
  },
  {
    name: "NetworkManager's dnsmasq",
    title: "NetworkManager with its dnsmasq",
    restart: ["systemctl", "restart", "NetworkManager.service"],
    // dnsmasq has read that there is no such file when it is there again.
    undo: `mv ${dnsmasqFile} /root && nmcli general reload dns-full && sleep 1 && mv /root/berth-dns.conf ${dnsmasqFile}`,
    asksForAll: false,
    prepare(put, root) {
      mask(root, "systemd-resolved.service");
      // As where the package of systemd-resolved, and its resolvconf with it, is not installed.
      rmSync(join(root, "etc/resolv.conf"), { force: true });
      put("etc/resolv.conf", "");
      put("etc/NetworkManager/conf.d/dns.conf", "[main]\ndns=dnsmasq\nrc-manager=file\n");
      putConnection(put);
    },
  },
  {
    name: "a resolv.conf that nobody writes",
    title: "a plain /etc/resolv.conf",
    restart: ["true"],
    undo: "sed -i '/^# berth:/d;/^nameserver 127/d' /etc/resolv.conf",
    asksForAll: true,
    prepare(put, root) {
      for (const unit of ["systemd-resolved.service", "NetworkManager.service"]) mask(root, unit);
      rmSync(join(root, "etc/resolv.conf"), { force: true });
      put("etc/resolv.conf", `# ours\nsearch outside.example\nnameserver ${outside}\noptions ndots:2\n`);
    },
  },
];

/** A Debian of this kind with the package of `folder` installed. */
export async function bootInstalled(netns: string, kind: MachineKind, folder: string): Promise<Machine> {
  const machine = await bootMachine({
    netns,
    packages,
    ownsNetwork: true,
    binds: { "/mnt/packages": folder },
    prepare: (root) => kind.prepare(putterIn(root), root),
  });
  await machine.must("sh", "-c", "dpkg --install /mnt/packages/berth_*.deb");
  return machine;
}

/** A network namespace for a machine, and one for its network's DNS server. */
export async function createCable(): Promise<Netns[]> {
  const suffix = randomSuffix();
  const own = await createNetns(`berth-${suffix}-own`);
  const other = await createNetns(`berth-${suffix}-net`);
  const link = `ip link add eth0 netns ${own.name} type veth peer name eth0 netns ${other.name}`;
  await mustRun(link.split(" "));
  for (const [name, address] of [
    [own.name, inside],
    [other.name, outside],
  ] as const) {
    await mustRun(["ip", "-n", name, "address", "add", `${address}/24`, "dev", "eth0"]);
    await mustRun(["ip", "-n", name, "link", "set", "eth0", "up"]);
  }
  return [own, other];
}

function putterIn(root: string): Put {
  return (path, text, mode = 0o644) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text, { mode });
  };
}

function putConnection(put: Put): void {
  const path = "etc/NetworkManager/system-connections/eth0.nmconnection";
  const lines = [
    ...["[connection]", "id=eth0", "type=ethernet", "interface-name=eth0"],
    ...["[ipv4]", "method=manual", `address1=${inside}/24`, `dns=${outside};`, "[ipv6]", "method=link-local"],
  ];
  // NetworkManager reads none that others could.
  put(path, `${lines.join("\n")}\n`, 0o600);
}

function mask(root: string, unit: string): void {
  const path = join(root, "etc/systemd/system", unit);
  rmSync(path, { force: true });
  symlinkSync("/dev/null", path);
}

function enable(root: string, unit: string): void {
  const path = join(root, "etc/systemd/system/multi-user.target.wants", unit);
  rmSync(path, { force: true });
  symlinkSync(join("/lib/systemd/system", unit), path);
}
