import { expect, it } from "vitest";

import { descriptorsForRelays, relayShareOf } from "./descriptor-limit.ts";

const limits = (soft: string) =>
  `Limit                     Soft Limit           Hard Limit           Units     \nMax processes             63000                63000                processes \nMax open files            ${soft.padEnd(21)}1048576              files     \nMax locked memory         8388608              8388608              bytes     \n`;

it.each([
  ["1024", 256],
  ["65536", 16_384],
  ["1048576", 16_384],
  ["unlimited", 1_024],
])("of %s descriptors relays may take %d", (soft, share) => {
  expect(relayShareOf(limits(soft))).toBe(share);
});

it("takes 1,024 where nothing is said, and finds what this system says", () => {
  expect(relayShareOf("")).toBe(1_024);
  expect(descriptorsForRelays()).toBeGreaterThan(0);
});
