import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createEngine, type RequestListener } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

import { bundlePrograms } from "../packaging/bundle.ts";
import { programs } from "../packaging/tree.ts";
import { openAuthority } from "../resolver/serve/authority.ts";

// The agent as it is packaged, before an engine and a resolver that know just enough to be pushed to.

const directory = mkdtempSync(join(tmpdir(), "berth-t-"));
const later: (() => unknown)[] = [() => rmSync(directory, { recursive: true, force: true })];
afterAll(async () => {
  for (const undo of later.toReversed()) await undo();
});

let agent: ChildProcess;
let asked: string[];

beforeAll(async () => {
  await bundlePrograms(join(directory, "bin"));
  writeFileSync(join(directory, "package.json"), JSON.stringify({ version: "0.0.0" }));
  writeFileSync(join(directory, "token"), "secret");
  // Tells on request what Node has loaded of its own; fetch is there for everybody and loaded for those who use it.
  const preload = 'process.on("message", () => process.send(process.moduleLoadList)).channel.unref();';
  writeFileSync(join(directory, "preload.cjs"), preload);
  const authority = await openAuthority(join(directory, "tls"));
  const resolver = await serveResolver(await authority.serverCertificate(["127.0.0.1"], Date.now()));
  const flags = {
    engine: await serveEngine(),
    resolver: resolver.url,
    ca: authority.caFile,
    "token-file": join(directory, "token"),
    "state-dir": join(directory, "state"),
    status: "off",
  };
  const words = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]);
  const execArgv = ["--require", join(directory, "preload.cjs"), ...programs.agent.slice(0, -1)];
  const file = join(directory, "bin", "agent.cjs");
  agent = fork(file, ["agent", ...words], { execArgv, stdio: ["ignore", "ignore", "inherit", "ipc"] });
  later.push(() => agent.kill("SIGKILL") && once(agent, "exit"));
  asked = await resolver.asked;
}, 60_000);

async function serveEngine(): Promise<string> {
  const replies: Record<string, unknown> = { containers: [], version: {}, info: {}, _ping: {} };
  const server = createEngine(({ url = "" }, response) => {
    const known = Object.keys(replies).find((path) => url.includes(path));
    response.writeHead(200, { "content-type": "application/json" });
    if (known === undefined) response.flushHeaders();
    else response.end(JSON.stringify(replies[known]));
  });
  const path = join(directory, "engine.sock");
  await once(server.listen(path), "listening");
  later.push(() => server.close().closeAllConnections());
  return path;
}

/** Refuses everything, in berth's way; `asked` once a push and its reply are over and another request has come. */
async function serveResolver(tls: {
  key: string;
  cert: string;
}): Promise<{ url: string; asked: Promise<string[]> }> {
  const { promise, resolve } = Promise.withResolvers<string[]>();
  const seen: string[] = [];
  const refuse: RequestListener = ({ method = "" }, response) => {
    seen.push(method);
    response.writeHead(503).end(JSON.stringify({ error: { code: "busy", message: "later" } }));
    if (seen.length === 2) resolve(seen);
  };
  const server = createServer(tls, refuse);
  await once(server.listen(0, "127.0.0.1"), "listening");
  later.push(() => server.close().closeAllConnections());
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, asked: promise };
}

test("an agent that pushes has loaded neither fetch nor HTTP/2, which nobody else needs: 10 MiB", async () => {
  expect(asked).toEqual(["PUT", "PUT"]);
  agent.send("what is loaded?");
  const [loaded] = (await once(agent, "message")) as [string[]];
  expect(loaded.some((name) => name.endsWith("https"))).toBe(true);
  expect(loaded.filter((name) => /undici|http2/.test(name))).toEqual([]);
});
