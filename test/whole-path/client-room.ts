import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createNetns, randomSuffix } from "../testbed/netns.ts";
import { type CommandResult, mustRun, runCommand } from "../testbed/process.ts";
import {
  makeRepository,
  type RealServer,
  startGitDaemon,
  startHttpd,
  startOutsideDns,
  startPostgres,
  startRedis,
  startUdpServer,
} from "../testbed/real-servers.ts";
import { startSshd } from "../testbed/sshd.ts";
import { stopAll } from "../testbed/started-process.ts";
import { makeTemporaryDir } from "../testbed/temporary-dir.ts";
import { until } from "../testbed/wait.ts";
import { berth, Part } from "./parts.ts";
import { startNodeResolver } from "./resolver-part.ts";

/**
 * A user's machine and the servers it talks to, in a network of their own without a way out. The servers are at an address of their own, on
 * ports nobody knows in advance; an agent gives them names, and one `berth proxy --transparent` leads there.
 */
export type ClientRoom = {
  netns: string;
  proxy: Part;
  /** Where commands run; files may be put there. */
  home: string;
  /** Where `hello.git` lies on the machine of git.lab. */
  repositories: string;
  /** Runs a line as a user types it at a shell, where the proxy has to be named. */
  type(line: string): Promise<CommandResult>;
  /** The same where `/etc/resolv.conf` names the proxy's DNS stub, as `berth dns install` leaves it. */
  typeWithDns(line: string): Promise<CommandResult>;
  close(): Promise<void>;
};

/** Not loopback: browsers and others treat that as their own machine. */
const serversAddress = "10.77.0.1";
const dnsStub = "127.64.0.1";
/** A name that is none of ours, as the machine's other DNS knows it. */
export const outsideName = { name: "www.outside.example", address: "192.0.2.7" };

export async function createClientRoom(): Promise<ClientRoom> {
  const dir = makeTemporaryDir("berth-r-");
  const netns = await createNetns(`berth-${randomSuffix()}`);
  const close = async () => {
    await stopAll();
    await netns.remove().finally(() => dir.remove());
  };
  try {
    await mustRun(["ip", "-n", netns.name, "addr", "add", `${serversAddress}/32`, "dev", "lo"]);
    const home = join(dir.path, "home");
    mkdirSync(home);
    const ssh = await startServers(netns.name, dir.path);
    const proxy = await startBerth(netns.name, dir.path);
    const environment = { HOME: home, PATH: `${ssh.bin}:/usr/bin:/usr/sbin:/bin:/sbin`, LC_ALL: "C.UTF-8" };
    const run = (argv: string[]) =>
      runCommand(argv, { netns: netns.name, env: environment, cwd: home, timeoutMs: 30_000 });
    const resolvConf = join(dir.path, "resolv.conf");
    writeFileSync(resolvConf, `nameserver ${dnsStub}\n`);
    const withDns = [
      "unshare",
      "--mount",
      "sh",
      "-c",
      'mount --bind "$0" /etc/resolv.conf && exec sh -c "$1"',
    ];
    return {
      netns: netns.name,
      proxy,
      home,
      repositories: join(dir.path, "files"),
      type: (line) => run(["sh", "-c", line]),
      typeWithDns: (line) => run([...withDns, resolvConf, line]),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Port 80 stands in for the only TCP port there is. */
const namedPorts = {
  "web.shop": [80],
  "db.shop": [5432, 80],
  "cache.shop": [6379, 80],
  "git.lab": [80, 22, 9418],
  "echo.lab": [7],
};

/** Returns what an SSH client needs. */
async function startServers(netns: string, dir: string): Promise<{ bin: string }> {
  const files = join(dir, "files");
  mkdirSync(files);
  writeFileSync(join(files, "index.html"), "<title>the shop</title><p>the shop\n");
  await makeRepository(files);
  const at = { netns, address: serversAddress };
  const [sshd, ...servers] = await Promise.all([
    startSshd({}, { ...at, names: ["git.lab.berth.internal"] }),
    startHttpd({ ...at, dir: files }),
    startPostgres({ ...at, dir: join(dir, "postgres") }),
    startRedis({ ...at, dir: join(dir, "redis") }),
    startGitDaemon({ ...at, dir: files }),
    startUdpServer(at),
  ]);
  const [http, postgres, redis, git, udp] = servers as [
    RealServer,
    RealServer,
    RealServer,
    RealServer,
    RealServer,
  ];
  const services = [
    service("web.shop", 80, http),
    service("db.shop", 5432, postgres),
    service("cache.shop", 6379, redis),
    service("git.lab", 80, http),
    service("git.lab", 22, sshd),
    service("git.lab", 9418, git),
    service("echo.lab", 7, udp, "udp"),
  ];
  mkdirSync(join(dir, "services.d"));
  writeFileSync(join(dir, "services.d", "servers.toml"), services.join("\n"));
  return sshd;
}

function service(name: string, servicePort: number, { port }: { port: number }, protocol = "tcp"): string {
  const check = protocol === "tcp" ? "interval = 1" : 'check = "off"';
  return `[[service]]\nname = "${name}"\nport = ${port}\nservice-port = ${servicePort}\nprotocol = "${protocol}"\n${check}\n`;
}

async function startBerth(netns: string, dir: string): Promise<Part> {
  const place = { dir: join(dir, "resolver"), client: { netns, address: "127.0.0.1" } };
  const { url, caFile, agentTokenFile, readerTokenFile } = await startNodeResolver(place);
  const resolver = ["--resolver", url, "--ca", caFile];
  const services = [
    "--engine",
    "none",
    "--services-dir",
    join(dir, "services.d"),
    "--advertise",
    serversAddress,
  ];
  const agentFlags = ["--token-file", agentTokenFile, "--state-dir", join(dir, "agent"), "--status", "off"];
  const agent = Part.start({
    ...{ name: "agent", netns, ready: /watches no engine/ },
    argv: berth("agent", ...resolver, ...services, ...agentFlags),
  });
  const outside = await startOutsideDns({ netns, address: "127.0.0.1" }, outsideName);
  const transparent = ["--transparent", "--dns-listen", `${dnsStub}:53`];
  const upstream = ["--upstream-dns", `127.0.0.1:${outside.port}`, "--state-dir", join(dir, "proxy")];
  const flags = [...resolver, "--token-file", readerTokenFile, ...transparent, ...upstream];
  const proxy = await Part.start({
    name: "proxy",
    netns,
    ready: /SOCKS5 at/,
    argv: berth("proxy", ...flags),
  });
  await agent;
  await untilNamed(netns, { url, caFile });
  return proxy;
}

/** The agent checks what it declares, one port after the other. */
async function untilNamed(netns: string, { url, caFile }: { url: string; caFile: string }): Promise<void> {
  for (const [name, ports] of Object.entries(namedPorts)) {
    const argv = ["curl", "-sSf", "--cacert", caFile, `${url}/v1/names/${name}.berth.internal`];
    await until(
      `${name} to have its ports`,
      async () => JSON.parse(await mustRun(argv, { netns })).ports.length === ports.length,
      { timeoutMs: 30_000 },
    );
  }
}
