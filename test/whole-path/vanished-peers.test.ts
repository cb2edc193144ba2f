import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createNetns, type Netns, randomSuffix } from "../testbed/netns.ts";
import { mustRun, startProcess } from "../testbed/process.ts";
import { makeTemporaryDir, type TemporaryDir } from "../testbed/temporary-dir.ts";
import { until } from "../testbed/wait.ts";
import { berth, node, Part } from "./parts.ts";

const [proxyHost, elsewhere] = ["10.79.0.1", "10.79.0.2"];
const echoPort = 7000;

describe("a proxy whose clients and endpoints are on another machine", () => {
  let dir: TemporaryDir;
  const machines: Netns[] = [];
  const running: { stop(): Promise<unknown> }[] = [];

  beforeAll(async () => {
    dir = makeTemporaryDir("berth-v-");
    const suffix = randomSuffix();
    for (const role of ["p", "c"]) machines.push(await createNetns(`berth-${suffix}-${role}`));
    const [own, other] = names();
    await mustRun(`ip link add eth0 netns ${own} type veth peer name eth0 netns ${other}`.split(" "));
    for (const [name, address] of [
      [own, proxyHost],
      [other, elsewhere],
    ]) {
      await mustRun(`ip -n ${name} addr add ${address}/24 dev eth0`.split(" "));
      await mustRun(`ip -n ${name} link set eth0 up`.split(" "));
    }
  });
  afterAll(async () => {
    for (const one of running.toReversed()) await one.stop();
    for (const machine of machines) await machine.remove();
    dir?.remove();
  });

  function names(): string[] {
    return machines.map(({ name }) => name);
  }

  it("has the system ask both sides whether they are still there", async () => {
    const [own = "", other = ""] = names();
    const users = join(dir.path, "users");
    writeFileSync(users, "ann:password\n", { mode: 0o600 });
    const flags = ["--listen", `${proxyHost}:1080`, "--users-file", users, "--page", "off"];
    const apart = ["--zone", "berth.internal", "--resolver", "http://127.0.0.1:1", "--state-dir", dir.path];
    const argv = berth("proxy", ...flags, ...apart);
    running.push(await Part.start({ name: "proxy", argv, netns: own, ready: /SOCKS5 at/ }));
    const client = startProcess([node, "--eval", clientAndEndpoint], { netns: other });
    running.push(client);
    await client.waitForLine(/HTTP\/1\.1 200/);
    // Not while something is still to be acknowledged: that has a timer of its own.
    await until("both to be watched", async () => {
      const sockets = await mustRun(["ss", "-tnoH", "state", "established"], { netns: own });
      const timers = sockets.split("\n").filter((line) => line.includes(elsewhere));
      expect(timers).toHaveLength(2);
      for (const line of timers) expect(line).toMatch(/timer:\(keepalive,(?:\d+sec|1min)/);
      return true;
    });
  });
});

/** An endpoint, and a client that has itself connected to it and then is silent. */
const clientAndEndpoint = `
  const { connect, createServer } = require("node:net");
  createServer(() => {}).listen(${echoPort}, "${elsewhere}", () => {
    const client = connect(1080, "${proxyHost}");
    const who = Buffer.from("ann:password").toString("base64");
    client.write("CONNECT ${elsewhere}:${echoPort} HTTP/1.1\\r\\nHost: x\\r\\nProxy-Authorization: Basic " + who + "\\r\\n\\r\\n");
    client.on("data", (chunk) => console.log(String(chunk)));
  });
`;
