import { cpSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CurlResult, curlDirect, curlSocks, kdigHttps } from "../testbed/dns-clients.ts";
import { type EtcdCluster, startEtcdCluster } from "../testbed/etcd.ts";
import { createHosts, type Hosts } from "../testbed/hosts.ts";
import { stopAll } from "../testbed/started-process.ts";
import { makeTemporaryDir } from "../testbed/temporary-dir.ts";
import { until } from "../testbed/wait.ts";
import { answersDuring, isAnswered } from "./answers.ts";
import { type DohAsker, startDohAsker } from "./doh-asker.ts";
import { pageOf, serve, untilPage } from "./pages.ts";
import type { Part } from "./parts.ts";
import { pathWithToken, type ResolverPart, startNodeResolver } from "./resolver-part.ts";
import { proxyAddress, startAgent, startProxy } from "./world.ts";

const lease = 6;
const user = "berth";
const password = "a password with spaces";

/** Two resolvers on one etcd of three members, with TLS and a password; agent and proxy know both. */
describe("two resolvers that share their registry", () => {
  const dir = makeTemporaryDir("berth-two-");
  let machines: Hosts;
  let etcd: EtcdCluster;
  let first: ResolverPart;
  let second: ResolverPart;
  let atFirst: { doh: DohAsker };
  let atSecond: { doh: DohAsker };
  let agent: Part;

  beforeAll(async () => {
    machines = await createHosts(1);
    const { netns } = machines.client;
    etcd = await startEtcdCluster({ tls: true, auth: { user, password }, netns });
    first = await startResolver("first", 8053);
    copyIdentity(first.dir, join(dir.path, "second"));
    second = await startResolver("second", 8054);
    atFirst = { doh: await startDohAsker({ netns, resolver: first }) };
    atSecond = { doh: await startDohAsker({ netns, resolver: second }) };
    const both = { ...first, url: `${first.url},${second.url}` };
    await startProxy(netns, both);
    const host = machines.hosts[0] ?? expect.fail("no host");
    const place = {
      netns: host.netns,
      socket: host.engine.socketPath,
      dir: join(dir.path, "agent"),
      resolver: both,
    };
    agent = await startAgent(place, ["--lease", `${lease}`, "--log-level", "debug"]);
    await serve(host.engine, "cafe");
    await untilPage({ fetch }, "http://cafe.berth.internal/", "cafe");
  });
  afterAll(async () => {
    await stopAll();
    await etcd?.close();
    await machines?.close().finally(() => dir.remove());
  });

  it("give the same answers", async () => {
    expect(await isAnswered(atFirst, "cafe")).toBe(true);
    await until("the second to know as well", () => isAnswered(atSecond, "cafe"));
    expect(await health(second)).toMatchObject({ status: "ok" });
  });

  it("stand in for each other: one is killed, and names lead on, with their lease renewed", async () => {
    const answers = answersDuring(atSecond, "cafe");
    await first.part.kill9();
    const pages = await pagesFor(2 * lease * 1000);
    expect(pages).toEqual(new Set(["cafe"]));
    const { there, absent } = await answers.stop();
    expect(absent).toBe(0);
    expect(there).toBeGreaterThan(20);
    expect(agent.process.lines.at(-1)).toMatch(new RegExp(`renews the lease by a link to ${second.url}`));
    await first.part.start();
    expect(await isAnswered(atFirst, "cafe")).toBe(true);
  });

  it("answer from memory when all of etcd is gone, say so, and go on when it is back", async () => {
    const host = machines.hosts[0] ?? expect.fail("no host");
    const seen = agent.process.lines.length;
    const toldOf = (pattern: RegExp) => agent.process.lines.slice(seen).some((line) => pattern.test(line));
    await etcd.stopAll();
    await serve(host.engine, "bakery");
    await until("the agent to say what is wrong", () => toldOf(/the resolver at .* says: .*etcd/));
    for (const resolver of [first, second])
      await until("stale health", async () => (await health(resolver)).status === "stale");
    const { text } = await askKdig("cafe.berth.internal");
    expect(text).toMatch(/NOERROR/);
    // RFC 8914 §4.4: Stale Answer.
    expect(text).toMatch(/EDE: 3|Stale Answer/);
    // Longer than any lease that was granted.
    await sleep((lease + 2) * 1000);
    expect(await pagesFor(1000)).toEqual(new Set(["cafe"]));

    await etcd.startAll();
    await untilPage({ fetch }, "http://bakery.berth.internal/", "bakery");
    await until("the agent to be content", () => toldOf(/takes this host's names again/));
    for (const resolver of [first, second])
      await until("good health", async () => (await health(resolver)).status === "ok");
    expect((await askKdig("cafe.berth.internal")).text).not.toMatch(/EDE/);
    const answers = [answersDuring(atFirst, "cafe"), answersDuring(atSecond, "cafe")];
    await sleep(lease * 1000);
    for (const each of answers) expect(await each.stop()).toMatchObject({ absent: 0 });
  });

  it.each([
    ["another password", () => ["--etcd-password-file", wrongPassword()], /berth: etcd at .*password/],
    ["no password", () => [], /--etcd-user and --etcd-password-file/],
  ])("one with %s does not start, and says why", async (_, flags, why) => {
    const [ca, login] = [
      ["--etcd-ca", etcd.certificates?.caFile ?? ""],
      ["--etcd-user", user],
    ];
    const third = { dir: join(dir.path, "third"), client: machines.client, port: 8055 };
    const starting = startNodeResolver({ ...third, flags: [...storeFlags(), ...ca, ...login, ...flags()] });
    await expect(starting).rejects.toThrow(why);
  });

  function startResolver(name: string, port: number): Promise<ResolverPart> {
    const passwordFile = join(dir.path, "password");
    writeFileSync(passwordFile, `${password}\n`);
    const ca = ["--etcd-ca", etcd.certificates?.caFile ?? ""];
    const login = ["--etcd-user", user, "--etcd-password-file", passwordFile];
    const flags = [...storeFlags(), ...ca, ...login];
    return startNodeResolver({ dir: join(dir.path, name), client: machines.client, port, flags });
  }

  function storeFlags(): string[] {
    return ["--store", `etcds://${etcd.urls.map((url) => new URL(url).host).join(",")}`];
  }

  function wrongPassword(): string {
    const file = join(dir.path, "wrong");
    writeFileSync(file, "another password\n");
    return file;
  }

  function fetch(url: string): Promise<CurlResult> {
    return curlSocks({ url, proxy: proxyAddress, netns: machines.client.netns });
  }

  async function pagesFor(ms: number): Promise<Set<string | undefined>> {
    const pages = new Set<string | undefined>();
    const end = performance.now() + ms;
    while (performance.now() < end) {
      pages.add(pageOf(await fetch("http://cafe.berth.internal/")));
      await sleep(100);
    }
    return pages;
  }

  async function health({ url, caFile }: ResolverPart): Promise<{ status: string }> {
    const { netns } = machines.client;
    const { body } = await curlDirect({ url: `${url}/healthz`, netns, extraArgs: ["--cacert", caFile] });
    return JSON.parse(body) as { status: string };
  }

  function askKdig(name: string) {
    const { address: server, port, caFile } = second;
    const at = { server, port, caFile, tlsHostname: server, netns: machines.client.netns };
    return kdigHttps({ ...at, path: pathWithToken(second), name, type: "A" });
  }
});

/** As README says: its certificate authority and its tokens, and nothing else. */
function copyIdentity(from: string, to: string): void {
  mkdirSync(to, { mode: 0o700 });
  const parts = readdirSync(from).filter((name) => name === "tls" || name.endsWith(".token"));
  for (const part of parts) cpSync(join(from, part), join(to, part), { recursive: true });
}
