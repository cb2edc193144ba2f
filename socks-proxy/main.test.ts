import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterEach, expect, onTestFinished, test } from "vitest";

import { closedPort } from "../client/testing/closed-port.ts";
import { serviceRecords } from "../client/testing/doh-server.ts";
import { makeTemporaryDir } from "../test/testbed/temporary-dir.ts";
import { type ProxyBed, startBed } from "./testing/proxy.ts";
import { requestName } from "./testing/raw-client.ts";

const beds: ProxyBed[] = [];

afterEach(async () => {
  for (const bed of beds.splice(0)) await bed.close();
});

test("a port in use is a fault that says which, and how to mend it", async () => {
  const first = await open();
  await expect(open({ listen: first.proxy.address })).rejects.toMatchObject({
    code: "port-in-use",
    retryable: false,
    message: expect.stringMatching(new RegExp(`127\\.0\\.0\\.1:${first.port} is in use.*--listen`)),
  });
});

test("faults of listening name the flag the user knows", async () => {
  const first = await open();
  const ports = { listenFlag: "--proxy-listen" };
  const usersFile = fileOfUsers();
  for (const listen of [first.proxy.address, { host: "192.0.2.1", port: 0 }]) {
    await expect(open({ listen, usersFile }, ports)).rejects.toThrow(/ --proxy-listen$/);
  }
});

test("an address that is not this machine's cannot be listened at", async () => {
  const listen = { host: "192.0.2.1", port: 0 };
  const usersFile = fileOfUsers();
  await expect(open({ listen, usersFile })).rejects.toMatchObject({
    code: "cannot-listen",
    retryable: false,
  });
});

test("beyond loopback it listens for users only", async () => {
  const listen = { host: "0.0.0.0", port: 0 };
  await expect(open({ listen })).rejects.toMatchObject({ code: "bad-config" });
  const bed = await open({ listen, usersFile: fileOfUsers() });
  expect(bed.proxy.address.host).toBe("0.0.0.0");
});

test("rules that are none are a fault of the settings", async () => {
  await expect(open({ rule: ["allow"] })).rejects.toMatchObject({ code: "bad-rule" });
});

test("a setting that the transparent mode cannot use ends all of it: its port is free again", async () => {
  const port = await closedPort();
  const listen = { host: "127.0.0.1", port };
  const settings = { listen, transparent: true, transparentRange: "nonsense" };
  await expect(open(settings)).rejects.toMatchObject({ code: "bad-config" });
  expect((await open({ listen })).port).toBe(port);
});

test("it says where it listens and whom it asks", async () => {
  const bed = await open();
  expect(bed.lines).toEqual([
    `info  socks-proxy: SOCKS5 at 127.0.0.1:${bed.port}, names of berth.internal from ${bed.resolver.url}`,
  ]);
});

test("close ends what it relays, what it connects and what it greets, and frees the port", async () => {
  const bed = await open();
  const upstreamClosed = Promise.withResolvers<void>();
  const port = await bed.upstream((socket) => socket.resume().on("close", () => upstreamClosed.resolve()));
  bed.resolver.records = serviceRecords("web.berth.internal", 80, [{ address: "127.0.0.1", port }]);
  bed.resolver.faults.set("_80._tcp.slow.berth.internal", "silence");
  const relayed = await requestName(bed.port, "web.berth.internal", 80);
  await relayed.read(10);
  const resolving = await requestName(bed.port, "slow.berth.internal", 80);
  const greeted = connect({ host: "127.0.0.1", port: bed.port });
  await once(greeted, "connect");
  const closed = [relayed.socket, resolving.socket, greeted].map(
    // Without any time to drain they are reset.
    (socket) =>
      new Promise((resolve) =>
        socket
          .resume()
          .on("error", () => {})
          .once("close", resolve),
      ),
  );
  await bed.proxy.close();
  await bed.proxy.close();
  await Promise.all([...closed, upstreamClosed.promise]);
  const late = connect({ host: "127.0.0.1", port: bed.port });
  await expect(once(late, "connect")).rejects.toMatchObject({ code: "ECONNREFUSED" });
});

function fileOfUsers(): string {
  const directory = makeTemporaryDir("berth-proxy-");
  onTestFinished(() => directory.remove());
  const file = join(directory.path, "users");
  writeFileSync(file, "ann:secret\n", { mode: 0o600 });
  return file;
}

async function open(
  config: Parameters<typeof startBed>[1] = {},
  ports: Parameters<typeof startBed>[2] = {},
): Promise<ProxyBed> {
  const bed = await startBed([], config, ports);
  beds.push(bed);
  return bed;
}
