import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { RunningAgent } from "../../agent/main.ts";
import { type Engine, startEngine } from "../testbed/engine.ts";
import type { ContainerOptions } from "../testbed/engine-cli.ts";
import { importSampleImage } from "../testbed/image.ts";
import { mustRun } from "../testbed/process.ts";
import { whyNoEngines } from "../testbed/requirements.ts";
import { makeTemporaryDir } from "../testbed/temporary-dir.ts";
import { until } from "../testbed/wait.ts";
import { ownAddresses, startAgentBeside } from "./agent-beside.ts";
import { declaredIn, truthOf } from "./engine-truth.ts";
import { PushRecorder } from "./push-recorder.ts";

// Every way a container's ports can be published, on Docker itself: what is declared is what `docker inspect` shows, or what the row says.

const timeout = 120_000;
const [address4 = "", address6 = ""] = ownAddresses;

interface Shape {
  what: string;
  run: Partial<ContainerOptions>;
  /** What is declared for it, such as `80/tcp 10.77.0.1:80`; inspect's own ports where it is left out. */
  declared?: string[];
  /** How many lines inspect's own ports are to give, lest a row compare nothing with nothing. */
  lines?: number;
  problems?: string[];
}

const shapes: Shape[] = [
  { what: "an ephemeral port, on IPv4 and IPv6", run: { publish: ["80"] }, lines: 2 },
  { what: "every EXPOSEd port (-P)", run: { flags: ["--publish-all"] }, lines: 2 },
  { what: "TCP and UDP with numbers of their own", run: { publish: ["80", "443", "53/udp"] }, lines: 6 },
  { what: "a port on IPv4 and another on IPv6", run: { publish: ["0.0.0.0::80", "[::]:8447:80"] }, lines: 2 },
  { what: "IPv4 alone", run: { publish: ["0.0.0.0::80"] }, lines: 1 },
  { what: "IPv6 alone", run: { publish: ["[::]::80"] }, lines: 1 },
  { what: "one address of the host", run: { publish: [`${address4}::80`] }, lines: 1 },
  { what: "everywhere, and once more on loopback", run: { publish: ["80", "127.0.0.1::80"] }, lines: 2 },
  { what: "two host ports for one port", run: { publish: ["8441:80", "8442:80"] }, lines: 4 },
  { what: "one out of a range", run: { publish: ["9000-9010:80"] }, lines: 2 },
  { what: "a range to a range", run: { publish: ["9100-9102:9100-9102"] }, lines: 6 },
  { what: "one on loopback, which is nobody else's", run: { publish: ["127.0.0.1::80"] }, declared: [] },
  {
    what: "on an address that is not advertised",
    run: { publish: ["10.77.0.9::80"] },
    declared: [],
    problems: ["not-advertised"],
  },
  { what: "none at all", run: {}, declared: [] },
  { what: "in a user's network", run: { network: "shapes", publish: ["80"] }, lines: 2 },
  {
    what: "in an internal network, where publishing does nothing",
    run: { network: "inside", publish: ["80"] },
    declared: [],
  },
  { what: "without a network", run: { network: "none", publish: ["80"] }, declared: [] },
  {
    what: "in the host's network: what the image EXPOSEs",
    run: { network: "host" },
    declared: [`80/tcp ${address4}:80`, `80/tcp [${address6}]:80`],
  },
  {
    what: "in the host's network: the ports a label names",
    run: { network: "host", labels: { "berth.port.9443": "9443", "berth.port.53/udp": "5353" } },
    declared: [
      `53/udp ${address4}:5353`,
      `53/udp [${address6}]:5353`,
      // Its own number stays.
      `5353/udp ${address4}:5353`,
      `5353/udp [${address6}]:5353`,
      `9443/tcp ${address4}:9443`,
      `9443/tcp [${address6}]:9443`,
    ],
  },
];

describe.skipIf(whyNoEngines() !== undefined)("the ports of a container", { timeout }, () => {
  const dir = makeTemporaryDir("berth-s-");
  let engine: Engine;
  let resolver: PushRecorder;
  let agent: RunningAgent;

  beforeAll(async () => {
    engine = await startEngine();
    for (const address of [`${address4}/32`, "10.77.0.9/32", `${address6}/128`])
      await mustRun(["ip", "-n", engine.netns, "address", "add", address, "dev", "lo"]);
    await importSampleImage(engine);
    await engine.docker("network", "create", "shapes");
    await engine.docker("network", "create", "--internal", "inside");
    resolver = await PushRecorder.start();
    agent = await startAgentBeside({ engines: [`unix://${engine.socketPath}`], resolver, dir: dir.path });
  }, timeout);

  afterAll(async () => {
    await agent?.close();
    await resolver?.close();
    await engine?.stop();
    dir.remove();
  }, timeout);

  // Names of their own: one that comes and goes as often as these would, flaps.
  test.each(shapes.map((shape, row) => ({ ...shape, row })))(
    "$what",
    async ({ row, run, problems = [], ...shape }) => {
      const [mark, name] = [`mark${row}`, `shape${row}`];
      // Told apart from the row before: a set that says nothing yet looks like one that has nothing to say.
      await engine.runContainer({ name: mark, publish: ["7777"] });
      await engine.runContainer({ name, ...run });
      try {
        await until("the set is as it should be", async () => {
          const truth = await truthOf(engine, ownAddresses);
          const own = shape.declared?.map((line) => `${name} ${line}`);
          const lines = own ?? truth.filter((line) => line.startsWith(`${name} `));
          const marks = truth.filter((line) => line.startsWith(`${mark} `));
          expect(declaredIn(resolver)).toEqual([...marks, ...lines].toSorted());
          expect(marks).toHaveLength(2);
          if (shape.lines !== undefined) expect(lines).toHaveLength(shape.lines);
          expect(resolver.problems).toEqual(problems.map((code) => `${name} ${code}`));
          return true;
        });
      } finally {
        await engine.docker("rm", "--force", name, mark);
        await until("both are gone", () => declaredIn(resolver).length === 0);
      }
    },
  );

  test("IPv4's and IPv6's own host ports are never exchanged", async () => {
    await engine.runContainer({ name: "split", publish: ["0.0.0.0:8451:80", "[::]:8452:80"] });
    await until("split is declared", () => declaredIn(resolver).length > 0);
    expect(declaredIn(resolver)).toEqual([
      `split 80/tcp ${address4}:8451`,
      `split 80/tcp [${address6}]:8452`,
    ]);
    await engine.docker("rm", "--force", "split");
  });

  test("a container in another one's network has those of the owner's ports that it names", async () => {
    const labels = { "berth.port.81": "81" };
    const owner = await engine.runContainer({
      name: "owner",
      publish: ["80", "81"],
      labels: { "berth.name": "owner" },
    });
    await engine.runContainer({
      name: "guest",
      network: `container:${owner}`,
      labels,
      command: ["sleep", "600"],
    });
    const port = await engine.publishedPort("owner", "81/tcp");
    const line = `guest 81/tcp ${address4}:${port}`;
    await until("guest is declared", () => declaredIn(resolver).includes(line));
    await engine.docker("restart", "--time", "0", "owner");
    // It is still in the network of before, where nothing is published.
    await until("the guest is a problem", () =>
      resolver.declared?.problems.some(({ container }) => container === "guest"),
    );
    expect(declaredIn(resolver).filter((other) => other.startsWith("guest "))).toEqual([]);
    await engine.docker("restart", "--time", "0", "guest");
    const moved = await engine.publishedPort("owner", "81/tcp");
    await until("guest is declared again", () =>
      declaredIn(resolver).includes(`guest 81/tcp ${address4}:${moved}`),
    );
    await engine.docker("rm", "--force", "guest", "owner");
  });

  test("a set without any container is empty", async () => {
    await until("all is gone", () => resolver.declared?.bindings.length === 0);
    expect(resolver.problems).toEqual([]);
  });
});
