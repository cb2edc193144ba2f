import { expect, test, vi } from "vitest";

import { FakeClock } from "../../agent/testing/fake-clock.ts";
import type { Address } from "../../shared/address.ts";
import { addressOf } from "../testing/doh-server.ts";
import { ResolverAddresses } from "./resolver-addresses.ts";

const host = "ns.berth.internal";
const [first, second] = [addressOf("10.0.0.1"), addressOf("10.0.0.2")];

function bedOf(stored: Record<string, readonly Address[]> = {}, fixed?: Address[]) {
  const clock = new FakeClock();
  const find = vi.fn(async (_: string): Promise<readonly Address[]> => [first]);
  const addresses = new ResolverAddresses({
    fixed,
    find,
    recall: (hostname) => stored[hostname] ?? [],
    keep: (hostname, found) => {
      stored[hostname] = found;
    },
    after: (ms, run) => clock.after(ms, run),
  });
  return { addresses, find, stored, clock };
}

test("given addresses are taken, and nobody is asked", async () => {
  const { addresses, find } = bedOf({}, [second]);
  expect(await addresses.of(host)).toEqual([second]);
  expect(find).not.toHaveBeenCalled();
});

test("what was found is kept once it was reached, and not before", async () => {
  const { addresses, stored } = bedOf();
  expect(await addresses.of(host)).toEqual([first]);
  expect(stored).toEqual({});
  addresses.reached(host);
  expect(stored).toEqual({ [host]: [first] });
});

test("what was good before is taken when nothing is found, or not soon", async () => {
  const { addresses, find, clock } = bedOf({ [host]: [second] });
  find.mockRejectedValueOnce(new Error("no such host"));
  expect(await addresses.of(host)).toEqual([second]);
  find.mockResolvedValueOnce([]);
  expect(await addresses.of(host)).toEqual([second]);
  find.mockReturnValueOnce(new Promise(() => {}));
  const late = addresses.of(host);
  await clock.advance(1_000);
  expect(await late).toEqual([second]);
  expect(await addresses.of(host)).toEqual([first]);
});

test("a hostname that leads nowhere is a fault with its mend", async () => {
  const { addresses, find } = bedOf();
  find.mockRejectedValueOnce(new Error("getaddrinfo ENOTFOUND"));
  await expect(addresses.of(host)).rejects.toMatchObject({
    code: "no-resolver-address",
    message: expect.stringMatching(
      /ns\.berth\.internal.*BERTH_RESOLVER_ADDRESS.*--resolver-address.*resolverAddress.*ENOTFOUND/,
    ),
  });
});
