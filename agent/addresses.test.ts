import { networkInterfaces } from "node:os";
import { describe, expect, test } from "vitest";

import { type Address, familyOf } from "../shared/address.ts";
import { addressesOfHost, checkAdvertised, siteAddresses } from "./addresses.ts";

const hasIpv6Loopback = Object.values(networkInterfaces())
  .flat()
  .some((entry) => entry?.address === "::1");

const unasked = async (): Promise<Address> => {
  throw new Error("nobody asked for what the resolver sees");
};

describe("behind NAT", () => {
  test("the address the resolver saw is advertised, and nothing of this machine's own", async () => {
    const asked: string[] = [];
    const observe = async (url: string): Promise<Address> => {
      asked.push(url);
      return "203.0.113.7" as Address;
    };
    expect(await siteAddresses("https://192.0.2.1:8053", "observed", observe)).toMatchObject({
      addresses: ["203.0.113.7"],
      local: false,
    });
    expect(asked).toEqual(["https://192.0.2.1:8053"]);
  });

  test("what comes to an address that is not this machine's arrives where it reaches the resolver from", async () => {
    const url = "https://192.0.2.1:8053";
    const found = await siteAddresses(url, [], unasked).catch(() => undefined);
    const { arrivals } = await siteAddresses(url, ["203.0.113.7" as Address], unasked);
    expect([...(arrivals ?? [])]).toEqual(found === undefined ? [] : [["203.0.113.7", found.addresses[0]]]);
    const [own = "127.0.0.1" as Address] = found?.addresses ?? [];
    for (const given of [own, "127.0.0.9" as Address])
      expect((await siteAddresses(url, [given], unasked)).arrivals).toBeUndefined();
  });

  test("a resolver that is here tells nothing of the way out", async () => {
    const outer = ["203.0.113.7" as Address];
    const { addresses, arrivals } = await siteAddresses("https://127.0.0.1:8053", outer, unasked);
    expect(addresses).toEqual(outer);
    expect([...(arrivals ?? [])].flat()).not.toContain("127.0.0.1");
  });

  test("a resolver that cannot be found is a fault, and does not say that there is no NAT", async () => {
    const outer = ["203.0.113.7" as Address];
    await expect(siteAddresses("https://nowhere.invalid", outer, unasked)).rejects.toMatchObject({
      code: "no-address",
      retryable: true,
    });
  }, 10_000);

  test("a resolver that saw loopback is on this machine", async () => {
    const observe = async (): Promise<Address> => "127.0.0.1" as Address;
    expect(await siteAddresses("https://localhost", "observed", observe)).toMatchObject({ local: true });
  });

  test("a resolver elsewhere that saw loopback saw its proxy", async () => {
    const observe = async (): Promise<Address> => "127.0.0.1" as Address;
    await expect(siteAddresses("https://192.0.2.1", "observed", observe)).rejects.toMatchObject({
      code: "no-address",
      message: expect.stringContaining("--trusted-proxies"),
    });
  });

  test("no address is better than a wrong one", async () => {
    const observe = async (): Promise<Address> => {
      throw new Error("unreachable");
    };
    await expect(siteAddresses("https://192.0.2.1", "observed", observe)).rejects.toThrow("unreachable");
  });
});

describe("an engine on another machine", () => {
  test("its published ports are open where its hostname leads", async () => {
    expect(await addressesOfHost("10.1.2.3")).toEqual({ addresses: ["10.1.2.3"], local: false });
  });

  test("a hostname without addresses names the option to mend", async () => {
    await expect(addressesOfHost("nowhere.invalid")).rejects.toMatchObject({
      code: "no-address",
      message: expect.stringContaining("--engine"),
    });
  });
});

describe("a resolver on loopback", () => {
  test.each(["https://127.0.0.1:8053", "https://localhost:8053", "https://127.0.1.1"])("%s", async (url) => {
    const addresses = hasIpv6Loopback ? ["127.0.0.1", "::1"] : ["127.0.0.1"];
    expect(await siteAddresses(url, [], unasked)).toEqual({ addresses, local: true });
  });
  test("what is advertised by hand is taken", async () => {
    const given = ["10.0.0.5"] as Address[];
    expect(await siteAddresses("https://127.0.0.1:8053", given, unasked)).toMatchObject({
      addresses: given,
      local: false,
    });
    const loopback = ["127.0.0.1", "::1"] as Address[];
    expect(await siteAddresses("https://localhost", loopback, unasked)).toEqual({
      addresses: loopback,
      local: true,
    });
  });
  test("is local exactly when all addresses are loopback ones", async () => {
    const mixture = ["10.0.0.5", "::1"] as Address[];
    expect(await siteAddresses("https://localhost", mixture, unasked)).toMatchObject({ local: false });
  });
});

test("a resolver elsewhere: an own address of that family, never a loopback or link-local one; or a clear fault", async () => {
  // RFC 5737's TEST-NET-1: nothing is sent to it.
  const found = await siteAddresses("https://192.0.2.1:8053", [], unasked).catch((fault: Error) => fault);
  if (found instanceof Error) {
    expect(found.message).toMatch(/--advertise/);
    return;
  }
  expect(found.local).toBe(false);
  expect(found.addresses.map(familyOf)).toEqual([4]);
  expect(found.addresses[0]).not.toMatch(/^127\./);
});

test("a resolver whose name leads nowhere is a fault that waiting may mend", async () => {
  await expect(siteAddresses("https://nowhere.invalid", [], unasked)).rejects.toMatchObject({
    code: "no-address",
    retryable: true,
    message: expect.stringMatching(/"nowhere\.invalid".*--resolver/),
  });
}, 10_000);

describe("checkAdvertised", () => {
  const loopback = ["127.0.0.1", "::1"] as Address[];

  test("a loopback address is advertised to loopback resolvers only", () => {
    expect(() => checkAdvertised(["https://127.0.0.1:8053", "https://[::1]"], loopback)).not.toThrow();
    expect(() => checkAdvertised(["https://resolver.example"], loopback)).toThrow(
      /--advertise: 127\.0\.0\.1/,
    );
  });

  test("resolvers here and elsewhere do not stand for each other, whatever is advertised", () => {
    const mixture = ["https://b.example", "https://localhost:8053"];
    for (const advertise of [[], loopback, ["10.0.0.5" as Address]])
      expect(() => checkAdvertised(mixture, advertise)).toThrow(/--resolver: https:\/\/localhost:8053 is on/);
    expect(() => checkAdvertised(["https://a.example", "https://b.example"], [])).not.toThrow();
  });
});
