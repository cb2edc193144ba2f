import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { binding, ip } from "../../resolver/store/contract/builders.ts";
import type { Binding } from "../../shared/binding.ts";
import { RRType, rcodeName } from "../../shared/dns/constants.ts";
import { addressesFromAnswer, endpointsFromAnswer, serviceOwner } from "../../shared/dns/endpoints.ts";
import { decodeResponse, encodeQuery, type Response } from "../../shared/dns/message.ts";
import { parseName } from "../../shared/name.ts";
import { until } from "../testbed/wait.ts";
import { runBerth } from "./parts.ts";
import { RegistryBed } from "./registry-bed.ts";
import { pushReplyIn, RegistryHost } from "./registry-host.ts";

const name = parseName("web.shop.berth.internal");
const [bad, good] = ["10.0.0.5", "10.0.0.6"] as const;

/** Two hosts with an instance each behind one name; what each says of its own, the resolver weighs. */
describe("a bad instance on one host and a good one on another", () => {
  let bed: RegistryBed;
  let nas: RegistryHost;
  let pi: RegistryHost;

  beforeAll(async () => {
    bed = await RegistryBed.start({ flags: ["--lookup-tokens", "off"] });
    nas = await RegistryHost.make(bed, "nas");
    pi = await RegistryHost.make(bed, "pi");
  });
  afterAll(() => bed?.close());

  it("flip both ways as either host pushes, lookups following at once", async () => {
    await say("healthy", "healthy");
    expect(await answered()).toEqual([bad, good]);
    await say("unhealthy", "healthy");
    expect(await answered()).toEqual([good]);
    await say("unhealthy", "unhealthy");
    expect(await answered(), "both bad: better than nothing").toEqual([bad, good]);
    await say("healthy", "unhealthy");
    expect(await answered()).toEqual([bad]);
    await say("unhealthy", "none");
    expect(await answered()).toEqual([good]);
  });

  it("are shown by berth ls, the hidden one with the reason", async () => {
    await say("unhealthy", "healthy");
    const asked = ["--resolver", bed.url, "--ca", `${bed.stateDir}/tls/ca.pem`];
    const listed = await runBerth(["ls", ...asked, "--token-file", bed.tokenFile("reader")]);
    expect(listed.stdout).toBe(
      "web.shop.berth.internal  tcp/80  10.0.0.5:8080 on nas (hidden: unhealthy); 10.0.0.6:8080 on pi (healthy)\n",
    );
  });

  it("change places when the good host's lease lapses", async () => {
    await say("unhealthy");
    pi.lease = 5;
    await say(undefined, "healthy");
    expect(await answered()).toEqual([good]);
    await until("the bad instance back", async () => (await answered()).join() === bad, {
      timeoutMs: 30_000,
    });
  });

  it("that is starting is hidden even where it is alone: the name is there, and has no address yet", async () => {
    await say("starting");
    expect(await rcodes()).toEqual({ name: "NOERROR", port: "NXDOMAIN" });
    expect(addressesFromAnswer(await ask(name, RRType.A))).toEqual([]);
    await say("healthy");
    expect(await answered()).toEqual([bad]);
    pushReplyIn(await nas.push(nas.declare([])));
    expect(await rcodes()).toEqual({ name: "NXDOMAIN", port: "NXDOMAIN" });
  });

  async function say(onNas?: Binding["health"], onPi?: Binding["health"]): Promise<void> {
    const said = [
      [nas, bad, onNas],
      [pi, good, onPi],
    ] as const;
    for (const [host, at, health] of said) {
      if (health === undefined) continue;
      const bindings = [binding("web.shop", { health, at: [at], container: "web" })];
      pushReplyIn(await host.push(host.declare(bindings, { addresses: [ip(at)] })));
    }
  }

  /** Where clients are sent: by SRV and by the name's addresses, which must not differ. */
  async function answered(): Promise<string[]> {
    const { endpoints } = endpointsFromAnswer(await ask(serviceOwner(name, "tcp", 80), RRType.SRV));
    const addresses: string[] = endpoints.flatMap((endpoint) => endpoint.addresses).toSorted();
    expect(addressesFromAnswer(await ask(name, RRType.A)).toSorted()).toEqual(addresses);
    return addresses;
  }

  async function rcodes(): Promise<{ name: string; port: string }> {
    const [at, port] = [await ask(name, RRType.A), await ask(serviceOwner(name, "tcp", 80), RRType.SRV)];
    return { name: rcodeName(at.rcode), port: rcodeName(port.rcode) };
  }

  async function ask(owner: typeof name, type: number): Promise<Response> {
    const headers = { "content-type": "application/dns-message" };
    const body = encodeQuery(owner, type);
    const reply = await bed.ask({ method: "POST", path: "/dns-query", headers, body });
    return decodeResponse(reply.body);
  }
});
