import { expect, test } from "vitest";

import type { Address } from "../shared/address.ts";
import { ServiceLoop } from "./service-loop.ts";
import type { SiteAddresses } from "./site.ts";
import { SiteWatch } from "./site-watch.ts";
import { FakeClock } from "./testing/fake-clock.ts";
import { FakeServices } from "./testing/fake-services.ts";
import { RecordedLog } from "./testing/recorded-log.ts";

// Loops that must neither stand still nor seem to.

test("a look at the addresses that never ends is a fault after half a minute, and the loop is heard of", async () => {
  const [clock, log] = [new FakeClock(), new RecordedLog()];
  const answers = [new Promise<SiteAddresses>(() => {}), Promise.resolve(siteAt("10.0.0.5"))];
  let beats = 0;
  const site = new SiteWatch({
    ...{ who: "this host", resyncMs: 10_000, random: () => 1, clock, log, onChange: () => {} },
    read: () => answers.shift() ?? Promise.resolve(siteAt("10.0.0.5")),
    onProgress: () => {
      beats += 1;
    },
  });
  const running = site.run();
  await clock.advance(29_000);
  expect([site.fault, beats]).toEqual([undefined, 0]);
  await clock.advance(1_000);
  expect(site.fault).toMatch(/not be told within 30 s/);
  await clock.advance(1_000);
  expect([site.fault, beats, site.current?.addresses]).toEqual([undefined, 2, ["10.0.0.5"]]);
  site.close();
  await running;
});

test("an address that arrives elsewhere is news, though it is the same one", async () => {
  const [clock, log] = [new FakeClock(), new RecordedLog()];
  let own = "192.168.1.5" as Address;
  let changes = 0;
  const read = async () => ({
    ...siteAt("203.0.113.7"),
    arrivals: new Map([["203.0.113.7" as Address, own]]),
  });
  const onChange = (): void => {
    changes += 1;
  };
  const given = { who: "this host", resyncMs: 10_000, random: () => 1, clock, log, onChange };
  const site = new SiteWatch({ ...given, read });
  const running = site.run();
  await clock.advance(15_000);
  expect(changes).toBe(1);
  own = "192.168.1.6" as Address;
  await clock.advance(10_000);
  expect(changes).toBe(2);
  expect(log.lines.at(-1)).toBe("info this host advertises 203.0.113.7; 203.0.113.7 arrives at 192.168.1.6");
  site.close();
  await running;
});

test("files of services are heard of at every read, and at every look at them", async () => {
  let onLook: (() => void) | undefined;
  const reader = new (class extends FakeServices {
    override watch(onChange: () => void, look?: () => void): void {
      super.watch(onChange);
      onLook = look;
    }
  })();
  let beats = 0;
  const loop = new ServiceLoop(
    reader,
    () => {},
    () => {
      beats += 1;
    },
  );
  await loop.run();
  expect(beats).toBe(1);
  onLook?.();
  expect(beats).toBe(2);
  loop.close();
});

function siteAt(address: string): SiteAddresses {
  return { addresses: [address as Address], local: false };
}
