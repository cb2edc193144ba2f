import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { RunningAgent } from "../../agent/main.ts";
import type { Binding } from "../../shared/binding.ts";
import { EngineProxy } from "../testbed/engine-proxy.ts";
import { importSampleImage } from "../testbed/image.ts";
import { type Podman, startPodman } from "../testbed/podman.ts";
import { whyNoPodman } from "../testbed/requirements.ts";
import { makeTemporaryDir } from "../testbed/temporary-dir.ts";
import { until } from "../testbed/wait.ts";
import { ownAddresses, startAgentBeside } from "./agent-beside.ts";
import { declaredIn, truthOf } from "./engine-truth.ts";
import { PushRecorder } from "./push-recorder.ts";

// The agent beside Podman, whose events, inspect and ports are not Docker's. It may ask no more than the proxy lets through.

const timeout = 120_000;
const dir = makeTemporaryDir("berth-agent-");
afterAll(() => dir.remove());

describe.skipIf(whyNoPodman() !== undefined).each([
  { kind: "rootful", rootless: false },
  { kind: "rootless", rootless: true },
])("the agent beside a $kind Podman", { timeout }, ({ kind, rootless }) => {
  let podman: Podman;
  let proxy: EngineProxy;
  let resolver: PushRecorder;
  let agent: RunningAgent;

  beforeAll(async () => {
    podman = await startPodman({ rootless });
    await importSampleImage(podman);
    proxy = await EngineProxy.start({ engine: podman.socketPath, allowsInfo: true });
    resolver = await PushRecorder.start();
    const engines = [`unix://${proxy.socketPath}`];
    agent = await startAgentBeside({ engines, resolver, dir: join(dir.path, kind), flags: { resync: "2" } });
  }, timeout);

  afterAll(async () => {
    await agent?.close();
    await resolver?.close();
    await proxy?.close();
    await podman?.stop();
  }, timeout);

  const bindingOf = (container: string): Binding | undefined => resolver.bindingsOn(container, 80)[0];
  const untilTrue = (what: string): Promise<true> =>
    until(what, async () => {
      expect(declaredIn(resolver)).toEqual(await truthOf(podman, ownAddresses));
      return true as const;
    });

  test("a container's ports are declared, on IPv4 alone", async () => {
    await podman.runContainer({ name: "web", publish: ["80", "8080:8080", "53/udp"] });
    await until("web is declared", () => bindingOf("web"));
    await untilTrue("all of web");
    expect(declaredIn(resolver)).toHaveLength(3);
    expect(resolver.bindingsOn("web", 8080)[0]).toMatchObject({ fixed: true, addresses: [ownAddresses[0]] });
    expect(resolver.problems).toEqual([]);
  });

  test("a restart keeps its ports, and is another instance", async () => {
    const before = bindingOf("web");
    await podman.docker("restart", "web");
    const after = await until("the new instance", () => {
      const now = bindingOf("web");
      return now !== undefined && now.instance !== before?.instance ? now : undefined;
    });
    expect(after.port).toBe(before?.port);
    await untilTrue("and nothing else");
  });

  test("docker network connect leaves the ports where they are", async () => {
    const before = declaredIn(resolver);
    await podman.docker("network", "create", "aaa");
    await podman.runContainer({ name: "netted", network: "aaa", publish: ["80"] });
    await untilTrue("netted as well");
    await podman.docker("network", "connect", "podman", "netted");
    await podman.docker("network", "disconnect", "aaa", "netted");
    await untilTrue("the same after that");
    await podman.docker("rm", "--force", "netted");
    await untilTrue("netted is gone");
    expect(declaredIn(resolver)).toEqual(before);
  });

  test("in the host's network the image says what is exposed", async () => {
    // Without rights nobody listens on port 80, and what is EXPOSEd does not depend on it.
    await podman.runContainer({ name: "hosted", network: "host", command: ["sleep", "600"] });
    const hosted = await until("hosted is declared", () => bindingOf("hosted"));
    expect(hosted).toMatchObject({ port: 80, fixed: true, addresses: ownAddresses });
    await podman.docker("rm", "--force", "hosted");
    await until("hosted is gone", () => bindingOf("hosted") === undefined);
  });

  test("health is what the last probes say, and a probe that changes nothing pushes nothing", async () => {
    const flags = ["--health-cmd", "test -f /tmp/ok", "--health-retries", "1"];
    await podman.runContainer({ name: "sick", publish: ["80"], flags });
    await until("it is starting", () => bindingOf("sick")?.health === "starting");
    await podman.docker("exec", "sick", "touch", "/tmp/ok");
    await probe(podman, "sick");
    await until("it is healthy", () => bindingOf("sick")?.health === "healthy");
    const { pushes } = resolver;
    for (let count = 0; count < 3; count++) await probe(podman, "sick");
    await podman.docker("exec", "sick", "rm", "/tmp/ok");
    await probe(podman, "sick");
    await until("it is unhealthy", () => bindingOf("sick")?.health === "unhealthy");
    expect(resolver.pushes).toBe(pushes + 1);
    await podman.docker("rm", "--force", "sick");
    await until("sick is gone", () => bindingOf("sick") === undefined);
  });

  test("a signal that is not the last one changes nothing", async () => {
    const { pushes } = resolver;
    await podman.docker("kill", "--signal", "HUP", "web");
    const renewals = resolver.renewals;
    await until("two renewals", () => resolver.renewals >= renewals + 2);
    expect(resolver.pushes).toBe(pushes);
  });

  test("a container that was killed is withdrawn, and comes back by its start", async () => {
    await podman.docker("kill", "web");
    await until("web is gone", () => bindingOf("web") === undefined);
    await podman.docker("start", "web");
    await until("web is back", () => bindingOf("web"));
    await untilTrue("with its ports");
  });

  test("a container that is being stopped is withdrawn before it has ended, though no event says so", async () => {
    const command = ["sh", "-c", "trap '' TERM; httpd -f -p 80 -h /www"];
    await podman.runContainer({ name: "deaf", publish: ["80"], command });
    await until("deaf is declared", () => bindingOf("deaf"));
    let isStopped = false;
    const stopped = podman.docker("stop", "--time", "8", "deaf").finally(() => {
      isStopped = true;
    });
    await until("deaf is gone", () => bindingOf("deaf") === undefined);
    expect(isStopped).toBe(false);
    await podman.docker("rm", "--force", "--time", "0", "deaf").catch(() => undefined);
    await stopped.catch(() => undefined);
    await untilTrue("nothing of it");
  });

  test("a renamed container has its new name", async () => {
    await podman.docker("rename", "web", "shop");
    await until("shop is declared", () => bindingOf("shop"));
    expect(bindingOf("web")).toBeUndefined();
    await podman.docker("rename", "shop", "web");
    await until("web is declared", () => bindingOf("web"));
    await untilTrue("and nothing else");
  });

  test("a killed service takes nothing away: its containers go on", async () => {
    const before = declaredIn(resolver);
    const seen: string[][] = [];
    resolver.onPush = () => seen.push(declaredIn(resolver));
    await podman.kill9();
    const renewals = resolver.renewals;
    await until("two renewals", () => resolver.renewals >= renewals + 2);
    await podman.restart();
    await podman.runContainer({ name: "later", publish: ["80"] });
    await until("what came after is declared", () => bindingOf("later"), { timeoutMs: 30_000 });
    for (const set of seen) expect(set).toEqual(expect.arrayContaining(before));
    resolver.onPush = () => {};
    await podman.docker("rm", "--force", "later");
    await untilTrue("web alone");
  });

  test("a frozen service takes nothing away either", async () => {
    const before = declaredIn(resolver);
    podman.freeze();
    const renewals = resolver.renewals;
    await until("two renewals", () => resolver.renewals >= renewals + 2);
    podman.thaw();
    expect(declaredIn(resolver)).toEqual(before);
  });

  test("a removed container is gone", async () => {
    await podman.docker("rm", "--force", "web");
    await until("all is gone", () => resolver.declared?.bindings.length === 0);
  });

  test("nothing was asked for that an agent has no need of", () => {
    expect([...proxy.refused]).toEqual([]);
  });
});

/** One probe. Podman says nothing of it but by its events, and those come when it polls. */
async function probe(podman: Podman, container: string): Promise<void> {
  await podman.podman("healthcheck", "run", container).catch(() => undefined);
}
