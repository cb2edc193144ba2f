import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { buildDeb } from "../../packaging/deb.ts";
import type { Netns } from "../testbed/netns.ts";
import { type Machine, whyNoMachines } from "../testbed/nspawn.ts";
import { mustRun } from "../testbed/process.ts";
import { type StartedProcess, stopAll } from "../testbed/started-process.ts";
import { makeTemporaryDir, type TemporaryDir } from "../testbed/temporary-dir.ts";
import { until } from "../testbed/wait.ts";
import { startStandIn } from "./dns-stand-in.ts";
import { bootInstalled, createCable, machineKinds, outside } from "./name-machines.ts";
import { startNamedPage } from "./named-page.ts";

/** What each server answers, so that an address tells who was asked. */
const [byListener, byNetwork, foreign] = ["127.64.0.9", "192.0.2.66", "192.0.2.7"];
const inZone = "web.shop.berth.internal";
const pageName = "shop.lab.berth.internal";
const elsewhere = "www.outside.example";

let built: TemporaryDir;
beforeAll(async () => {
  if (whyNoMachines()) return;
  built = makeTemporaryDir("berth-d-");
  await buildDeb({ version: "0.1.0", outDir: built.path, compression: "none" });
});
afterAll(() => built?.remove());

/**
 * A Debian of each kind that resolves names its own way, the package installed. The proxy's DNS listener is stood in for, so that every
 * question it gets is seen; the tests are one machine's life, in its order.
 */
describe.skipIf(whyNoMachines()).each(machineKinds)("names of the zone on a machine with $name", (kind) => {
  let spaces: Netns[];
  let machine: Machine;
  let listener: StartedProcess;
  let network: StartedProcess;
  let before: string;

  beforeAll(async () => {
    spaces = await createCable();
    const [own, other] = spaces.map(({ name }) => name) as [string, string];
    network = await startStandIn(other, {
      address: outside,
      port: 53,
      answers: { "outside.example": foreign, "berth.internal": byNetwork },
    });
    machine = await bootInstalled(own, kind, built.path);
    await until("the network's DNS server", async () => (await addressOf(elsewhere)) === foreign);
    before = await settings();
    // The first time it fetches a Debian.
  }, 600_000);
  afterAll(async () => {
    await stopAll();
    await machine?.stop();
    for (const space of spaces ?? []) await space.remove();
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
    if (kind.title === "systemd-resolved") {
      expect(await machine.must("resolvectl", "query", "--legend=no", inZone)).toContain(byListener);
    }
    expect((await machine.run("berth", "dns", "status")).code).toBe(0);
  });

  it("stay so when it is installed again, which changes nothing", async () => {
    const once = await settings();
    const { stderr } = await machine.run("berth", "dns", "install", "--zone", "berth.internal");
    expect(stderr).toContain("is set for berth.internal already");
    expect(await settings()).toBe(once);
    await checkNames();
  });

  it("come back with another installation when somebody has undone what it set", async () => {
    await machine.must("sh", "-c", kind.undo);
    await until("the network's answer", async () => (await addressOf(inZone)) === byNetwork);
    expect((await machine.run("berth", "dns", "status")).code).toBe(1);
    expect(await install()).toContain("what programs ask about berth.internal arrives there");
    await checkNames();
  });

  it("stay so when name resolution begins anew", async () => {
    await machine.must(...kind.restart);
    await untilInZone();
    await checkNames();
  });

  it("stay so over a reboot", async () => {
    await reboot();
    await untilInZone();
    await checkNames();
  });

  it("are the only ones missed while the proxy is stopped", async () => {
    await listener.stop();
    expect(await addressOf(elsewhere)).toBe(foreign);
    const { code, stdout } = await machine.run("berth", "dns", "status");
    expect(code).toBe(1);
    expect(stdout).toMatch(/does not answer at 127\.64\.0\.1:53 \(nothing listens there\); start it/);
    listener = await startListener();
    await untilInZone();
  });

  // Where systemd-resolved sends names apart, the tests of the proxy as a service have the proxy itself.
  if (kind.title !== "systemd-resolved") {
    it("lead to the service by the proxy itself, and no other name goes round in a circle", async () => {
      await listener.stop();
      const said = await startProxy();
      expect(said).toContain("what programs ask about berth.internal arrives there");
      await until("the page's name", async () => (await addressOf(pageName))?.startsWith("127."));
      const fetch = `exec 3<>/dev/tcp/${pageName}/80 && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3`;
      expect(await machine.must("timeout", "20", "bash", "-c", fetch)).toContain("the shop");
      expect(await addressOf(`nobody.${pageName}.`)).toBe(undefined);
      expect(await addressOf("one.outside.example")).toBe(foreign);
      // Told of a zone too many, the machine asks the proxy what the proxy has to ask of the network.
      await install("berth.internal,outside.example");
      expect(await addressOf("two.outside.example")).toBe(foreign);
      const asked = network.lines.filter((line) => /^asked (one|two)\.outside\.example\./.test(line));
      expect(asked.length).toBeLessThan(5);
      // The other way round the zone is one too few.
      await install("outside.example");
      const { code, stdout } = await machine.run("berth", "dns", "status");
      expect(stdout.includes("the zone berth.internal are not asked of the proxy")).toBe(!kind.asksForAll);
      expect(code).toBe(kind.asksForAll ? 0 : 1);
      await machine.must("systemctl", "stop", "berth-transparent.service");
    });
  }

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

  /** A busy machine's network takes its time. */
  async function untilInZone(): Promise<void> {
    const isSo = async () => (await addressOf(inZone)) === byListener;
    await until("the zone's names", isSo, { timeoutMs: 40_000, everyMs: 200 });
  }

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

  function install(zones = "berth.internal"): Promise<string> {
    return machine.must("berth", "dns", "install", "--zone", zones);
  }

  /** The package's own, in the place of its stand-in, with a resolver beyond the network; the machine is told by its word. */
  async function startProxy(): Promise<string> {
    const dir = mkdtempSync(join(built.path, "page-"));
    const place = { netns: spaces[1]?.name ?? "", address: outside, dir };
    const { url, caFile, readerTokenFile } = await startNamedPage(place, "shop.lab", "the shop");
    machine.write("/etc/berth/proxy.env", `BERTH_RESOLVER=${url}\n`);
    machine.write("/etc/berth/ca.pem", readFileSync(caFile, "utf8"), 0o600);
    machine.write("/etc/berth/reader.token", readFileSync(readerTokenFile, "utf8"), 0o600);
    await machine.must("systemctl", "start", "berth-transparent.service");
    return machine.must("berth", "dns", "install");
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

  /** With the link gone, as on a machine whose network begins anew too. */
  function reboot(): Promise<void> {
    return machine.reboot(async () => {
      const space = spaces[0]?.name ?? "";
      const links = await mustRun(["ip", "-n", space, "-brief", "link"]);
      if (/^berth0\b/m.test(links)) await mustRun(["ip", "-n", space, "link", "delete", "berth0"]);
    });
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
