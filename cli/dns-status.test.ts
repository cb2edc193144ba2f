import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { parseAddress } from "../shared/address.ts";
import { parseName } from "../shared/name.ts";
import { applyChanges } from "./dns-change.ts";
import { networkManager } from "./dns-network-manager.ts";
import { dnsState } from "./dns-status.ts";
import { FakeDnsListener } from "./testing/fake-dns-listener.ts";
import { FakeNameMachine } from "./testing/fake-name-machine.ts";

const self = parseAddress("127.0.0.1") ?? expect.fail("no address");
const [first, below, later] = ["berth.internal", "lab.berth.internal", "shop.example"].map((text) =>
  parseName(text),
) as [ReturnType<typeof parseName>, ReturnType<typeof parseName>, ReturnType<typeof parseName>];
const arrives = async () => true;

describe("the state of this machine's name resolution", () => {
  let listener: FakeDnsListener;
  beforeEach(async () => {
    listener = await FakeDnsListener.start(self, [first, below, later]);
  });
  afterEach(() => listener.close());

  async function machineTold(...zones: ReturnType<typeof parseName>[]): Promise<FakeNameMachine> {
    const machine = new FakeNameMachine();
    await applyChanges(networkManager.install({ zones, server: listener.at }, machine), machine);
    return machine;
  }

  it("is whole when all zones the proxy knows were told it, each by itself or with the one above it", async () => {
    const machine = await machineTold(first, later);
    const { lines, isWhole } = await dnsState({ zones: undefined, server: listener.at }, machine, arrives);
    expect(isWhole).toBe(true);
    expect(lines.filter((line) => line.includes("arrives there"))).toHaveLength(2);
  });

  it("names a zone that came after the installation, and what tells the machine of it", async () => {
    const machine = await machineTold(first);
    const { lines, isWhole } = await dnsState({ zones: undefined, server: listener.at }, machine, arrives);
    const missing = lines.filter((line) =>
      /shop\.example.* not told .*berth dns install tells it/.test(line),
    );
    expect([missing.length, isWhole]).toEqual([1, false]);
    expect(lines.join("\n")).not.toContain("lab.berth.internal");
  });

  it("advises to install again where what is set can be made to take effect again", async () => {
    const machine = await machineTold(first);
    const { lines } = await dnsState({ zones: [first], server: listener.at }, machine, async () => false);
    const said = /does not arrive there: berth dns install sets it again; a VPN/;
    expect(lines).toContainEqual(expect.stringMatching(said));
  });

  it("is whole without the zones that nobody wants", async () => {
    const machine = await machineTold(first);
    expect((await dnsState({ zones: [first], server: listener.at }, machine, arrives)).isWhole).toBe(true);
  });

  it("tells of every zone the proxy knows where no zone in particular was told", async () => {
    const machine = new FakeNameMachine();
    const { lines, isWhole } = await dnsState({ zones: undefined, server: listener.at }, machine, arrives);
    const shown = ["berth.internal", "lab.berth.internal", "shop.example"];
    const said = shown.map((zone) =>
      lines.some((line) => line.startsWith(`the proxy answers for ${zone} at`)),
    );
    expect([said, isWhole]).toEqual([[true, true, true], false]);
  });
});
