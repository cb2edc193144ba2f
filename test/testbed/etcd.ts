import { rmSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../shared/testing/free-port.ts";
import { type EtcdCertificates, makeCertificates } from "./etcd-certificates.ts";
import { mustRun, startProcess } from "./process.ts";
import { programPath } from "./requirements.ts";
import type { StartedProcess } from "./started-process.ts";
import { makeTemporaryDir } from "./temporary-dir.ts";
import { until } from "./wait.ts";

export type EtcdOptions = {
  members?: number;
  /** Members show certificates of a CA of the cluster's own, and clients use https; `mutual`: clients must show one too. */
  tls?: boolean | "mutual";
  /** Turns authentication on: `user` may read and write every key, root (with the same password) may do all. */
  auth?: { user: string; password: string };
  /** More of etcd's own options, for every member. */
  flags?: string[];
  /** Name of the network namespace whose loopback it is; the test's own where none is given. */
  netns?: string;
};

/** A cluster on loopback. Members keep their data and their ports over kills and starts. */
export type EtcdCluster = {
  /** Client URLs, by member. */
  urls: string[];
  /** For the test's own files; goes with the cluster. */
  dir: string;
  /** With `tls`: what to trust, and what a client may show. */
  certificates: EtcdCertificates | undefined;
  /** Which member leads now; waits until one does. */
  leader(): Promise<number>;
  /** `kill -9`, and gone on return. */
  killMember(index: number): Promise<void>;
  /** Stops a member's every thread where it is, as a machine out of memory would; `thawMember` lets it go on. */
  freezeMember(index: number): void;
  thawMember(index: number): void;
  /** Returns when the member answers again; needs a majority up. */
  startMember(index: number): Promise<void>;
  /** `kill -9` of all at once. */
  stopAll(): Promise<void>;
  /** Starts those that do not run, and returns when all answer. */
  startAll(): Promise<void>;
  /** Loses all that was ever written, as `stopAll` and an empty disk do; `startAll` begins anew. */
  wipe(): Promise<void>;
  compact(revision: number): Promise<void>;
  /** Runs etcdctl (API 3) against the whole cluster, as root where there is authentication; returns its stdout. */
  etcdctl(args: string[]): Promise<string>;
  close(): Promise<void>;
};

type Ports = { client: number; peer: number };

/** Throws one clear sentence where etcd is not installed. Returns when all members answer. */
export async function startEtcdCluster(options: EtcdOptions = {}): Promise<EtcdCluster> {
  assertEtcd();
  const dir = makeTemporaryDir("berth-etcd-");
  const size = options.members ?? 3;
  const certificates = options.tls ? await makeCertificates(dir.path) : undefined;
  const free = await freePorts(2 * size);
  const ports = Array.from({ length: size }, (_, n) => ({
    client: free[2 * n] ?? 0,
    peer: free[2 * n + 1] ?? 0,
  }));
  const settings = {
    dir: dir.path,
    ports,
    certificates,
    isMutual: options.tls === "mutual",
    flags: options.flags ?? [],
    netns: options.netns,
  };
  const cluster = clusterOf(settings, () => dir.remove());
  try {
    await cluster.startAll();
    if (options.auth) await cluster.turnAuthOn(options.auth);
    return cluster;
  } catch (fault) {
    await cluster.close();
    throw fault;
  }
}

function assertEtcd(): void {
  const missing = Object.entries({ etcd: "etcd-server", etcdctl: "etcd-client" }).filter(
    ([name]) => !programPath(name),
  );
  if (missing.length === 0) return;
  const [programs, packages] = [missing.map(([name]) => name), missing.map(([, name]) => name)];
  throw new Error(
    `These tests need ${programs.join(" and ")}: on Debian, apt-get install ${packages.join(" ")}.`,
  );
}

type Settings = {
  dir: string;
  ports: Ports[];
  certificates: EtcdCertificates | undefined;
  isMutual: boolean;
  flags: string[];
  netns: string | undefined;
};

type Auth = { user: string; password: string };

function clusterOf(
  settings: Settings,
  remove: () => void,
): EtcdCluster & { turnAuthOn(auth: Auth): Promise<void> } {
  const { ports, certificates, netns } = settings;
  const urls = ports.map(({ client }) => urlOf(settings, client));
  const running = new Map<number, StartedProcess>();
  let rootLogin: string[] = [];

  function etcdctl(args: string[], endpoints = urls): Promise<string> {
    const tls = certificates === undefined ? [] : clientFlags(certificates);
    const options = [`--endpoints=${endpoints.join(",")}`, ...tls, ...rootLogin, "--command-timeout=10s"];
    return mustRun(["etcdctl", ...options, ...args], { netns, env: { ETCDCTL_API: "3" } });
  }
  function launch(index: number): void {
    if (running.has(index)) return;
    running.set(
      index,
      startProcess(["etcd", ...memberFlags(settings, index)], { netns, name: `etcd member ${index}` }),
    );
  }
  async function kill(index: number): Promise<void> {
    const member = running.get(index);
    running.delete(index);
    await member?.kill9();
  }
  async function untilHealthy(index: number): Promise<void> {
    const member = running.get(index);
    const isHealthy = async () => {
      if (member?.isRunning === false) return true;
      await etcdctl(["endpoint", "health"], urls.slice(index, index + 1));
      return true;
    };
    await until(`etcd member ${index} answers`, isHealthy, { timeoutMs: 60_000, everyMs: 100 });
    if (member?.isRunning === false) throw new Error(`etcd member ${index} ended:\n${member.tail()}`);
  }
  async function leader(): Promise<number> {
    const find = async () => {
      const statuses = await Promise.all(
        [...running.keys()].map(async (n) => [n, await statusOf(n)] as const),
      );
      return statuses.find(([, { leads }]) => leads)?.[0];
    };
    return until("one member of etcd leads", find);
  }
  async function statusOf(index: number): Promise<{ leads: boolean }> {
    const text = await etcdctl(["endpoint", "status", "--write-out=json"], urls.slice(index, index + 1));
    const [first] = JSON.parse(text) as { Status: { header: { member_id: number }; leader?: number } }[];
    return { leads: first?.Status.leader === first?.Status.header.member_id };
  }

  return {
    urls,
    dir: settings.dir,
    certificates,
    leader,
    killMember: kill,
    freezeMember: (index) => running.get(index)?.signal("SIGSTOP"),
    thawMember: (index) => running.get(index)?.signal("SIGCONT"),
    async startMember(index) {
      launch(index);
      await untilHealthy(index);
    },
    async stopAll() {
      await Promise.all([...running.keys()].map(kill));
    },
    async startAll() {
      // None answers before a majority is up.
      for (const index of ports.keys()) launch(index);
      await Promise.all([...ports.keys()].map(untilHealthy));
    },
    async wipe() {
      await Promise.all([...running.keys()].map(kill));
      for (const index of ports.keys()) rmSync(memberDir(settings, index), { recursive: true, force: true });
    },
    async compact(revision) {
      await etcdctl(["compact", `${revision}`]);
    },
    etcdctl: (args) => etcdctl(args),
    async turnAuthOn({ user, password }) {
      await etcdctl(["user", "add", `root:${password}`]);
      await etcdctl(["user", "add", `${user}:${password}`]);
      await etcdctl(["role", "add", "all-keys"]);
      await etcdctl(["role", "grant-permission", "all-keys", "readwrite", "--prefix=true", ""]);
      await etcdctl(["user", "grant-role", user, "all-keys"]);
      await etcdctl(["user", "grant-role", "root", "root"]);
      await etcdctl(["auth", "enable"]);
      rootLogin = [`--user=root:${password}`];
    },
    async close() {
      await Promise.all([...running.keys()].map(kill));
      remove();
    },
  };
}

function memberFlags(settings: Settings, index: number): string[] {
  const { ports, certificates, flags } = settings;
  const own = ports[index] ?? { client: 0, peer: 0 };
  const [client, peer] = [urlOf(settings, own.client), urlOf(settings, own.peer)];
  const cluster = ports.map((port, n) => `m${n}=${urlOf(settings, port.peer)}`).join(",");
  return [
    ...["--name", `m${index}`, "--data-dir", memberDir(settings, index)],
    ...["--listen-client-urls", client, "--advertise-client-urls", client],
    ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer],
    ...["--initial-cluster", cluster, "--initial-cluster-state", "new"],
    // Only a loss of power could tell the difference, and the tests' disk is shared.
    "--unsafe-no-fsync",
    // On a busy machine of two cores a heartbeat can be late by some hundred milliseconds.
    ...["--heartbeat-interval", "100", "--election-timeout", "1000"],
    // bcrypt at etcd's own cost holds the member's one apply loop up.
    ...["--bcrypt-cost", "4", "--logger", "zap", "--log-level", "warn", "--log-outputs", "stderr"],
    ...(certificates === undefined ? [] : certificateFlags(certificates, settings.isMutual)),
    ...flags,
  ];
}

function memberDir({ dir }: Settings, index: number): string {
  return join(dir, `member-${index}`);
}

function certificateFlags({ caFile, certFile, keyFile }: EtcdCertificates, isMutual: boolean): string[] {
  const peers = ["--peer-cert-file", certFile, "--peer-key-file", keyFile, "--peer-trusted-ca-file", caFile];
  // etcd asks clients for a certificate as soon as it knows a CA for them.
  const clients = isMutual ? ["--client-cert-auth", "--trusted-ca-file", caFile] : [];
  return ["--cert-file", certFile, "--key-file", keyFile, ...clients, ...peers];
}

function clientFlags({ caFile, certFile, keyFile }: EtcdCertificates): string[] {
  return [`--cacert=${caFile}`, `--cert=${certFile}`, `--key=${keyFile}`];
}

function urlOf({ certificates }: Settings, port: number): string {
  return `${certificates === undefined ? "http" : "https"}://127.0.0.1:${port}`;
}

/** Ports nobody listens on now, each another one. */
async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}
