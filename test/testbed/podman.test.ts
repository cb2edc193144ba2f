import { existsSync, readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { curlDirect } from "./dns-clients.ts";
import { importSampleImage } from "./image.ts";
import { type Podman, startPodman } from "./podman.ts";
import { cgroupsOf } from "./podman-traces.ts";
import { runCommand, startProcess } from "./process.ts";
import { whyNoPodman } from "./requirements.ts";
import { until } from "./wait.ts";

const timeout = 120_000;

describe.skipIf(whyNoPodman() !== undefined).each([
  { kind: "rootful", rootless: false },
  { kind: "rootless", rootless: true },
])("a $kind Podman", { timeout }, ({ rootless }) => {
  let podman: Podman;

  beforeAll(async () => {
    podman = await startPodman({ rootless });
    await importSampleImage(podman);
  }, timeout);
  afterAll(() => podman?.stop(), timeout);

  test("says what it is", async () => {
    const info = JSON.parse(await podman.podman("info", "--format", "json")) as Info;
    expect(info.host.security.rootless).toBe(rootless);
    expect(info.store.graphRoot).toContain(podman.dir);
    expect(await podman.docker("version", "--format", "{{json .Server.Components}}")).toContain(
      "Podman Engine",
    );
  });

  test("a container serves its page on an ephemeral port, and keeps it over a restart", async () => {
    await podman.runContainer({ name: "web", publish: ["80"], env: { BERTH_PAGE: "first" } });
    const port = await podman.publishedPort("web", "80/tcp");
    expect(await page(podman.netns, port)).toContain("first");
    await podman.docker("restart", "web");
    expect(await podman.publishedPort("web", "80/tcp")).toBe(port);
    expect(await page(podman.netns, port)).toContain("first");
  });

  test("a killed service takes no container with it, and comes back", async () => {
    const port = await podman.publishedPort("web", "80/tcp");
    await podman.kill9();
    await expect(podman.docker("ps")).rejects.toThrow(/Cannot connect/);
    expect(existsSync(podman.socketPath)).toBe(true);
    expect(await page(podman.netns, port)).toContain("first");
    await podman.restart();
    expect(await podman.publishedPort("web", "80/tcp")).toBe(port);
  });

  test("a frozen service hangs; thawed, it answers", async () => {
    podman.freeze();
    const version = ["docker", "--host", `unix://${podman.socketPath}`, "version"];
    expect((await runCommand(version, { timeoutMs: 1000 })).code).toBe(124);
    podman.thaw();
    expect(await podman.docker("ps", "--format", "{{.Names}}")).toBe("web");
  });

  test("a health check is moved by hand", async () => {
    const flags = ["--health-cmd", "test -f /tmp/ok", "--health-retries", "1"];
    await podman.runContainer({ name: "sick", flags });
    expect(await healthOf(podman, "sick")).toBe("starting");
    await podman.docker("exec", "sick", "touch", "/tmp/ok");
    await podman.podman("healthcheck", "run", "sick");
    expect(await healthOf(podman, "sick")).toBe("healthy");
  });
});

describe.skipIf(whyNoPodman() !== undefined)("afterwards", { timeout }, () => {
  test.each([false, true])(
    "stop() leaves nothing, even with the service killed (rootless: %s)",
    async (rootless) => {
      const podman = await startPodman({ rootless });
      await importSampleImage(podman);
      await podman.runContainer({ name: "web", publish: ["80"] });
      await podman.kill9();
      expect(await processesOf(podman.dir)).not.toEqual([]);
      const cgroups = cgroupsOf(podman.dir);
      if (!rootless) expect(cgroups).not.toEqual([]);
      await podman.stop();
      expect(await processesOf(podman.dir)).toEqual([]);
      expect(cgroups.filter((cgroup) => existsSync(cgroup))).toEqual([]);
      expect(existsSync(podman.dir)).toBe(false);
      expect(readdirSync("/run/netns")).not.toContain(podman.netns);
    },
  );

  test("a run that is broken off leaves nothing either", async () => {
    const run = startProcess([process.execPath, "--input-type=module", "--eval", brokenOffRun()]);
    const line = await run.waitForLine(/^podman /, 60_000);
    const [, dir = "", netns = ""] = line.split(" ");
    expect(await processesOf(dir)).not.toEqual([]);
    await run.kill9();
    await until("all is gone", () => !existsSync(`/run/netns/${netns}`) && !existsSync(dir));
    expect(await processesOf(dir)).toEqual([]);
  });
});

type Info = { host: { security: { rootless: boolean } }; store: { graphRoot: string } };

function healthOf(podman: Podman, container: string): Promise<string> {
  return podman.docker("inspect", "--format", "{{.State.Health.Status}}", container);
}

/** Commands that name `dir`. */
async function processesOf(dir: string): Promise<string[]> {
  const { stdout } = await runCommand(["ps", "-e", "-o", "args="]);
  return stdout.split("\n").filter((line) => line.includes(dir) && !line.startsWith("ps "));
}

function brokenOffRun(): string {
  const modulePath = (file: string) => JSON.stringify(`${import.meta.dirname}/${file}`);
  return `
    import { startPodman } from ${modulePath("podman.ts")};
    import { importSampleImage } from ${modulePath("image.ts")};
    const podman = await startPodman();
    await importSampleImage(podman);
    await podman.runContainer({ name: "web", publish: ["80"] });
    console.log("podman", podman.dir, podman.netns);
  `;
}

async function page(netns: string, port: number): Promise<string> {
  return until(`port ${port} answers`, async () => {
    const { status, body } = await curlDirect({ url: `http://127.0.0.1:${port}/`, netns, maxTimeSeconds: 3 });
    return status === 200 && body;
  });
}
