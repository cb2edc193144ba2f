import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { curlDirect } from "../testbed/dns-clients.ts";
import { until } from "../testbed/wait.ts";
import { hammer } from "./hammer.ts";
import { serve, untilPage } from "./pages.ts";
import { createWorld, engineOf, type Runtime, type World } from "./world.ts";

// Docker numbers ephemeral ports from 32768 in every life of an engine, so a restart hands one service's port to
// another: an answer of before the restart leads to the wrong service.

const runtimes: Runtime[] = ["node", "worker with an old copy"];
const signals: NodeJS.Signals[] = ["SIGKILL", "SIGTERM"];

describe.each(runtimes)("two services that swap their ports, the resolver on %s", (runtime) => {
  let world: World;

  beforeAll(async () => {
    world = await createWorld({ runtime });
  });
  afterAll(() => world?.close());

  it.each(signals)("are never taken for each other (engine ends by %s)", async (signal) => {
    await startOver(world);
    await serve(engineOf(world), "apple");
    // Only this one comes back with the engine, so it is the first to get a port then.
    await serve(engineOf(world), "pear", { restart: "always" });
    // Asked for too early, the old copy would remember their absence, and that hides what the test is about.
    if (runtime !== "node") await untilFixedIsCopied(world, "gate", 8100);
    for (const name of ["apple", "pear"]) await untilPage(world, `http://${name}.berth.internal/`, name);
    const before = await portsOf(world);

    const fetches = hammer(world, ["apple", "pear"]);
    let backAt = 0;
    try {
      await fetches.untilRightAgain();
      await engineOf(world).restart({ signal });
      await engineOf(world).docker("start", "apple");
      backAt = performance.now();
      await fetches.untilRightAgain();
    } finally {
      await fetches.stop();
    }

    const { right, failed, wrong } = fetches;
    const backMs = Math.round(performance.now() - backAt);
    console.log(`${runtime}, ${signal}: ${JSON.stringify({ before, right, failed, backMs })}`);
    expect(wrong).toEqual([]);
    expect(await portsOf(world)).toEqual({ apple: before.pear, pear: before.apple });
  });
});

describe("a copy of the zone that is a minute old", () => {
  let world: World;

  beforeAll(async () => {
    world = await createWorld({ runtime: "worker with an old copy" });
  });
  afterAll(() => world?.close());

  it("answers for fixed ports, as old as it is, and never for ephemeral ones", async () => {
    await serve(engineOf(world), "plum");
    await untilFixedIsCopied(world, "till", 8080);
    expect(await servicePort(world, "till")).toBe(8080);
    await engineOf(world).docker("rm", "--force", "till");
    await serve(engineOf(world), "till", { publish: "8081:80" });
    await until("the object to know better", async () => {
      return (await servicePort(world, "till", { fresh: true })) === 8081;
    });
    expect(await servicePort(world, "till")).toBe(8080);
    expect(await servicePort(world, "plum")).toBe(32768);
    expect(await isCopied(world, "plum")).toBe(false);
  });
});

/** Nothing runs, and the next ephemeral port is 32768. */
async function startOver(world: World): Promise<void> {
  const containers = await engineOf(world).docker("ps", "--all", "--quiet");
  if (containers === "") return;
  await engineOf(world).docker("rm", "--force", ...containers.split("\n"));
  await engineOf(world).restart();
}

async function portsOf(world: World): Promise<{ apple: number; pear: number }> {
  const apple = await engineOf(world).publishedPort("apple", "80/tcp");
  return { apple, pear: await engineOf(world).publishedPort("pear", "80/tcp") };
}

async function servicePort(
  world: World,
  name: string,
  options: { fresh?: boolean } = {},
): Promise<number | undefined> {
  const { answer } = await world.doh.ask(`_80._tcp.${name}.berth.internal`, "SRV", options);
  return answer.map(({ rdata }) => ("port" in rdata ? rdata.port : 0))[0];
}

async function untilFixedIsCopied(world: World, name: string, port: number): Promise<void> {
  await serve(engineOf(world), name, { publish: `${port}:80` });
  await until(`the copy of ${name}`, () => isCopied(world, name));
}

/** Whether Workers KV itself holds the service's ports; what its readers see of it may be older. */
async function isCopied({ resolver, client }: World, name: string): Promise<boolean> {
  const url = `${resolver.url}/written/_80._tcp.${name}.berth.internal.`;
  const extraArgs = ["--cacert", resolver.caFile];
  const copy = await curlDirect({ url, netns: client.netns, extraArgs });
  if (copy.status === undefined) throw new Error(copy.stderr);
  return copy.status === 200;
}
