import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { readConfig } from "../shared/config.ts";
import { type AgentConfig, agentOptions } from "./config.ts";
import { startAgent, withdrawFromResolver } from "./main.ts";
import { RecordedLog } from "./testing/recorded-log.ts";

let dir: string;
let log: RecordedLog;
let asked: string[];
let status: number;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "berth-m-"));
  log = new RecordedLog();
  asked = [];
  status = 204;
  await writeFile(join(dir, "token"), "secret\n");
});
afterEach(() => rm(dir, { recursive: true }));

const fetch: typeof globalThis.fetch = async (input, init) => {
  const { authorization } = (init?.headers ?? {}) as Record<string, string>;
  asked.push(`${init?.method} ${new URL(String(input)).pathname} ${authorization}`);
  const error = { code: "unknown-host", message: "nothing is held" };
  return status === 204 ? new Response(null, { status }) : Response.json({ error }, { status });
};

function configOf(flags: Record<string, string> = {}): AgentConfig {
  const given = {
    stateDir: join(dir, "state"),
    tokenFile: join(dir, "token"),
    engine: join(dir, "absent.sock"),
  };
  return readConfig(agentOptions, { ...given, hostLabel: "alpha", ...flags }, {});
}

test("starts without engine and resolver, says what is wrong, and stops without withdrawing", async () => {
  const agent = await startAgent(configOf(), { fetch, log });
  await vi.waitFor(() => expect(log.matching(/^warn no engine at .*start the engine/)).toHaveLength(1));
  expect(agent.hostId).toMatch(/^[a-z2-7]{52}$/);
  await agent.close();
  expect(asked).toEqual([]);
  expect(await readdir(join(dir, "state"))).toEqual(["agent.lock", "host.key"]);
});

test("while an agent runs, neither a second one nor a withdrawal starts", async () => {
  const agent = await startAgent(configOf(), { fetch, log });
  await expect(startAgent(configOf(), { fetch, log })).rejects.toMatchObject({ code: "agent-running" });
  await expect(withdrawFromResolver(configOf(), { fetch, log })).rejects.toMatchObject({
    code: "agent-running",
  });
  await agent.close();
});

test("the same host id at every start", async () => {
  const ids: string[] = [];
  for (let count = 0; count < 2; count++) {
    const agent = await startAgent(configOf(), { fetch, log });
    ids.push(agent.hostId);
    await agent.close();
  }
  expect(ids[1]).toBe(ids[0]);
});

test("withdraws with the host's id and token; false when nothing was held", async () => {
  const agent = await startAgent(configOf(), { fetch, log });
  await agent.close();
  expect(await withdrawFromResolver(configOf(), { fetch, log })).toBe(true);
  expect(asked).toEqual([`DELETE /v1/hosts/${agent.hostId} Bearer secret`]);
  status = 404;
  expect(await withdrawFromResolver(configOf(), { fetch, log })).toBe(false);
});

test("a host that never had a key has nothing to withdraw, and gets none", async () => {
  expect(await withdrawFromResolver(configOf(), { fetch, log })).toBe(false);
  expect(asked).toEqual([]);
  expect(await readdir(join(dir, "state"))).toEqual(["agent.lock"]);
});

test.each(["", "two words", "line\nbreak"])("a token file with %j is a fault that names it", async (text) => {
  const agent = await startAgent(configOf(), { fetch, log });
  await agent.close();
  await writeFile(join(dir, "token"), text);
  await expect(withdrawFromResolver(configOf(), { fetch, log })).rejects.toThrow(/token holds no token/);
});

test("a loopback address is not advertised to a resolver elsewhere", async () => {
  const config = configOf({ resolver: "https://resolver.example", advertise: "127.0.0.1" });
  await expect(startAgent(config, { fetch, log })).rejects.toMatchObject({ code: "bad-config" });
  expect(await readdir(dir)).toEqual(["token"]);
});

test("a damaged key stops the start, and frees the directory", async () => {
  const config = configOf();
  await (await startAgent(config, { fetch, log })).close();
  await writeFile(join(config.stateDir, "host.key"), "damaged");
  await expect(startAgent(config, { fetch, log })).rejects.toMatchObject({ code: "bad-host-key" });
  expect(await readdir(config.stateDir)).toEqual(["agent.lock", "host.key"]);
});
