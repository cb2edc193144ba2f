import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openInChromium, pacUrl, startChromium } from "./browser.ts";
import { curlDirect } from "./dns-clients.ts";
import { type Engine, startEngine } from "./engine.ts";
import { engineProcesses, mountsBelow } from "./engine-traces.ts";
import { createHosts, type Hosts } from "./hosts.ts";
import { importSampleImage } from "./image.ts";
import { runCommand, startProcess } from "./process.ts";
import { startUdpEcho } from "./udp-echo.ts";
import { until } from "./wait.ts";

const timeout = 120_000;

describe("one engine", { timeout }, () => {
  let engine: Engine;

  beforeAll(async () => {
    engine = await startEngine();
    await importSampleImage(engine);
  }, timeout);

  afterAll(() => engine?.stop(), timeout);

  test("a container serves its page on an ephemeral port, over IPv4 and IPv6", async () => {
    await engine.runContainer({
      name: "web",
      publish: ["80"],
      env: { BERTH_PAGE: "first" },
      labels: { a: "b" },
    });
    const port = await engine.publishedPort("web", "80/tcp");
    const port6 = await engine.publishedPort("web", "80/tcp", 6);
    expect(await page(engine.netns, `http://127.0.0.1:${port}/`)).toContain("first");
    expect(await page(engine.netns, `http://[::1]:${port6}/`)).toContain("first");
    expect(await engine.docker("inspect", "--format", "{{.Config.Labels.a}}", "web")).toBe("b");
  });

  test("its port is not open on the machine itself", async () => {
    const port = await engine.publishedPort("web", "80/tcp");
    expect((await curlDirect({ url: `http://127.0.0.1:${port}/` })).body).not.toContain("first");
  });

  test("docker restart is quick and gives it another port", async () => {
    const before = await engine.publishedPort("web", "80/tcp");
    const startedAt = Date.now();
    await engine.docker("restart", "web");
    expect(Date.now() - startedAt).toBeLessThan(5000);
    const after = await engine.publishedPort("web", "80/tcp");
    expect(after).not.toBe(before);
    expect(await page(engine.netns, `http://127.0.0.1:${after}/`)).toContain("first");
  });

  test("UDP datagrams come back from a container", async () => {
    await engine.runContainer({ name: "udp", publish: ["7/udp"] });
    const echo = await startUdpEcho(engine, "udp", 7);
    const port = await engine.publishedPort("udp", "7/udp");
    const client = startProcess([process.execPath, "--eval", udpPing(port)], { netns: engine.netns });
    expect(await client.waitForLine(/^got/)).toBe("got ping");
    await client.stop();
    await echo.stop();
    await engine.docker("rm", "--force", "udp");
  });

  test("Chromium opens the page from inside the namespace", async () => {
    const port = await engine.publishedPort("web", "80/tcp");
    const opened = await openInChromium(`http://127.0.0.1:${port}/`, { netns: engine.netns });
    expect(opened).toMatchObject({ status: 200, title: "first", body: expect.stringContaining("first on ") });
  });

  test("Chromium says why there is no page", async () => {
    const pac = pacUrl('function FindProxyForURL() { return "SOCKS5 127.0.0.1:9"; }');
    const chromium = await startChromium({ netns: engine.netns, pac });
    expect(await chromium.open("http://web.example/")).toMatchObject({
      status: 0,
      error: "ERR_PROXY_CONNECTION_FAILED",
    });
    await chromium.close();
  });

  test("a frozen engine hangs while its containers go on serving; thawed, it answers", async () => {
    const port = await engine.publishedPort("web", "80/tcp");
    engine.freeze();
    const version = ["docker", "--host", `unix://${engine.socketPath}`, "version"];
    expect((await runCommand(version, { timeoutMs: 1000 })).code).toBe(124);
    expect(await page(engine.netns, `http://127.0.0.1:${port}/`)).toContain("first");
    engine.thaw();
    expect(await engine.docker("ps", "--format", "{{.Names}}")).toBe("web");
  });

  test("a killed engine comes back on the same data and starts what it must", async () => {
    await engine.runContainer({
      name: "kept",
      publish: ["80"],
      restart: "always",
      env: { BERTH_PAGE: "kept" },
    });
    await engine.kill9();
    await expect(engine.docker("ps")).rejects.toThrow(/Cannot connect/);
    await engine.restart();
    const port = await until("kept publishes a port", () => engine.publishedPort("kept", "80/tcp"));
    expect(await page(engine.netns, `http://127.0.0.1:${port}/`)).toContain("kept");
  });

  test("restart({ signal }) ends it in order and starts it again", async () => {
    const before = engine.pid;
    await engine.restart({ signal: "SIGTERM" });
    expect(engine.pid).not.toBe(before);
    expect(await engine.docker("images", "--quiet", "berth-sample")).not.toBe("");
  });
});

describe("live restore", { timeout }, () => {
  test("containers keep serving on their port through a kill -9 and after it", async () => {
    const engine = await startEngine({ liveRestore: true });
    await importSampleImage(engine);
    await engine.runContainer({ name: "web", publish: ["8080:80"], env: { BERTH_PAGE: "still" } });
    await engine.restart({ signal: "SIGKILL" });
    expect(await page(engine.netns, "http://127.0.0.1:8080/")).toContain("still");
    await engine.stop();
    expectNoTraceOf(engine);
  });
});

describe("several hosts", { timeout }, () => {
  let network: Hosts;

  beforeAll(async () => {
    network = await createHosts(2);
    await Promise.all(
      network.hosts.map(({ engine, address }) =>
        engine.runContainer({ name: "web", publish: ["80"], env: { BERTH_PAGE: `page of ${address}` } }),
      ),
    );
  }, timeout);

  afterAll(() => network?.close(), timeout);

  test("the same published port leads to another page on each, over IPv4 and IPv6", async () => {
    for (const { engine, address, address6 } of network.hosts) {
      expect(await engine.publishedPort("web", "80/tcp")).toBe(32768);
      expect(await page(network.client.netns, `http://${address}:32768/`)).toContain(`page of ${address}`);
      expect(await page(network.client.netns, `http://[${address6}]:32768/`)).toContain(`page of ${address}`);
    }
  });

  test("a cut cable is silence, not refusal, and heals at once", async () => {
    const url = `http://${network.hosts[0]?.address}:32768/`;
    await network.cable.cut(0);
    expect(await curlDirect({ url, netns: network.client.netns, maxTimeSeconds: 1 })).toMatchObject({
      code: 28,
    });
    await network.cable.join(0);
    expect(await page(network.client.netns, url)).toContain("page of 10.77.0.1");
  });

  test("nothing leads out", async () => {
    const routes = await runCommand(["ip", "route", "show", "default"], { netns: network.client.netns });
    expect(routes.stdout).toBe("");
  });
});

describe("afterwards", { timeout }, () => {
  test("stop() leaves nothing, even with dockerd killed and containers running", async () => {
    const engine = await startEngine();
    await importSampleImage(engine);
    const id = await engine.runContainer({ name: "web", publish: ["80"] });
    await engine.kill9();
    expect(engine.traces()).not.toEqual([]);
    await engine.stop();
    expectNoTraceOf(engine);
    expect(cgroupsOf(id)).toEqual([]);
  });

  test("close() leaves no network namespace, engine or interface", async () => {
    const network = await createHosts(2);
    await network.hosts[0]?.engine.kill9();
    network.hosts[1]?.engine.freeze();
    await network.close();
    for (const { engine } of network.hosts) expectNoTraceOf(engine);
    expect(readdirSync("/run/netns").filter((name) => name.includes(network.suffix))).toEqual([]);
    expect((await runCommand(["ip", "-brief", "link"])).stdout).not.toContain(network.suffix);
  });
});

describe("a run that is broken off", { timeout }, () => {
  test("leaves nothing either: engine, container, namespace", async () => {
    const run = startProcess([process.execPath, "--input-type=module", "--eval", brokenOffRun()]);
    const line = await run.waitForLine(/^engine /, 60_000);
    const [, dir = "", netns = "", containerId = ""] = line.split(" ");
    expect(mountsBelow(dir)).not.toEqual([]);
    await run.kill9();
    await until(
      "namespace and directory are gone",
      () => !existsSync(`/run/netns/${netns}`) && !existsSync(dir),
    );
    expect([...mountsBelow(dir), ...engineProcesses(dir, [containerId])]).toEqual([]);
  });
});

function brokenOffRun(): string {
  const modulePath = (file: string) => JSON.stringify(join(import.meta.dirname, file));
  return `
    import { startEngine } from ${modulePath("engine.ts")};
    import { importSampleImage } from ${modulePath("image.ts")};
    const engine = await startEngine();
    await importSampleImage(engine);
    console.log("engine", engine.dir, engine.netns, await engine.runContainer({ name: "web", publish: ["80"] }));
  `;
}

function expectNoTraceOf(engine: Engine): void {
  expect(engine.traces()).toEqual([]);
  expect(existsSync(engine.dir)).toBe(false);
  expect(existsSync(`/run/netns/${engine.netns}`)).toBe(false);
}

function cgroupsOf(containerId: string): string[] {
  const hierarchies = readdirSync("/sys/fs/cgroup").map(
    (name) => `/sys/fs/cgroup/${name}/docker/${containerId}`,
  );
  return hierarchies.filter((dir) => existsSync(dir));
}

/** The page at `url`; asked again for a moment, because a container is up a little before its server listens. */
async function page(netns: string, url: string): Promise<string> {
  return until(`${url} answers`, async () => {
    const { status, body } = await curlDirect({ url, netns, maxTimeSeconds: 3 });
    return status === 200 && body;
  });
}

function udpPing(port: number): string {
  return `
    const socket = require("node:dgram").createSocket("udp4");
    socket.on("message", (message) => console.log("got", String(message)));
    setInterval(() => socket.send("ping", ${port}, "127.0.0.1"), 100);
  `;
}
