import { readdirSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { createNetns, type Netns, randomSuffix } from "../testbed/netns.ts";
import { runCommand, startProcess } from "../testbed/process.ts";
import type { StartedProcess } from "../testbed/started-process.ts";
import { makeTemporaryDir, type TemporaryDir } from "../testbed/temporary-dir.ts";
import { until } from "../testbed/wait.ts";
import { processesIn } from "./netns-processes.ts";
import { berth } from "./parts.ts";

/** A machine of its own as far as berth can see: its own network, and a /run where no engine of the real machine is found. */
describe("berth demo, where no engine is", () => {
  let netns: Netns;
  const name = `berth-${randomSuffix()}`;
  let tmp: TemporaryDir;
  let before: string[];

  beforeEach(async () => {
    netns = await createNetns(name);
    tmp = makeTemporaryDir("berth-o-");
    before = await network();
  });
  afterEach(async () => {
    await netns?.remove();
    tmp?.remove();
  });

  it("starts one, and leaves the machine as it was", async () => {
    const demo = startDemo("--once");
    expect(await demo.exited, demo.tail()).toEqual({ code: 0, signal: null });
    expect(demo.lines).toContainEqual(expect.stringContaining("starting a Docker engine of its own"));
    expect(demo.lines).toContainEqual(expect.stringContaining("->  web.shop, replica 2"));
    await expectNothingLeft();
  });

  it("leaves the machine as it was when the engine is interrupted at its start", async () => {
    const demo = startDemo();
    await demo.waitForLine(/starting a Docker engine/, 60_000);
    expect(await demo.stop("SIGTERM", 60_000), demo.tail()).toEqual({ code: 1, signal: null });
    await expectNothingLeft();
  });

  it("leaves the machine as it was when a second Ctrl-C ends it at once", async () => {
    const demo = startDemo();
    await demo.waitForLine(/stays up until Ctrl-C/, 90_000);
    demo.signal("SIGINT");
    await demo.waitForLine(/press Ctrl-C again/);
    expect(await demo.stop("SIGINT", 20_000)).toEqual({ code: 1, signal: null });
    await expectNothingLeft();
  });

  function startDemo(...flags: string[]): StartedProcess {
    const command = `mount -t tmpfs run /run && exec ${berth("demo", "--yes", ...flags).join(" ")}`;
    const argv = ["unshare", "--mount", "sh", "-c", command];
    return startProcess(argv, { netns: name, env: { TMPDIR: tmp.path, DOCKER_HOST: "" }, name: "demo" });
  }

  async function expectNothingLeft(): Promise<void> {
    await until("its processes to end", () => processesIn(name).length === 0);
    expect(readdirSync(tmp.path)).toEqual([]);
    expect(await network()).toEqual(before);
  }

  /** Links, rules and forwarding; veth pairs end with their containers, a moment later. */
  async function network(): Promise<string[]> {
    const looks = [
      ...["iptables", "ip6tables"].flatMap((program) =>
        ["filter", "nat"].map((table) => [program, "-t", table, "-S"]),
      ),
      ["cat", "/proc/sys/net/ipv4/ip_forward"],
      ["ip", "-brief", "link"],
    ];
    const results = await Promise.all(looks.map((argv) => runCommand(argv, { netns: name })));
    return results.map(({ stdout }) => stdout);
  }
});
