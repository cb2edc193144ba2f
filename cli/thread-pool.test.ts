import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";

import { requestName } from "../socks-proxy/testing/raw-client.ts";
import { startProcess } from "../test/testbed/process.ts";
import { makeTemporaryDir } from "../test/testbed/temporary-dir.ts";

const cli = join(import.meta.dirname, "main.ts");
const flags = ["--listen", "127.0.0.1:0", "--page", "off", "--zone", "berth.internal"];

/** How many threads libuv has in a `berth proxy` that has looked a name up. */
async function poolOf(size: string): Promise<number> {
  const directory = makeTemporaryDir("berth-t-");
  onTestFinished(() => directory.remove());
  const env = { BERTH_STATE_DIR: directory.path, UV_THREADPOOL_SIZE: size };
  const proxy = startProcess([process.execPath, cli, "proxy", ...flags], { env });
  onTestFinished(async () => void (await proxy.stop()));
  const line = await proxy.waitForLine(/SOCKS5 at /, 30_000);
  const client = await requestName(Number(/:(\d+),/.exec(line)?.[1]), "localhost", 1);
  onTestFinished(() => void client.socket.destroy());
  // Whatever became of it, the name was looked up.
  await client.read(10);
  const threads = readdirSync(`/proc/${proxy.pid}/task`);
  const names = threads.map((id) => readFileSync(`/proc/${proxy.pid}/task/${id}/comm`, "utf8").trim());
  return names.filter((name) => name === "libuv-worker").length;
}

test("the proxy has threads enough that some silent name servers hold up nobody else's names", async () => {
  expect(await poolOf("")).toBe(64);
});

test("a user's own number of threads stands", async () => {
  expect(await poolOf("7")).toBe(7);
});
