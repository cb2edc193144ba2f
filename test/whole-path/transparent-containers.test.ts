import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { type CurlResult, curlDirect } from "../testbed/dns-clients.ts";
import type { Engine } from "../testbed/engine.ts";
import { mustRun, runCommand } from "../testbed/process.ts";
import { until } from "../testbed/wait.ts";
import { composeLabels, pageOf, serve } from "./pages.ts";
import { berth, Part } from "./parts.ts";
import { createWorld, engineOf, type World } from "./world.ts";

const name = "web.shop.berth.internal";
const labels = composeLabels("shop", "web");
const dnsStub = "127.64.0.1";
const statusPage = "127.0.0.1:1083";
/** curl(1): nobody listens there. */
const refused = 7;
/** curl(1): what was connected ended without an answer, as may be when its container ends. */
const cut = [52, 56];

/** Programs of a machine beside the container host, with the machine's DNS led to the proxy; the tests are one service's life, in its order. */
describe("containers, for programs that know nothing of berth", () => {
  let world: World;
  let engine: Engine;
  let resolvConf: string;
  let address: string;

  beforeAll(async () => {
    world = await createWorld();
    engine = engineOf(world);
    resolvConf = join(world.dir, "resolv.conf");
    writeFileSync(resolvConf, `nameserver ${dnsStub}\n`);
    await Promise.all([startTransparent(), serve(engine, "first", { page: "one", labels })]);
    await untilPublished(80, 1);
  });
  afterAll(() => world?.close());

  it("are reached by a DNS name, and by the address it has, which is kept", async () => {
    const found = await withNames("getent", "ahostsv4", name);
    address = /^127\.\d+\.\d+\.\d+/.exec(found)?.[0] ?? expect.fail(found);
    expect(await withNames("curl", "-q", "--silent", "--show-error", `http://${name}/`)).toContain("<p>one");
    expect(pageOf(await fetchFrom(80))).toBe("one");
    expect((await status()).feed).toBe("following");
  });

  it("are waited for by whoever connects between their end and their start on another port", async () => {
    const before = await engine.docker("port", "first", "80/tcp");
    await engine.docker("stop", "first");
    await untilPublished(80, 0);
    const waiting = Promise.all([fetchFrom(80), fetchFrom(80), byName()]);
    await until("them to wait", async () => (await status()).transparent.connections === 3);
    await engine.docker("start", "first");
    expect(await engine.docker("port", "first", "80/tcp")).not.toBe(before);
    const [one, other, named] = await waiting;
    expect([pageOf(one), pageOf(other)]).toEqual(["one", "one"]);
    expect(named.stdout, named.stderr).toContain("<p>one");
  });

  it("refuse nobody who connects again and again while they restart", async () => {
    const results: CurlResult[] = [];
    let isOver = false;
    const storm = Array.from({ length: 3 }, async () => {
      while (!isOver) results.push(await fetchFrom(80));
    });
    for (let restart = 0; restart < 2; restart++) {
      await engine.docker("restart", "--time", "0", "first");
      const sofar = results.length;
      await until("pages to come again", () => results.slice(sofar).some((each) => pageOf(each) === "one"));
    }
    isOver = true;
    await Promise.all(storm);
    const failed = results
      .filter((each) => pageOf(each) !== "one")
      .map(({ code, stderr }) => ({ code, stderr }));
    expect(failed.filter(({ code }) => !cut.includes(code))).toEqual([]);
  });

  it("have a port open at the kept address as soon as one of them publishes it, and refused once it is gone", async () => {
    expect((await fetchFrom(8080)).code).toBe(refused);
    const command = ["sh", "-c", "echo '<p>two on 8080</p>' > /www/index.html; httpd -f -p 8080 -h /www"];
    await engine.runContainer({ name: "second", publish: ["8080"], labels, command });
    // Nobody asks DNS again: the feed tells the proxy, which looks by itself once a minute only.
    await until("the new port", async () => pageOf(await fetchFrom(8080)) === "two", { timeoutMs: 20_000 });
    expect(pageOf(await fetchFrom(80))).toBe("one");
    await engine.docker("rm", "--force", "second");
    // Who asks at once is let wait for a container that may come back.
    await until("the port to be closed", async () => (await fetchFrom(8080)).code === refused, {
      timeoutMs: 60_000,
    });
    expect(pageOf(await fetchFrom(80))).toBe("one");
    expect((await status()).feed).toBe("following");
  });

  async function startTransparent(): Promise<void> {
    const { url, caFile, readerTokenFile } = world.resolver;
    const access = ["--resolver", url, "--ca", caFile, "--token-file", readerTokenFile];
    const listen = [
      "--listen",
      "127.0.0.1:1082",
      "--page",
      statusPage,
      "--state-dir",
      join(world.dir, "proxy"),
    ];
    // Nobody answers there: no question goes out.
    const dns = ["--transparent", "--dns-listen", `${dnsStub}:53`, "--upstream-dns", "127.0.0.1:9"];
    // More than a slow machine takes to start a container anew.
    const patience = ["--restart-patience", "20"];
    const argv = berth("proxy", ...listen, ...access, ...dns, ...patience);
    await Part.start({ name: "transparent proxy", argv, netns: world.client.netns, ready: /SOCKS5 at/ });
  }

  async function untilPublished(port: number, count: number): Promise<void> {
    const asked = async () => (await world.doh.ask(`_${port}._tcp.${name}`, "SRV", { fresh: true })).answer;
    await until(`${count} endpoints`, async () => (await asked()).length === count, { timeoutMs: 30_000 });
  }

  function fetchFrom(port: number): Promise<CurlResult> {
    return curlDirect({ url: `http://${address}:${port}/`, netns: world.client.netns, maxTimeSeconds: 60 });
  }

  async function status(): Promise<{ feed: string; transparent: { connections: number } }> {
    const { body } = await curlDirect({ url: `http://${statusPage}/status`, netns: world.client.netns });
    return JSON.parse(body);
  }

  function byName() {
    const argv = ["curl", "-q", "--silent", "--show-error", "--max-time", "60", `http://${name}/`];
    return runCommand(namesFrom(argv), { netns: world.client.netns, timeoutMs: 65_000 });
  }

  function withNames(...argv: string[]): Promise<string> {
    return mustRun(namesFrom(argv), { netns: world.client.netns });
  }

  /** With the machine's resolv.conf, in a mount namespace of its own. */
  function namesFrom(argv: string[]): string[] {
    const script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';
    return ["unshare", "--mount", "sh", "-c", script, resolvConf, ...argv];
  }
});
