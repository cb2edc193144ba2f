import { exports } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { digestOf } from "../shared/digest.ts";
import { RRType } from "../shared/dns/constants.ts";
import { decodeResponse, encodeQuery } from "../shared/dns/message.ts";
import { queryDoh } from "../shared/doh-client.ts";
import { parseName } from "../shared/name.ts";
import { listHosts, pushBindings } from "../shared/resolver-client.ts";
import { binding, ip } from "./store/contract/builders.ts";

const worker = ((input: string | URL | Request, init?: RequestInit) =>
  exports.default.fetch(new Request(input, init))) as typeof fetch;
const access = (url: string, token = "agent-token") => ({ fetch: worker, url, token, timeoutMs: 5000 });
const hostId = "a".repeat(52);

async function pushOf(address: string, local: boolean) {
  const bindings = [binding("web", { at: [address], fixed: false })];
  const declared = { hostLabel: "nas", addresses: [ip(address)], local, bindings, problems: [] };
  return { epoch: 1, sequence: 1, lease: 15, digest: await digestOf(declared), declared };
}

describe("the Worker", () => {
  test("takes a push and answers for it over DoH, by POST and by GET", async () => {
    await pushBindings(access("https://berth.example"), hostId, await pushOf("10.0.0.5", false));
    const name = parseName("_80._tcp.web.berth.internal");
    const doh = { fetch: worker, url: "https://berth.example/dns-query", timeoutMs: 5000 };
    expect((await queryDoh(doh, name, RRType.SRV)).answer[0]).toMatchObject({
      ttl: 1,
      rdata: { port: 8080 },
    });
    const message = btoa(String.fromCharCode(...encodeQuery(name, RRType.SRV)));
    const query = message.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    const got = await worker(`https://berth.example/dns-query?dns=${query}`);
    expect(got.headers.get("cache-control")).toBe("max-age=1");
    expect(decodeResponse(new Uint8Array(await got.arrayBuffer())).answer).toHaveLength(1);
    expect((await listHosts(access("https://berth.example", "reader-token"))).hosts).toHaveLength(1);
  });

  test("refuses unknown tokens, a reader's writes, and loopback hosts unless it runs on loopback itself", async () => {
    const refused = async (url: string, token: string, address: string) => {
      return pushBindings(access(url, token), hostId, await pushOf(address, address === "127.0.0.1"));
    };
    await expect(refused("https://berth.example", "wrong", "10.0.0.5")).rejects.toMatchObject({
      code: "unknown-token",
    });
    await expect(refused("https://berth.example", "reader-token", "10.0.0.5")).rejects.toMatchObject({
      code: "token-not-allowed",
    });
    await expect(refused("https://berth.example", "agent-token", "127.0.0.1")).rejects.toMatchObject({
      code: "local-host-refused",
    });
    const { hostLabel } = await pushBindings(
      access("http://127.0.0.1:8787"),
      "b".repeat(52),
      await pushOf("127.0.0.1", true),
    );
    expect(hostLabel).toMatch(/^nas/);
  });
});
