import { networkInterfaces } from "node:os";
import { describe, expect, test } from "vitest";

import { type Address, familyOf } from "../shared/address.ts";
import { checkAdvertised, siteAddresses } from "./addresses.ts";

const hasIpv6Loopback = Object.values(networkInterfaces())
  .flat()
  .some((entry) => entry?.address === "::1");

describe("a resolver on loopback", () => {
  test.each(["https://127.0.0.1:8053", "https://localhost:8053", "https://127.0.1.1"])("%s", async (url) => {
    const addresses = hasIpv6Loopback ? ["127.0.0.1", "::1"] : ["127.0.0.1"];
    expect(await siteAddresses(url, [])).toEqual({ addresses, local: true });
  });
  test("what is advertised by hand is taken", async () => {
    const given = ["10.0.0.5"] as Address[];
    expect(await siteAddresses("https://127.0.0.1:8053", given)).toEqual({ addresses: given, local: false });
    const loopback = ["127.0.0.1", "::1"] as Address[];
    expect(await siteAddresses("https://localhost", loopback)).toEqual({ addresses: loopback, local: true });
  });
  test("is local exactly when all addresses are loopback ones", async () => {
    const mixture = ["10.0.0.5", "::1"] as Address[];
    expect(await siteAddresses("https://localhost", mixture)).toMatchObject({ local: false });
  });
});

test("a resolver elsewhere: an own address of that family, never a loopback or link-local one; or a clear fault", async () => {
  // RFC 5737's TEST-NET-1: nothing is sent to it.
  const found = await siteAddresses("https://192.0.2.1:8053", []).catch((fault: Error) => fault);
  if (found instanceof Error) {
    expect(found.message).toMatch(/--advertise/);
    return;
  }
  expect(found.local).toBe(false);
  expect(found.addresses.map(familyOf)).toEqual([4]);
  expect(found.addresses[0]).not.toMatch(/^127\./);
});

test("a resolver whose name leads nowhere is a fault that waiting may mend", async () => {
  await expect(siteAddresses("https://nowhere.invalid", [])).rejects.toMatchObject({
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
