import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mustRun } from "../testbed/process.ts";
import { until } from "../testbed/wait.ts";
import { serve, untilPage } from "./pages.ts";
import { runBerth } from "./parts.ts";
import { createWorld, engineOf, startAgent, type World } from "./world.ts";

// Which addresses a host is reached at, while they change under the agent.

const page = "http://web.berth.internal/";

describe("a host whose address changes", () => {
  let world: World;

  beforeAll(async () => {
    world = await createWorld({ agentFlags: ["--resync", "1"] });
    await serve(engineOf(world), "web");
    await untilPage(world, page, "web");
  });
  afterAll(() => world?.close());

  it("is found at the new one, as after DHCP gave it another", async () => {
    expect(await listedAddresses(world)).toEqual(["10.77.0.1"]);
    await atHost(world, "ip addr add 10.77.0.99/24 dev eth0");
    await atHost(world, "sysctl -qw net.ipv4.conf.eth0.promote_secondaries=1");
    await atHost(world, "ip addr del 10.77.0.1/24 dev eth0");
    await untilAddresses(world, ["10.77.0.99"]);
    await untilPage(world, page, "web");
  });

  it("keeps to the network on the way to the resolver when it is in another one as well", async () => {
    await atHost(world, "ip link add nic2 type veth peer name nic2-peer");
    await atHost(world, "ip addr add 10.78.0.1/24 dev nic2");
    await atHost(world, "ip link set nic2 up");
    await serve(engineOf(world), "later");
    await untilPage(world, "http://later.berth.internal/", "later");
    expect(await listedAddresses(world)).toEqual(["10.77.0.99"]);
  });
});

describe("a host behind NAT", () => {
  let world: World;

  beforeAll(async () => {
    world = await createWorld({ hasAgents: false });
    await serve(engineOf(world), "web");
    const [, port] =
      (await engineOf(world).docker("port", "web", "80/tcp")).split("\n", 1)[0]?.split(":") ?? [];
    const file = `[[service]]\nname = "filed"\nport = ${port}\nservice-port = 80\n`;
    mkdirSync(join(world.dir, "services.d"));
    writeFileSync(join(world.dir, "services.d", "web.toml"), file);
    const labels = { "berth.publish": "80" };
    await engineOf(world).runContainer({ name: "quiet", labels, env: { BERTH_PAGE: "quiet" } });
    // The NAT's outer address is not the host's own, who cannot reach it either: what others send to it is passed on to the host.
    await mustRun(["ip", "-n", world.client.netns, "route", "add", "10.77.0.77", "via", "10.77.0.1"]);
    await atHost(world, "iptables -t nat -A PREROUTING -i eth0 -d 10.77.0.77 -j DNAT --to 10.77.0.1");
    await atHost(world, "iptables -t nat -A POSTROUTING -o eth0 -p tcp -j SNAT --to-source 10.77.0.77");
  });
  afterAll(() => world?.close());

  it("advertises the address that the resolver sees", async () => {
    const { resolver, dir, hosts } = world;
    const place = {
      netns: hosts[0]?.netns ?? "",
      socket: engineOf(world).socketPath,
      dir: join(dir, "agent"),
    };
    const flags = ["--advertise", "observed", "--services-dir", join(dir, "services.d")];
    await startAgent({ ...place, resolver }, flags);
    await untilAddresses(world, ["10.77.0.77"]);
    await untilPage(world, page, "web");
  });

  it("relays, and finds services of files, at its own address", async () => {
    await untilPage(world, "http://quiet.berth.internal/", "quiet");
    await untilPage(world, "http://filed.berth.internal/", "web");
  });
});

function atHost(world: World, command: string): Promise<string> {
  const netns = world.hosts[0]?.netns;
  if (netns === undefined) throw new Error("there is no host");
  return mustRun(["nsenter", `--net=/run/netns/${netns}`, ...command.split(" ")]);
}

async function untilAddresses(world: World, expected: string[]): Promise<void> {
  const shown = expected.join();
  await until(`the host at ${shown}`, async () => (await listedAddresses(world)).join() === shown, {
    timeoutMs: 30_000,
  });
}

/** The addresses of the first host, as an operator sees them; sorted. */
async function listedAddresses({ client, resolver }: World): Promise<string[]> {
  const { url, caFile, adminTokenFile } = resolver;
  const flags = ["--resolver", url, "--ca", caFile, "--token-file", adminTokenFile, "--json"];
  const { stdout } = await runBerth(["hosts", "list", ...flags], { netns: client.netns });
  const { hosts } = JSON.parse(stdout) as { hosts: { addresses: string[] }[] };
  return (hosts[0]?.addresses ?? []).toSorted();
}
