import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";

import { RecordedLog } from "../testing/recorded-log.ts";
import { relayPortFile } from "./relay-port-file.ts";

const web = { key: "/web/80/tcp", protocol: "tcp" as const, port: 20_001, usedAt: 5 };
let directory: string;
let log: RecordedLog;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "berth-relay-ports-"));
  log = new RecordedLog();
});

afterEach(() => rm(directory, { recursive: true }));

it("gives back what was saved last, from a file only its owner may read", async () => {
  const store = relayPortFile(directory, log);
  await store.save([web]);
  await store.save([web, { ...web, protocol: "udp" }]);
  expect(await relayPortFile(directory, log).load()).toEqual([web, { ...web, protocol: "udp" }]);
  expect((await stat(join(directory, "relay-ports.json"))).mode & 0o777).toBe(0o600);
  expect(await readdir(directory)).toEqual(["relay-ports.json"]);
});

it("knows no port at the first start, and says nothing of it", async () => {
  expect(await relayPortFile(directory, log).load()).toEqual([]);
  expect(log.lines).toEqual([]);
});

it.each(["", "{", "[]", '{"ports":{}}', "\0\0\0", '{"ports":[', "null"])(
  "takes a file of %j for none, and says so",
  async (text) => {
    await writeFile(join(directory, "relay-ports.json"), text);
    expect(await relayPortFile(directory, log).load()).toEqual([]);
    expect(log.matching(/^warn .*relay-ports\.json is damaged/)).toHaveLength(1);
  },
);

it("keeps the good entries of a damaged list", async () => {
  const ports = [web, { ...web, port: 70_000 }, { ...web, key: 5 }, null, { ...web, protocol: "sctp" }];
  await writeFile(join(directory, "relay-ports.json"), JSON.stringify({ ports }));
  expect(await relayPortFile(directory, log).load()).toEqual([web]);
  expect(log.matching(/4 of 5 ports are damaged/)).toHaveLength(1);
});

it("leaves the former file whole when a new one cannot be written, and says whose fault it is", async () => {
  const store = relayPortFile(directory, log);
  await store.save([web]);
  const before = await readFile(join(directory, "relay-ports.json"), "utf8");
  const elsewhere = relayPortFile(join(directory, "not-there"), log);
  await expect(elsewhere.save([web])).rejects.toMatchObject({ code: "bad-state-dir", retryable: true });
  expect(await readFile(join(directory, "relay-ports.json"), "utf8")).toBe(before);
});
