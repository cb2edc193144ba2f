import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { RunningAgent } from "../../agent/main.ts";
import { ComposeProject, whyNoCompose } from "../testbed/compose.ts";
import { type Engine, startEngine } from "../testbed/engine.ts";
import { importSampleImage } from "../testbed/image.ts";
import { makeTemporaryDir } from "../testbed/temporary-dir.ts";
import { until } from "../testbed/wait.ts";
import { startAgentBeside } from "./agent-beside.ts";
import { composeLabels } from "./pages.ts";
import { PushRecorder } from "./push-recorder.ts";

// docker-compose itself, and every set that was ever pushed while it worked.

const file = `
version: "3.7"
services:
  web:
    image: berth-sample:latest
    ports: ["80"]
  quiet:
    image: berth-sample:latest
`;
const service = "web.shop.berth.internal.";
const passing = /^[0-9a-f]{12}[_-]/;

describe.skipIf(whyNoCompose() !== undefined)("the containers of a Compose project", () => {
  const dir = makeTemporaryDir("berth-c-");
  /** Of every binding ever declared, its container and its name. */
  const everSeen = new Set<string>();
  let engine: Engine;
  let resolver: PushRecorder;
  let agent: RunningAgent;
  let project: ComposeProject;

  beforeAll(async () => {
    engine = await startEngine({ extraArgs: ["--userland-proxy=false"] });
    await importSampleImage(engine);
    resolver = await PushRecorder.start();
    resolver.onPush = ({ bindings }) => {
      for (const { container, name } of bindings) everSeen.add(container).add(name);
    };
    agent = await startAgentBeside({ engines: [`unix://${engine.socketPath}`], resolver, dir: dir.path });
    project = new ComposeProject(engine, "shop", file);
  });
  afterAll(async () => {
    await agent?.close();
    await resolver?.close();
    await engine?.stop();
    dir.remove();
  });

  test("are called by service and project", async () => {
    await project.compose("up", "--detach");
    const [only] = await untilReplicas(1);
    expect(only).toMatchObject({ rule: "compose", servicePort: 80 });
    expect(everSeen).toContain("shop-web-1.alpha.host.berth.internal.");
  });

  test("share the name when they are scaled, up and down", async () => {
    await project.compose("up", "--detach", "--scale", "web=3");
    await untilReplicas(3);
    await project.compose("up", "--detach", "--scale", "web=2");
    await untilReplicas(2);
  });

  test("are replaced by new ones, and what Compose calls them meanwhile is never published", async () => {
    const before = new Set(bindings().map(({ instance }) => instance));
    await project.compose("up", "--detach", "--scale", "web=2", "--force-recreate");
    const after = await untilReplicas(2);
    expect(after.filter(({ instance }) => before.has(instance))).toEqual([]);
  });

  test("are not published under a passing name, even one that serves, until they have their own", async () => {
    const name = "0123456789ab_shop_web_3";
    await engine.runContainer({ name, publish: ["80"], labels: composeLabels("shop", "web") });
    await untilMark("mark1");
    expect(bindings()).toHaveLength(2);
    await engine.docker("rename", name, "shop_web_3");
    await until("it has its name", () => bindings().length === 3);
  });

  test("are not published when a person runs one by hand", async () => {
    const name = await project.compose("run", "--detach", "--publish", "8099:80", "web");
    expect(await engine.docker("port", name.trim())).toContain("8099");
    await untilMark("mark2");
    expect(bindings()).toHaveLength(3);
    expect(everSeen).not.toContain(name.trim());
  });

  test("leave nothing when the project is taken down", async () => {
    await project.compose("down", "--timeout", "2");
    await engine.docker("rm", "--force", "mark1", "mark2");
    await until("all are gone", () => resolver.declared?.bindings.length === 0);
    expect([...everSeen].filter((name) => passing.test(name) || /[_-]run[_-]/.test(name))).toEqual([]);
    expect(resolver.problems).toEqual([]);
  });

  function bindings() {
    return resolver.bindingsOf(service) ?? [];
  }

  /** As many as there are, at the ports that the engine shows for them. */
  async function untilReplicas(count: number) {
    const filters = ["label=com.docker.compose.service=web", "label=com.docker.compose.oneoff=False"];
    const listed = await engine.docker("ps", "--quiet", ...filters.flatMap((one) => ["--filter", one]));
    const ids = listed.split("\n").filter(Boolean);
    const ports = await Promise.all(ids.map((id) => engine.publishedPort(id, "80/tcp")));
    expect(ports).toHaveLength(count);
    await until("the replicas' ports", () => {
      expect(
        bindings()
          .map(({ port }) => port)
          .toSorted(),
      ).toEqual(ports.toSorted());
      return true;
    });
    return bindings();
  }

  /** Once it is there, whatever was started before it has been looked at too. */
  async function untilMark(name: string): Promise<void> {
    await engine.runContainer({ name, publish: ["80"] });
    await until(name, () => resolver.bindingsOn(name, 80).length === 1);
  }
});
