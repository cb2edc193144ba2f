import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { buildDeb } from "../../packaging/deb.ts";
import type { Netns } from "../testbed/netns.ts";
import { type Machine, whyNoMachines } from "../testbed/nspawn.ts";
import { mustRun, startProcess } from "../testbed/process.ts";
import { stopAll } from "../testbed/started-process.ts";
import { makeTemporaryDir, type TemporaryDir } from "../testbed/temporary-dir.ts";
import { until } from "../testbed/wait.ts";
import { startStandIn } from "./dns-stand-in.ts";
import { bootInstalled, createCable, inside, machineKinds, outside } from "./name-machines.ts";

const unit = "berth-transparent.service";
const state = "/var/lib/private/berth/resolver";
const url = `https://${inside}:8053`;
const name = "shop.lab.berth.internal";
const page = `const { createServer } = require("node:http");
createServer((_, response) => response.end("the shop")).listen(8080, "${inside}", () => console.log("open"));`;

/** Everything on one Debian, as the package has it: resolver, agent, and the proxy that any program there goes through without knowing. */
describe.skipIf(whyNoMachines())("the transparent proxy as a service", () => {
  let built: TemporaryDir;
  let spaces: Netns[];
  let machine: Machine;

  beforeAll(async () => {
    built = makeTemporaryDir("berth-t-");
    await buildDeb({ version: "0.1.0", outDir: built.path, compression: "none" });
    spaces = await createCable();
    const [own, other] = spaces.map((space) => space.name) as [string, string];
    await startStandIn(other, { address: outside, port: 53, answers: { "outside.example": "192.0.2.7" } });
    await startProcess([process.execPath, "-e", page], { netns: own }).waitForLine(/open/);
    // As an administrator permits it; the machine itself may not write there.
    await mustRun(["ip", "netns", "exec", own, "sysctl", "--quiet", "net.ipv6.ip_nonlocal_bind=1"]);
    machine = await bootInstalled(own, machineKinds[0] ?? expect.fail("no kind"), built.path);
    await publish();
    // The first time it fetches a Debian.
  }, 600_000);
  afterAll(async () => {
    await stopAll();
    await machine?.stop();
    for (const space of spaces ?? []) await space.remove();
    built?.remove();
  });

  it("starts as a user of its own, with what only root may read", async () => {
    machine.write("/etc/berth/proxy.env", `BERTH_RESOLVER=${url}\n`);
    await machine.must("systemctl", "enable", "--now", unit);
    const pid = await machine.property(unit, "MainPID");
    expect(await machine.must("stat", "--format=%u", `/proc/${pid}`)).not.toBe("0");
  });

  it("gets what programs ask once the machine is told, which hears of the zones from it", async () => {
    const said = await machine.must("berth", "dns", "install");
    expect(said).toContain("what programs ask about berth.internal arrives there");
    expect((await machine.run("berth", "dns", "status")).code).toBe(0);
  });

  it("leads a program that knows nothing of it to the service, by IPv4 and by IPv6", async () => {
    await until("the name", async () => (await addressOf("ahostsv4")) !== undefined);
    const [address, address6] = [await addressOf("ahostsv4"), await addressOf("ahostsv6")];
    expect(address).toMatch(/^127\.(6[4-9]|[789]\d|1[01]\d|12[0-7])\./);
    expect(address6).toMatch(/^fd62:6572:7468:/);
    for (const host of [name, address, address6]) expect(await fetchFrom(host ?? "")).toContain("the shop");
  });

  it("leaves other names to the network", async () => {
    expect(await machine.must("getent", "ahostsv4", "www.outside.example")).toContain("192.0.2.7");
  });

  it("keeps the name's address over a restart", async () => {
    const before = await addressOf("ahostsv4");
    await machine.must("systemctl", "restart", unit);
    await until("the name", async () => (await addressOf("ahostsv4")) !== undefined);
    expect(await addressOf("ahostsv4")).toBe(before);
    expect(await fetchFrom(name)).toContain("the shop");
  });

  it("takes its IPv6 addresses away with it", async () => {
    expect(await localRoutes()).toContain("fd62:6572:7468::/64");
    await machine.must("systemctl", "stop", unit);
    expect(await machine.property(unit, "Result")).toBe("success");
    expect(await localRoutes()).not.toContain("fd62:6572:7468");
  });

  /** A service of the machine's own, as an agent declares it. */
  async function publish(): Promise<void> {
    machine.write("/etc/berth/resolver.env", `BERTH_LISTEN=${inside}:8053\n`);
    await machine.must("systemctl", "enable", "--now", "berth-resolver.service");
    for (const [from, to] of [
      ["agent.token", "agent.token"],
      ["reader.token", "reader.token"],
      ["tls/ca.pem", "ca.pem"],
    ]) {
      machine.write(`/etc/berth/${to}`, machine.read(`${state}/${from}`), 0o600);
    }
    const service = ["[[service]]", 'name = "shop.lab"', "port = 8080", "service-port = 80", 'check = "off"'];
    machine.write("/etc/berth/services.d/shop.toml", `${service.join("\n")}\n`);
    machine.write("/etc/berth/agent.env", `BERTH_RESOLVER=${url}\nBERTH_ENGINE=none\n`);
    await machine.must("groupadd", "docker");
    await machine.must("systemctl", "enable", "--now", "berth-agent.service");
  }

  async function addressOf(database: "ahostsv4" | "ahostsv6"): Promise<string | undefined> {
    const { stdout } = await machine.run("getent", database, name);
    return stdout.split(/\s+/)[0] || undefined;
  }

  /** By the shell, which knows of sockets and nothing else. */
  function fetchFrom(host: string): Promise<string> {
    const script = `exec 3<>/dev/tcp/${host}/80 && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3`;
    return machine.must("timeout", "20", "bash", "-c", script);
  }

  function localRoutes(): Promise<string> {
    return machine.must("ip", "-6", "route", "show", "table", "local");
  }
});
