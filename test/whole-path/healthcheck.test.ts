import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { RRType } from "../../shared/dns/constants.ts";
import { until } from "../testbed/wait.ts";
import { pageOf, untilPage } from "./pages.ts";
import { createWorld, engineOf, type World } from "./world.ts";

// Docker's own HEALTHCHECK from the engine's probe to the client's answer: nothing but a file in the container makes it good or bad.

/** Until the first success the container is starting, however often it fails; after it, one failure makes it unhealthy. */
const check = [
  ...["--health-cmd", "test -e /good", "--health-interval", "1s"],
  ...["--health-retries", "1", "--health-start-period", "600s"],
];
const [first, second] = ["10.77.0.1", "10.77.0.2"];

describe("two hosts with a container each behind one name, and HEALTHCHECKs", () => {
  let world: World;

  beforeAll(async () => {
    world = await createWorld({ hosts: 2, engine: { extraArgs: ["--userland-proxy=false"] } });
    const labels = { "berth.health": "ignore" };
    await Promise.all([run(0, "web"), run(1, "web"), run(0, "blind", labels), run(1, "blind")]);
  });
  afterAll(() => world?.close());

  it("are hidden while both are starting: the name is there, and leads nowhere", async () => {
    await until(
      "the name is there",
      async () => (await world.doh.ask(fullName("web"), "A")).rcode === "NOERROR",
    );
    expect(await healthOf(0, "web")).toBe("starting");
    expect(await answered("web")).toEqual([]);
    const { rcode } = await world.doh.ask(`_80._tcp.${fullName("web")}`, "SRV");
    expect(rcode).toBe("NXDOMAIN");
  });

  it("is led to where the first probe succeeds", async () => {
    await good(1, "web");
    await untilAnswered("web", [second]);
    await untilPage(world, "http://web.shop.berth.internal/", "web on host 1");
    expect(await healthOf(0, "web")).toBe("starting");
    await good(0, "web");
    await untilAnswered("web", [first, second]);
  });

  it("hides the bad instance on one host while there is a good one on another", async () => {
    await bad(0, "web");
    await untilAnswered("web", [second]);
    expect(pageOf(await world.fetch("http://web.shop.berth.internal/"))).toBe("web on host 1");
  });

  it("is led to both when both are bad, which is better than to neither", async () => {
    await bad(1, "web");
    await untilAnswered("web", [first, second]);
    expect(await Promise.all([healthOf(0, "web"), healthOf(1, "web")])).toEqual(["unhealthy", "unhealthy"]);
  });

  it("is led to the one that is good again", async () => {
    await good(0, "web");
    await untilAnswered("web", [first]);
  });

  it("says nothing where berth.health=ignore", async () => {
    // Known from its start, though the engine has seen no good probe.
    await untilAnswered("blind", [first]);
    await good(0, "blind");
    await good(1, "blind");
    await untilAnswered("blind", [first, second]);
    await bad(0, "blind");
    await until("the engine calls it unhealthy", async () => (await healthOf(0, "blind")) === "unhealthy");
    // Heard by the agent after it.
    await engineOf(world, 0).runContainer({ name: "marker", publish: ["80"] });
    await until("the marker", async () => (await addressesOf("marker.berth.internal")).length === 1);
    expect(await answered("blind")).toEqual([first, second]);
  });

  async function run(host: number, service: string, labels: Record<string, string> = {}): Promise<void> {
    await engineOf(world, host).runContainer({
      ...{ name: `${service}${host}`, publish: ["80"], flags: check },
      ...{
        labels: { "berth.name": `${service}.shop`, ...labels },
        env: { BERTH_PAGE: `${service} on host ${host}` },
      },
    });
  }

  async function good(host: number, service: string): Promise<void> {
    await engineOf(world, host).docker("exec", `${service}${host}`, "touch", "/good");
  }

  async function bad(host: number, service: string): Promise<void> {
    await engineOf(world, host).docker("exec", `${service}${host}`, "rm", "/good");
  }

  async function healthOf(host: number, service: string): Promise<string> {
    return engineOf(world, host).docker(
      "inspect",
      "--format",
      "{{.State.Health.Status}}",
      `${service}${host}`,
    );
  }

  async function untilAnswered(service: string, addresses: string[]): Promise<void> {
    await until(`${service} is led to ${addresses.join(" and ")}`, async () => {
      expect(await answered(service)).toEqual(addresses);
      return true;
    });
  }

  /** By the service's records, whose ports lead to the hosts that the name's own addresses are of. */
  async function answered(service: string): Promise<string[]> {
    const { answer } = await world.doh.ask(`_80._tcp.${fullName(service)}`, "SRV");
    const targets = answer.flatMap(({ rdata }) => ("port" in rdata ? [rdata.target] : []));
    const led = (await Promise.all(targets.map(addressesOf))).flat().toSorted();
    expect(await addressesOf(fullName(service))).toEqual(led);
    return led;
  }

  async function addressesOf(name: string): Promise<string[]> {
    const { answer } = await world.doh.ask(name, "A");
    return answer.flatMap(({ rdata }) => (rdata.type === RRType.A ? [`${rdata.address}`] : [])).toSorted();
  }

  function fullName(service: string): string {
    return `${service}.shop.berth.internal`;
  }
});
