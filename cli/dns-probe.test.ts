import { afterEach, describe, expect, it } from "vitest";

import { type Address, parseAddress } from "../shared/address.ts";
import { parseName } from "../shared/name.ts";
import { probeListener, untilReaching, zonesOfListener } from "./dns-probe.ts";
import { FakeDnsListener } from "./testing/fake-dns-listener.ts";

const zone = parseName("berth.internal");
const self = parseAddress("127.0.0.1") ?? expect.fail("no address");
const other = parseAddress("127.0.0.2") ?? expect.fail("no address");

describe("asking the proxy's DNS listener whether it is there", () => {
  const listeners: FakeDnsListener[] = [];
  afterEach(() => {
    for (const listener of listeners.splice(0)) listener.close();
  });

  async function listen(address: Address | undefined): Promise<FakeDnsListener["at"]> {
    const listener = await FakeDnsListener.start(address, [zone]);
    listeners.push(listener);
    return listener.at;
  }

  it("knows it by its own address", async () => {
    expect(await probeListener(await listen(self), zone)).toEqual({ kind: "answers" });
  });

  it("takes any other answer for another program's", async () => {
    expect(await probeListener(await listen(other), zone)).toMatchObject({ kind: "stranger" });
    expect(await probeListener(await listen(undefined), zone)).toEqual({
      kind: "stranger",
      what: "no such name",
    });
  });

  it("hears of it which zones it knows, and nothing of another program", async () => {
    expect(await zonesOfListener(await listen(self))).toEqual([zone]);
    expect(await zonesOfListener(await listen(undefined))).toEqual([]);
  });

  it("is followed by asking as programs do until that arrives, unless it is not there", async () => {
    let asked = 0;
    const reaches = async () => ++asked === 3;
    await untilReaching(await listen(self), zone, reaches);
    expect(asked).toBe(3);
    await untilReaching(await listen(undefined), zone, reaches);
    expect(asked).toBe(3);
  });

  it("says at once that nothing listens", async () => {
    const server = await listen(self);
    listeners.pop()?.close();
    expect(await probeListener(server, zone)).toEqual({ kind: "silent", what: "nothing listens there" });
  });
});
