import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { buildDeb } from "../../packaging/deb.ts";
import { createNetns, type Netns, randomSuffix } from "../testbed/netns.ts";
import { bootMachine, type Machine, whyNoMachines } from "../testbed/nspawn.ts";
import { mustRun } from "../testbed/process.ts";
import { type StartedProcess, stopAll } from "../testbed/started-process.ts";
import { makeTemporaryDir, type TemporaryDir } from "../testbed/temporary-dir.ts";
import { until } from "../testbed/wait.ts";
import { startStandIn } from "./dns-stand-in.ts";

const packages = ["systemd-resolved", "network-manager", "dnsmasq-base"];
const [network, inside, outside] = ["10.98.0.0/24", "10.98.0.2", "10.98.0.1"];
/** What each server answers, so that an address tells who was asked. */
const [byListener, byNetwork, foreign] = ["127.64.0.9", "192.0.2.66", "192.0.2.7"];
const inZone = "web.shop.berth.internal";
const elsewhere = "www.outside.example";

type Put = (path: string, text: string, mode?: number) => void;

interface Kind {
  name: string;
  /** As `berth dns install` says it. */
  title: string;
  /** Its name resolution begins anew. */
  restart: string[];
  /** Whether names outside the zone pass the proxy too. */
  asksForAll: boolean;
  prepare(put: Put, root: string): void;
}

const kinds: Kind[] = [
  {
    name: "systemd-resolved, its network by systemd-networkd",
    title: "systemd-resolved",
    restart: ["systemctl", "restart", "systemd-resolved.service"],
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
    asksForAll: false,
    prepare(put) {
      putConnection(put);
    },
  },
  {
    name: "NetworkManager's dnsmasq",
    title: "NetworkManager with its dnsmasq",
    restart: ["systemctl", "restart", "NetworkManager.service"],
    asksForAll: false,
    prepare(put, root) {
      mask(root, "systemd-resolved.service");
      // As where the package of systemd-resolved, and its resolvconf with it, is not installed.
      rmSync(join(root, "etc/resolv.conf"), { force: true });
      put("etc/NetworkManager/conf.d/dns.conf", "[main]\ndns=dnsmasq\nrc-manager=file\n");
      putConnection(put);
    },
  },
  {
    name: "a resolv.conf that nobody writes",
    title: "a plain /etc/resolv.conf",
    restart: ["true"],
    asksForAll: true,
    prepare(put, root) {
      for (const unit of ["systemd-resolved.service", "NetworkManager.service"]) mask(root, unit);
      rmSync(join(root, "etc/resolv.conf"), { force: true });
      put("etc/resolv.conf", `# ours\nsearch outside.example\nnameserver ${outside}\noptions ndots:2\n`);
    },
  },
];

/**
 * A Debian of each kind that resolves names its own way, the package installed. The proxy's DNS listener is stood in for, so that every
 * question it gets is seen; the tests are one machine's life, in its order.
 */
describe.skipIf(whyNoMachines()).each(kinds)("names of the zone on a machine with $name", (kind) => {
  let dir: TemporaryDir;
  let spaces: Netns[];
  let machine: Machine;
  let listener: StartedProcess;
  let before: string;

  beforeAll(async () => {
    dir = makeTemporaryDir("berth-d-");
    await buildDeb({ version: "0.1.0", outDir: join(dir.path, "packages"), compression: "none" });
    spaces = await createCable();
    const [own, other] = spaces.map(({ name }) => name) as [string, string];
    await startStandIn(other, {
      address: outside,
      port: 53,
      answers: { "outside.example": foreign, "berth.internal": byNetwork },
    });
    machine = await bootMachine({
      netns: own,
      packages,
      ownsNetwork: true,
      binds: { "/mnt/packages": join(dir.path, "packages") },
      prepare: (root) => kind.prepare(putterIn(root), root),
    });
    await machine.must("sh", "-c", "dpkg --install /mnt/packages/berth_*.deb");
    await until("the network's DNS server", async () => (await addressOf(elsewhere)) === foreign);
    before = await settings();
    // The first time it fetches a Debian.
  }, 600_000);
  afterAll(async () => {
    await stopAll();
    await machine?.stop();
    for (const space of spaces ?? []) await space.remove();
    dir?.remove();
  });

  it("are asked of the network before, and status says what to do", async () => {
    expect(await addressOf(inZone)).toBe(byNetwork);
    const { code, stdout } = await machine.run("berth", "dns", "status");
    expect(code).toBe(1);
    expect(stdout).toMatch(/nothing is set: berth dns install/);
    expect(stdout).toContain(`answered by ${kind.title}`);
    expect(stdout).toMatch(/does not answer at 127\.64\.0\.1:53 \(nothing listens there\)/);
  });

  it("are told what would be done, with nothing done", async () => {
    const { stdout } = await machine.run("berth", "dns", "install", "--zone", "berth.internal", "--dry-run");
    expect(stdout).toMatch(/127\.64\.0\.1/);
    expect(await settings()).toBe(before);
  });

  it("arrive at the proxy once it is installed, and no other name does", async () => {
    listener = await startListener();
    const said = await install();
    expect(said).toContain("what programs ask about berth.internal arrives there");
    await checkNames();
    expect((await machine.run("berth", "dns", "status")).code).toBe(0);
  });

  it("stay so when it is installed again, which changes nothing", async () => {
    const once = await settings();
    await install();
    expect(await settings()).toBe(once);
    await checkNames();
  });

  it("stay so when name resolution begins anew", async () => {
    await machine.must(...kind.restart);
    await until("the zone's names", async () => (await addressOf(inZone)) === byListener);
    await checkNames();
  });

  it("stay so over a reboot", async () => {
    await reboot();
    await until("the zone's names", async () => (await addressOf(inZone)) === byListener);
    await checkNames();
  });

  it("are the only ones missed while the proxy is stopped", async () => {
    await listener.stop();
    expect(await addressOf(elsewhere)).toBe(foreign);
    const { code, stdout } = await machine.run("berth", "dns", "status");
    expect(code).toBe(1);
    expect(stdout).toMatch(/does not answer at 127\.64\.0\.1:53 \(nothing listens there\); start it/);
    listener = await startListener();
    await until("the zone's names", async () => (await addressOf(inZone)) === byListener);
  });

  it("are the network's again after removal, every file as it was", async () => {
    await machine.must("berth", "dns", "remove");
    expect(await settings()).toBe(before);
    await until("the network's answer", async () => (await addressOf(inZone)) === byNetwork);
    expect(await addressOf(elsewhere)).toBe(foreign);
    const { code, stderr } = await machine.run("berth", "dns", "remove");
    expect(code).toBe(0);
    expect(stderr).toContain("nothing of berth's was set");
    expect(await machine.must("ip", "-brief", "link")).not.toContain("berth");
  });

  it("leave no trace of an installation that was cut short", async () => {
    await install();
    await cutShort();
    await machine.must("berth", "dns", "remove");
    expect(await settings()).toBe(before);
    expect(await machine.must("ip", "-brief", "link")).not.toContain("berth");
  });

  it("go with the package", async () => {
    await install();
    await machine.must("dpkg", "--remove", "berth");
    await until("the network's answer", async () => (await addressOf(inZone)) === byNetwork);
    expect(await settings()).toBe(before);
  });

  function startListener(): Promise<StartedProcess> {
    const answers = { "_berth-probe.berth.internal": "127.64.0.1", "berth.internal": byListener };
    const all = kind.asksForAll ? { "outside.example": foreign } : {};
    const [own] = spaces;
    return startStandIn(own?.name ?? "", {
      address: "127.64.0.1",
      port: 53,
      answers: { ...answers, ...all },
    });
  }

  function install(): Promise<string> {
    return machine.must("berth", "dns", "install", "--zone", "berth.internal");
  }

  async function checkNames(): Promise<void> {
    expect(await addressOf(inZone)).toBe(byListener);
    expect(await addressOf(elsewhere)).toBe(foreign);
    const isAsked = listener.lines.some((line) => line.startsWith(`asked ${elsewhere}.`));
    expect(isAsked).toBe(kind.asksForAll);
  }

  /** As every program of the machine finds it. */
  async function addressOf(name: string): Promise<string | undefined> {
    const { stdout } = await machine.run("getent", "ahostsv4", name);
    return stdout.split(/\s+/)[0] || undefined;
  }

  /** Every file and link below /etc with what it holds, its owner and its mode; without what the package brought. */
  async function settings(): Promise<string> {
    const ours = "-path /etc/berth -prune -o";
    const lines = await machine.must(
      "sh",
      "-c",
      `find /etc ${ours} \\( -type f -printf '%p %u %g %m ' -exec sha256sum {} \\; \\) -o \\( -type l -printf '%p -> %l\\n' \\) -o -type d -printf '%p/\\n'`,
    );
    return lines.split("\n").sort().join("\n");
  }

  async function reboot(): Promise<void> {
    const began = await machine.must("systemctl", "show", "--property=UserspaceTimestampMonotonic");
    await machine.run("systemctl", "reboot");
    await until(
      "another boot",
      async () =>
        (await machine.must("systemctl", "show", "--property=UserspaceTimestampMonotonic")) !== began,
      { timeoutMs: 30_000 },
    );
    await machine.untilUp();
  }

  /** As a power cut at one moment or another would leave it. */
  async function cutShort(): Promise<void> {
    const wants = "etc/systemd/system/systemd-resolved.service.wants";
    rmSync(join(machine.root, wants), { recursive: true, force: true });
    for (const file of ["etc/resolv.conf", "etc/systemd/system/berth-dns.service"]) {
      machine.write(`${file}.berth-new`, "# half");
    }
  }
});

/** A network namespace for a machine, and one for its network's DNS server. */
async function createCable(): Promise<Netns[]> {
  const suffix = randomSuffix();
  const own = await createNetns(`berth-${suffix}-own`);
  const other = await createNetns(`berth-${suffix}-net`);
  const link = `ip link add eth0 netns ${own.name} type veth peer name eth0 netns ${other.name}`;
  await mustRun(link.split(" "));
  const length = network.split("/")[1];
  for (const [name, address] of [
    [own.name, inside],
    [other.name, outside],
  ] as const) {
    await mustRun(["ip", "-n", name, "address", "add", `${address}/${length}`, "dev", "eth0"]);
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
