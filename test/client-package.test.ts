import { execFile, execFileSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo, Server } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

import { createClient } from "../client/program/create-client.ts";
import { serviceRecords, startResolver, type TestResolver } from "../client/testing/doh-server.ts";
import { nodeBinary, root } from "../packaging/source.ts";
import { startPostgres } from "./testbed/real-servers.ts";
import { stopAll } from "./testbed/started-process.ts";
import { makeTemporaryDir, type TemporaryDir } from "./testbed/temporary-dir.ts";

// The library as its users get it: packed, and unpacked in an empty project with the packages it depends on.
const dependencies = ["undici", "zod", "dns-packet", "@types/node", "undici-types", "pg"];
const run = promisify(execFile);

let project: TemporaryDir;
let resolver: TestResolver;
const servers: Server[] = [];

beforeAll(async () => {
  project = makeTemporaryDir("berth-package-");
  execFileSync("npm", ["run", "-s", "build:client"], { cwd: root });
  const npm = ["pack", "./dist/client", "--silent", "--pack-destination", project.path];
  const tarball = execFileSync("npm", npm, { cwd: root, encoding: "utf8" }).trim().split("\n").at(-1) ?? "";
  const installed = join(project.path, "node_modules", "berth");
  mkdirSync(installed, { recursive: true });
  execFileSync("tar", ["-xzf", join(project.path, tarball), "--strip-components=1", "-C", installed]);
  mkdirSync(join(project.path, "node_modules", "@types"));
  for (const name of dependencies) {
    symlinkSync(join(root, "node_modules", name), join(project.path, "node_modules", name));
  }
  // As a user would copy them: Node runs no TypeScript below node_modules.
  for (const file of readdirSync(join(installed, "examples"))) {
    copyFileSync(join(installed, "examples", file), join(project.path, file));
  }
  writeFileSync(join(project.path, "package.json"), '{ "type": "module" }');
  resolver = await startResolver();
}, 60_000);

afterAll(() => {
  for (const server of servers) server.close();
  resolver.close();
  project.remove();
});

test("has the library, its page and its examples, and nothing else of berth", () => {
  const installed = join(project.path, "node_modules", "berth");
  const files = ["LICENSE", "README.md", "client.js", "examples", "package.json", "types"];
  expect(readdirSync(installed).sort()).toEqual(files);
  // All that it imports, and no more.
  const { dependencies: named } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
  const imports = readFileSync(join(installed, "client.js"), "utf8").matchAll(
    /^import .*from "([^".]+)";$/gm,
  );
  const packages = [...imports].map(([, from = ""]) => from).filter((from) => !from.startsWith("node:"));
  expect(Object.keys(named).sort()).toEqual([...new Set(packages)].sort());
});

test("the example for HTTP asks a service by its name, by fetch and by http.request", async () => {
  const server = createHttpServer((asked, reply) => reply.end(`${asked.headers.host}${asked.url}`));
  await publish("web.shop.berth.internal", 80, server);
  const said = await example("http.ts", ["http://web.shop.berth.internal/page"]);
  expect(said).toEqual([
    "fetch: 200 web.shop.berth.internal/page",
    "http.request: 200 web.shop.berth.internal/page",
  ]);
});

test("the example for PostgreSQL has its query answered, by the package pg and a real server", async () => {
  const dir = makeTemporaryDir("berth-postgres-");
  try {
    const { port } = await startPostgres({ address: "127.0.0.1", dir: join(dir.path, "postgres") });
    publishAt("db.shop.berth.internal", 5432, port);
    const said = await example("postgres.ts", []);
    expect(said).toEqual([expect.stringMatching(/^db\.shop\.berth\.internal is PostgreSQL \d/)]);
  } finally {
    await stopAll();
    dir.remove();
  }
});

test("the example for raw sockets reads what an SSH server says of itself", async () => {
  const { server, port } = await sshServer();
  publishAt("git.shop.berth.internal", 22, port);
  const said = await example("raw-socket.ts", []);
  expect(said).toEqual([
    expect.stringMatching(`^git\\.shop\\.berth\\.internal is 127\\.0\\.0\\.1:${port}: SSH-2\\.0-ssh2js`),
  ]);
  server.close();
});

test("ssh2 takes the stream as its option sock", async () => {
  const { server, port } = await sshServer();
  publishAt("git.shop.berth.internal", 22, port);
  const client = createClient({ resolver: resolver.url, zone: "berth.internal" });
  const ssh = new (ssh2().Client)();
  const sock = client.connect({ host: "git.shop.berth.internal", port: 22 });
  ssh.connect({ sock, username: "git", password: "not asked for" });
  await once(ssh, "ready");
  ssh.end();
  await once(ssh, "close");
  server.close();
  await client.close();
});

test("a program that uses it type-checks, by the strictest settings", async () => {
  expect(await typeFaults(program)).toBe("");
  const misused =
    'import { connect } from "berth/client";\nconnect({ host: "web.berth.internal", port: "80" });\n';
  expect(await typeFaults(misused)).toMatch(/^program\.ts\(2,\d+\): error TS/);
}, 60_000);

/** What the compiler says of `text` in the project. */
async function typeFaults(text: string): Promise<string> {
  writeFileSync(join(project.path, "program.ts"), text);
  const compilerOptions = {
    ...{ target: "es2024", module: "nodenext", lib: ["es2024"], types: ["node"], noEmit: true },
    ...{
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: false,
    },
  };
  const settings = JSON.stringify({ compilerOptions, files: ["program.ts"] });
  writeFileSync(join(project.path, "tsconfig.json"), settings);
  const compiler = join(root, "node_modules", ".bin", "tsc");
  const checked = run(compiler, ["-p", project.path, "--pretty", "false"], { cwd: project.path });
  return checked.then(
    () => "",
    (fault: { stdout: string }) => fault.stdout,
  );
}

const program = `
import { request } from "node:http";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { agent, BerthError, type Client, close, connect, createClient, dispatcher, httpsAgent, lookup, open, resolve, ServiceSocket, socket } from "berth/client";

const client: Client = createClient({ resolver: ["https://a.example", "https://b.example"], zone: "berth.internal", ca: "ca.pem" });
const [endpoint] = await client.resolve("syslog.berth.internal", 514, { protocol: "udp" });
const port: number | undefined = endpoint?.port;
connectTcp({ host: "nas.host.berth.internal", port: 22, lookup });
lookup("web.berth.internal", { all: true }, (fault, addresses) => console.log(fault?.code, addresses));
request("http://web.berth.internal/", { agent: agent({ maxSockets: 4 }), lookup });
request("https://web.berth.internal/", { agent: httpsAgent({ ca: "..." }) });
await fetch("http://web.berth.internal/", { dispatcher: dispatcher({ connect: { ca: "..." } }) });
const stream: ServiceSocket = connect(5432, "db.berth.internal", () => console.log("connected"));
connectTls({ socket: stream, servername: "db.berth.internal" });
const opened: Socket = await open({ host: "db.berth.internal", port: 5432 }, { signal: AbortSignal.timeout(1000) });
socket().connect(80, "web.berth.internal").setNoDelay(true).end("bye");
await resolve("web.berth.internal", 80).catch((fault: unknown) => fault instanceof BerthError && fault.code);
console.log(port, opened.remoteAddress);
await close();
`;

/** Runs it with plain Node, in an environment of its own, until it ends by itself; its lines. */
async function example(file: string, args: string[]): Promise<string[]> {
  const env = { PATH: "/usr/bin:/bin", BERTH_RESOLVER: resolver.url, BERTH_ZONE: "berth.internal" };
  const { stdout, stderr } = await run(nodeBinary, [file, ...args], {
    cwd: project.path,
    env,
    timeout: 20_000,
  });
  expect(stderr).toBe("");
  return stdout.trim().split("\n");
}

async function publish(name: string, servicePort: number, server: Server): Promise<void> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  servers.push(server);
  publishAt(name, servicePort, (server.address() as AddressInfo).port);
}

function publishAt(name: string, servicePort: number, port: number): void {
  resolver.records = serviceRecords(name, servicePort, [{ address: "127.0.0.1", port }]);
}

/** One that lets everybody in. */
async function sshServer(): Promise<{ server: InstanceType<typeof import("ssh2").Server>; port: number }> {
  const { Server: SshServer, utils } = ssh2();
  const hostKeys = [utils.generateKeyPairSync("ed25519").private];
  const server = new SshServer({ hostKeys }, (connection) => {
    connection.on("authentication", (context) => context.accept());
    connection.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, port: (server.address() as AddressInfo).port };
}

/** It comes with dockerode, and is no dependency of berth's own. */
function ssh2(): typeof import("ssh2") {
  return createRequire(import.meta.url)("ssh2") as typeof import("ssh2");
}
