import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { buildDeb } from "../../packaging/deb.ts";
import { curlSocks } from "../testbed/dns-clients.ts";
import { createHosts, type Hosts } from "../testbed/hosts.ts";
import { bootMachine, type Machine, whyNoMachines } from "../testbed/nspawn.ts";
import { stopAll } from "../testbed/started-process.ts";
import { makeTemporaryDir, type TemporaryDir } from "../testbed/temporary-dir.ts";
import { until } from "../testbed/wait.ts";
import { answersDuring, isAnswered } from "./answers.ts";
import { type DohAsker, startDohAsker } from "./doh-asker.ts";

const agent = "berth-agent.service";
const resolver = "berth-resolver.service";
const state = "/var/lib/private/berth/resolver";

/**
 * One container host as an administrator has it: a Debian whose first process is systemd, the package installed, agent and resolver its
 * services, and an engine. The tests are one machine's life, in its order.
 */
describe.skipIf(whyNoMachines())("the package on a machine with systemd", () => {
  let dir: TemporaryDir;
  let hosts: Hosts;
  let machine: Machine;
  let doh: DohAsker;
  let host: Hosts["hosts"][number];

  beforeAll(async () => {
    dir = makeTemporaryDir("berth-s-");
    // 0.1.0 and what comes after it, of the same source.
    for (const version of ["0.1.0~before", "0.1.0"]) {
      await buildDeb({ version, outDir: join(dir.path, "packages"), compression: "none" });
    }
    hosts = await createHosts(1);
    host = hosts.hosts[0] ?? expect.fail("no host");
    // The service's own user must get to the socket, by its group alone.
    chmodSync(host.engine.dir, 0o711);
    machine = await bootMachine({
      netns: host.netns,
      binds: { "/run/engine": host.engine.dir, "/mnt/packages": join(dir.path, "packages") },
    });
    const gid = await machine.must("stat", "--format=%g", "/run/engine/sock");
    await machine.must("groupadd", "--non-unique", "--gid", gid, "docker");
    await host.engine.runContainer({ name: "cafe", publish: ["80"] });
    // The first time it fetches a Debian.
  }, 600_000);
  afterAll(async () => {
    await stopAll();
    await machine?.stop();
    await hosts?.close();
    dir?.remove();
  });

  function install(version: string): Promise<string> {
    return machine.must("sh", "-c", `dpkg --install /mnt/packages/berth_${version}_*.deb`);
  }

  async function journal(unit: string): Promise<string> {
    return machine.must("journalctl", "--no-pager", "--output=cat", `--unit=${unit}`);
  }

  it("installs, and starts nothing before somebody said what for", async () => {
    await install("0.1.0~before");
    expect(await machine.must("berth", "version")).toBe("0.1.0~before");
    const { stdout: help } = await machine.run("berth", "help");
    expect(help).toContain("agent");
    expect(help).not.toMatch(/^ {2}(test|install) /m);
    expect(await machine.property(agent, "ActiveState")).toBe("inactive");
    // Asked to, it waits for its token instead of failing.
    await machine.must("systemctl", "start", agent);
    expect(await machine.property(agent, "ConditionResult")).toBe("no");
    expect(await machine.property(agent, "ActiveState")).toBe("inactive");
  });

  it("runs the resolver as a user of its own, and the agent that pushes to it", async () => {
    machine.write("/etc/berth/resolver.env", `BERTH_LISTEN=${host.address}:8053\n`);
    await machine.must("systemctl", "enable", "--now", resolver);
    // root, who asks berth for tokens and backups, finds the registry where the commands look.
    const url = `https://${host.address}:8053`;
    expect(await machine.must("berth", "token", "list", "--resolver", url)).toContain("no tokens were made");

    const token = machine.read(join(state, "agent.token"));
    machine.write("/etc/berth/agent.token", token, 0o600);
    machine.write("/etc/berth/ca.pem", machine.read(join(state, "tls/ca.pem")), 0o600);
    const settings = { RESOLVER: url, ENGINE: "unix:///run/engine/sock" };
    const lines = Object.entries(settings).map(([name, value]) => `BERTH_${name}=${value}\n`);
    machine.write("/etc/berth/agent.env", lines.join(""));
    await machine.must("systemctl", "enable", "--now", agent);

    doh = await startDohAsker({ netns: host.netns, resolver: copiesFor(url) });
    await until("the container's name", () => isAnswered({ doh }, "cafe"));
    const uids = [agent, resolver].map(async (unit) =>
      machine.must("stat", "--format=%u", `/proc/${await mainPid(unit)}`),
    );
    expect(await Promise.all(uids)).not.toContain("0");
    expect(await journal(agent)).not.toContain(token.trim());
  });

  /** What a reader elsewhere has been given. */
  function copiesFor(url: string) {
    const place = join(dir.path, "reader");
    mkdirSync(place);
    const [caFile, readerTokenFile] = [join(place, "ca.pem"), join(place, "reader.token")];
    writeFileSync(caFile, machine.read(join(state, "tls/ca.pem")));
    writeFileSync(readerTokenFile, machine.read(join(state, "reader.token")));
    return { dir: place, url, caFile, readerTokenFile };
  }

  it("runs the proxy for a user who has no other rights", async () => {
    await machine.must("useradd", "--create-home", "ann");
    const home = "/home/ann";
    const files = { "ca.pem": "tls/ca.pem", "reader.token": "reader.token" };
    for (const [name, from] of Object.entries(files)) {
      machine.write(`${home}/${name}`, machine.read(join(state, from)));
    }
    const settings = `BERTH_RESOLVER=https://${host.address}:8053\nBERTH_CA=${home}/ca.pem\nBERTH_TOKEN_FILE=${home}/reader.token\n`;
    machine.write(`${home}/.config/berth/proxy.env`, settings);
    await machine.must("chown", "--recursive", "ann:", home);
    await machine.must("loginctl", "enable-linger", "ann");
    const uid = await machine.must("id", "--user", "ann");
    const asAnn = ["setpriv", "--reuid=ann", "--regid=ann", "--init-groups", "env", `HOME=${home}`];
    const systemctl = [...asAnn, `XDG_RUNTIME_DIR=/run/user/${uid}`, "systemctl", "--user"];
    await until("ann's own systemd", () => machine.must(...systemctl, "is-active", "default.target"));
    await machine.must(...systemctl, "enable", "--now", "berth-proxy.service");

    const page = { url: "http://cafe.berth.internal/", proxy: "127.0.0.1:1080", netns: host.netns };
    expect((await curlSocks(page)).body).toContain("on ");
    await machine.must(...systemctl, "disable", "--now", "berth-proxy.service");
  });

  it("starts a killed agent again, and its names never go", async () => {
    const answers = answersDuring({ doh }, "cafe");
    const before = await mainPid(agent);
    await machine.must("kill", "-KILL", before);
    await untilAnother(agent, before);
    await pushedBy(await mainPid(agent));
    expect((await answers.stop()).absent).toBe(0);
  });

  it.each([agent, resolver])("takes %s for dead when it hangs, and starts it again", async (unit) => {
    // Soon, and yet what a machine at its limits keeps: every sign of life is a process of its own.
    machine.write(`/etc/systemd/system/${unit}.d/soon.conf`, "[Service]\nWatchdogSec=8\n");
    await machine.must("systemctl", "daemon-reload");
    await machine.must("systemctl", "restart", unit);
    const before = await mainPid(unit);
    await machine.must("kill", "-STOP", before);
    await untilAnother(unit, before);
    expect(await machine.property(unit, "Result")).toBe("success");
    expect(await journal(unit)).toMatch(/Watchdog timeout/);
    await until("the container's name", () => isAnswered({ doh }, "cafe"));
  });

  it("takes the agent for dead when one of its loops hangs while all else goes on", {
    timeout: 180_000,
  }, async () => {
    const dropIn = `/etc/systemd/system/${agent}.d/stalls.conf`;
    // At a signal, so that the agent that comes after it lives.
    const stalls = `process.once("SIGUSR2", () => { crypto.subtle.digest = () => new Promise(() => {}); });\n`;
    machine.write("/usr/local/lib/stalls.cjs", stalls);
    machine.write(dropIn, "[Service]\nEnvironment=NODE_OPTIONS=--require=/usr/local/lib/stalls.cjs\n");
    await machine.must("systemctl", "daemon-reload");
    await machine.must("systemctl", "restart", agent);
    const before = await mainPid(agent);
    await pushedBy(before);

    await machine.must("kill", "-USR2", before);
    // Its lease is kept by whoever has digested the set that is to be offered now.
    await host.engine.runContainer({ name: "inn", publish: ["80"] });
    // It answers whoever asks how it is, and all that time it is the same one.
    await until(
      "a lapsed lease, told by the agent that lets it lapse",
      async () => /the lease at .* has lapsed/.test((await machine.run("berth", "status")).stderr),
      { timeoutMs: 60_000, everyMs: 500 },
    );
    expect(await mainPid(agent)).toBe(before);
    await untilAnother(agent, before, 90_000);
    expect(await linesOf(before)).toMatch(
      /lease stands still, \d+ ms late; unless that ends, systemd restarts/,
    );
    await until("both containers' names", async () => {
      return (await isAnswered({ doh }, "cafe")) && (await isAnswered({ doh }, "inn"));
    });
    await machine.must("rm", dropIn, "/usr/local/lib/stalls.cjs");
    await machine.must("systemctl", "daemon-reload");
    await machine.must("systemctl", "restart", agent);
  });

  it("lives on under its watchdog while its loops turn", async () => {
    const before = await mainPid(agent);
    const seen = new Set<string>();
    // Each stamp is one WATCHDOG=1 that systemd took; several of them make more than one limit's worth.
    await until(
      "several signs of life",
      async () => {
        seen.add(await machine.property(agent, "WatchdogTimestampMonotonic"));
        return seen.size >= 4;
      },
      { timeoutMs: 60_000 },
    );
    expect(await mainPid(agent)).toBe(before);
  });

  it("reloads the agent in place", async () => {
    const before = await mainPid(agent);
    await machine.must("systemctl", "reload", agent);
    await until("the reload", async () => /reloaded/.test(await journal(agent)));
    await until("ready again", async () => (await machine.property(agent, "ActiveState")) === "active");
    expect(await mainPid(agent)).toBe(before);
    expect(await isAnswered({ doh }, "cafe")).toBe(true);
  });

  it("goes on with the new version after an upgrade, while the names stay", async () => {
    const answers = answersDuring({ doh }, "cafe");
    const before = await mainPid(agent);
    await install("0.1.0");
    expect(await machine.must("berth", "version")).toBe("0.1.0");
    const after = await mainPid(agent);
    expect(after).not.toBe(before);
    expect(await machine.property(resolver, "ActiveState")).toBe("active");
    await pushedBy(after);
    const { there, absent } = await answers.stop();
    expect(absent).toBe(0);
    expect(there).toBeGreaterThan(0);
  });

  it("keeps what the administrator wrote, over an upgrade", () => {
    expect(machine.read("/etc/berth/agent.env")).toContain("BERTH_ENGINE=unix:///run/engine/sock");
  });

  it("stops in order, which withdraws nothing", async () => {
    await machine.must("systemctl", "stop", agent);
    expect(await machine.property(agent, "Result")).toBe("success");
    expect(await isAnswered({ doh }, "cafe")).toBe(true);
    await machine.must("systemctl", "start", agent);
  });

  it("leaves nothing when it is purged, running or not", async () => {
    await machine.must("dpkg", "--purge", "berth");
    expect((await machine.run("pgrep", "-f", "berth")).stdout).toBe("");
    const left = await machine.must("find", "/etc", "/usr", "/var", "-name", "*berth*");
    // dpkg's and the journal's own word of it.
    expect(
      left.split("\n").filter((path) => !/^\/var\/(log|lib\/systemd\/timers)/.test(path) && path),
    ).toEqual([]);
    const units = await machine.must("systemctl", "list-units", "--all", "--plain", "--no-legend", "berth*");
    expect(units).toBe("");
  });

  /** Never 0, which a signal would take for everybody. */
  async function mainPid(unit: string): Promise<string> {
    const pid = await machine.property(unit, "MainPID");
    return Number(pid) > 1 ? pid : expect.fail(`${unit} does not run:\n${await journal(unit)}`);
  }

  async function untilAnother(unit: string, pid: string, timeoutMs = 40_000): Promise<void> {
    await until(
      `${unit} to be another process`,
      async () => {
        return (await mainPid(unit)) !== pid && (await machine.property(unit, "ActiveState")) === "active";
      },
      { timeoutMs, everyMs: 200 },
    );
  }

  async function pushedBy(pid: string): Promise<void> {
    await until("the agent's push", async () => /pushed \d+ bindings/.test(await linesOf(pid)));
  }

  function linesOf(pid: string): Promise<string> {
    return machine.must("journalctl", "--no-pager", "--output=cat", `_PID=${pid}`);
  }
});
