import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { curlDoh, digHttps, kdigHttps } from "../testbed/dns-clients.ts";
import type { DnsReply } from "../testbed/dns-reply.ts";
import { until } from "../testbed/wait.ts";
import { type DohAsker, type DohReply, startDohAsker } from "./doh-asker.ts";
import { composeLabels, pageOf, serve } from "./pages.ts";
import { pathWithToken, type ResolverPart } from "./resolver-part.ts";
import { startWorker } from "./worker.ts";
import { createWorld, engineOf, startAgent, type World } from "./world.ts";

const advertised = { v4: "10.77.0.1", v6: "fd77::1" };
const hostFlags = ["--host-label", "nas", "--advertise", `${advertised.v4},${advertised.v6}`];
const zone = "berth.internal.";
const fixedPort = 8080;

/** Node and the Worker, each with an agent of its own on the same container host. */
describe("the zone, read by other people's clients", () => {
  let world: World;
  let worker: ResolverPart;
  let workerDoh: DohAsker;

  beforeAll(async () => {
    world = await createWorld({ agentFlags: hostFlags });
    const { hosts, client, dir } = world;
    worker = await startWorker({ dir: join(dir, "worker"), client, port: 8054 }, "worker");
    workerDoh = await startDohAsker({ netns: client.netns, resolver: worker });
    const { netns = "" } = hosts[0] ?? {};
    const second = {
      netns,
      socket: engineOf(world).socketPath,
      dir: join(dir, "agent-worker"),
      resolver: worker,
    };
    await startAgent(second, hostFlags);
    const labels = composeLabels("shop", "web");
    await serve(engineOf(world), "shop-web-1", { page: "the shop", labels, publish: `${fixedPort}:80` });
    for (const doh of [world.doh, workerDoh])
      await until(
        "the name everywhere",
        async () => (await doh.ask(`web.shop.${zone}`, "A")).answer.length > 0,
      );
  });
  afterAll(() => world?.close());

  const clients = [
    ["kdig, POST", kdigHttps, false],
    ["kdig, GET", kdigHttps, true],
    ["dig, POST", digHttps, false],
    ["dig, GET", digHttps, true],
  ] as const;

  describe.each(clients)("%s", (_, query, get) => {
    const ask = (name: string, type: string): Promise<DnsReply> => {
      const { address, port, caFile } = world.resolver;
      const at = { server: address, port, caFile, tlsHostname: "localhost", netns: world.client.netns };
      return query({ ...at, path: pathWithToken(world.resolver), name, type, get });
    };

    it("reads the addresses of a service", async () => {
      const v4 = await ask(`web.shop.${zone}`, "A");
      expect(v4).toMatchObject({ status: "NOERROR", flags: expect.arrayContaining(["qr", "aa"]) });
      expect(v4.answer).toEqual([[`web.shop.${zone}`, "5", "IN", "A", advertised.v4]]);
      const v6 = await ask(`web.shop.${zone}`, "AAAA");
      expect(v6.answer).toEqual([[`web.shop.${zone}`, "5", "IN", "AAAA", advertised.v6]]);
    });

    it("reads its port, with the addresses of the target", async () => {
      const { answer, additional } = await ask(`_80._tcp.web.shop.${zone}`, "SRV");
      const target = `nas.host.${zone}`;
      const [owner, ttl, ...rdata] = answer[0] ?? [];
      expect([answer.length, owner, ttl]).toEqual([1, `_80._tcp.web.shop.${zone}`, "5"]);
      expect(rdata).toEqual(["IN", "SRV", "0", expect.any(String), `${fixedPort}`, target]);
      expect(additional).toEqual([
        [target, "5", "IN", "A", advertised.v4],
        [target, "5", "IN", "AAAA", advertised.v6],
      ]);
    });

    it("reads the zone's SOA and name server", async () => {
      const soa = await ask(zone, "SOA");
      expect(soa.answer[0]?.slice(0, 6)).toEqual([
        zone,
        "5",
        "IN",
        "SOA",
        `ns.${zone}`,
        `hostmaster.${zone}`,
      ]);
      const ns = await ask(zone, "NS");
      expect(ns.answer).toEqual([[zone, "5", "IN", "NS", `ns.${zone}`]]);
      expect(ns.additional).toEqual([[`ns.${zone}`, "5", "IN", "A", world.client.address]]);
    });

    it("tells a name without such records from no name, each with the SOA for a second", async () => {
      for (const [name, type, status] of [
        [`web.shop.${zone}`, "TXT", "NOERROR"],
        [`shop.${zone}`, "A", "NOERROR"],
        [`nobody.${zone}`, "A", "NXDOMAIN"],
      ] as const) {
        const reply = await ask(name, type);
        expect({ name, status: reply.status, answer: reply.answer }).toEqual({ name, status, answer: [] });
        expect(reply.authority[0]?.slice(0, 4)).toEqual([zone, "1", "IN", "SOA"]);
      }
    });

    it("is refused outside the zone", async () => {
      expect((await ask("example.org.", "A")).status).toBe("REFUSED");
    });
  });

  it("is the same from Node and from the Worker, the serial aside", async () => {
    const questions = [
      ...["A", "AAAA", "TXT", "HTTPS"].map((type) => [`web.shop.${zone}`, type] as const),
      ...["SRV", "PTR"].map((type) => [`_80._tcp.web.shop.${zone}`, type] as const),
      [`_tcp.web.shop.${zone}`, "PTR"],
      [`nas.host.${zone}`, "A"],
      [`shop-web-1.nas.host.${zone}`, "AAAA"],
      ...["SOA", "NS", "A"].map((type) => [zone, type] as const),
      [`ns.${zone}`, "A"],
      [`shop.${zone}`, "A"],
      [`nobody.${zone}`, "A"],
      ["example.org.", "A"],
    ] as const;
    for (const [name, type] of questions) {
      const [fromNode, fromWorker] = await Promise.all([
        world.doh.ask(name, type),
        workerDoh.ask(name, type),
      ]);
      expect({ name, type, ...withoutSerial(fromWorker) }).toEqual({
        name,
        type,
        ...withoutSerial(fromNode),
      });
    }
    // Else everything above could be equal by being nothing.
    expect((await workerDoh.ask(`_80._tcp.web.shop.${zone}`, "SRV")).additional).toHaveLength(2);
  });

  it.each(["Node", "the Worker"])("leads curl --doh-url to the service, from %s", async (from) => {
    const resolver = from === "Node" ? world.resolver : worker;
    const { url, caFile } = resolver;
    const page = `http://web.shop.berth.internal:${fixedPort}/`;
    const dohUrl = `${url}${pathWithToken(resolver)}`;
    const { netns } = world.client;
    expect(pageOf(await curlDoh({ url: page, dohUrl, caFile, netns }))).toBe("the shop");
    // CURLE_COULDNT_RESOLVE_HOST
    expect((await curlDoh({ url: "http://nobody.berth.internal/", dohUrl, caFile, netns })).code).toBe(6);
  });
});

function withoutSerial(reply: DohReply): DohReply {
  return JSON.parse(JSON.stringify(reply).replaceAll(/"serial":\d+/g, '"serial":0')) as DohReply;
}
