import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";

import { createEngine } from "./docker.ts";
import type { EngineLimits } from "./docker-engine.ts";
import type { Engine } from "./engine.ts";
import { sshArguments } from "./ssh-connection.ts";
import { parseEngineTargets } from "./target.ts";

// The ways to an engine that is not behind a socket of this machine: a server of our own at the other end, real TLS, and an `ssh` of our
// own that does what the real one does with the connection.

let dir: string;
const servers: Server[] = [];

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "berth-da-"));
});
afterAll(() => rmSync(dir, { recursive: true }));
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

function engineAt(text: string, limits: EngineLimits = { callMs: 5_000, quietMs: 5_000 }): Engine {
  const [target] = parseEngineTargets(text, {});
  if (target === undefined) throw new Error(text);
  return createEngine(target, limits);
}

async function listen(server: Server, ...at: [] | [string]): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) =>
    at.length === 0 ? server.listen(0, "127.0.0.1", resolve) : server.listen(at[0], resolve),
  );
  const address = server.address() as AddressInfo | string;
  return typeof address === "string" ? 0 : address.port;
}

/** Lists one container, and has an event stream with one event. */
const answer: Parameters<typeof createHttpServer>[1] = (request, response) => {
  if (request.url?.startsWith("/events")) {
    response.writeHead(200).write('{"Type":"container","Action":"start","Actor":{"ID":"7f5b"}}\n');
    return;
  }
  response.writeHead(200, { "content-type": "application/json" }).end('[{"Id":"7f5b","Names":["/web"]}]');
};

async function expectWorks(engine: Engine): Promise<void> {
  expect(await engine.list()).toMatchObject([{ id: "7f5b", name: "web" }]);
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const watch = await engine.watchEvents(resolve, resolve);
  expect(await promise).toEqual({ kind: "look", id: "7f5b" });
  watch.close();
}

test("plain TCP, to this machine", async () => {
  const port = await listen(createHttpServer(answer));
  await expectWorks(engineAt(`tcp://127.0.0.1:${port}`));
});

describe("TCP with TLS", () => {
  /** A folder as DOCKER_CERT_PATH names it, with a CA of its own that signed the certificate in it. */
  function makeFolder(name: string): string {
    const folder = join(dir, name);
    mkdirSync(folder);
    const at = (file: string) => join(folder, file);
    const openssl = (...given: string[]) => execFileSync("openssl", given, { stdio: "pipe" });
    const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    const ca = ["-subj", `/CN=${name}`, "-days", "2", "-keyout", at("ca.key"), "-out", at("ca.pem")];
    openssl("req", "-x509", ...newKey, ...ca);
    openssl("req", ...newKey, "-subj", "/CN=engine", "-keyout", at("key.pem"), "-out", at("csr.pem"));
    writeFileSync(at("ext"), "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n");
    const signer = ["-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial", "-days", "2"];
    openssl("x509", "-req", "-in", at("csr.pem"), ...signer, "-extfile", at("ext"), "-out", at("cert.pem"));
    return folder;
  }
  let own: string;
  let foreign: string;
  let port: number;

  beforeAll(() => {
    own = makeFolder("own");
    foreign = makeFolder("foreign");
  });
  beforeEach(async () => {
    const [ca, cert, key] = ["ca.pem", "cert.pem", "key.pem"].map((file) =>
      execFileSync("cat", [join(own, file)]),
    );
    const tls = { ca, cert, key, requestCert: true, rejectUnauthorized: true };
    port = await listen(createTlsServer(tls, answer) as unknown as Server);
  });

  test("each side proves itself to the other", async () => {
    await expectWorks(engineAt(`tcp://127.0.0.1:${port}?tls=${own}`));
  });

  test("a server that ca.pem does not vouch for is refused, whatever the environment says", async () => {
    vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    await expect(engineAt(`tcp://127.0.0.1:${port}?tls=${foreign}`).list()).rejects.toMatchObject({
      code: "engine-unreachable",
      facts: { gone: false },
      message: expect.stringMatching(/does not trust the other's certificate/),
    });
  });

  test("a server refuses a client certificate of another's CA", async () => {
    const mixed = join(dir, "mixed");
    cpSync(foreign, mixed, { recursive: true });
    cpSync(join(own, "ca.pem"), join(mixed, "ca.pem"));
    await expect(engineAt(`tcp://127.0.0.1:${port}?tls=${mixed}`).list()).rejects.toMatchObject({
      code: "engine-unreachable",
    });
  });

  test("a folder that lacks a file is that engine's fault, which names it, until it is there", async () => {
    const late = join(dir, "late");
    mkdirSync(late);
    const engine = engineAt(`tcp://127.0.0.1:${port}?tls=${late}`);
    for (const file of ["ca.pem", "cert.pem", "key.pem"]) {
      await expect(engine.list()).rejects.toMatchObject({
        code: "engine-unreachable",
        retryable: true,
        facts: { gone: false },
        message: expect.stringMatching(`late/${file} cannot be read; tls names the folder of`),
      });
      cpSync(join(own, file), join(late, file));
    }
    await expectWorks(engine);
  });

  test("certificates that are changed need no restart, for better or worse", async () => {
    const changing = join(dir, "changing");
    cpSync(own, changing, { recursive: true });
    const engine = engineAt(`tcp://127.0.0.1:${port}?tls=${changing}`);
    await expectWorks(engine);
    cpSync(join(foreign, "ca.pem"), join(changing, "ca.pem"));
    await expect(engine.list()).rejects.toMatchObject({
      message: expect.stringMatching(/does not trust the other's certificate/),
    });
    cpSync(join(own, "ca.pem"), join(changing, "ca.pem"));
    writeFileSync(join(changing, "key.pem"), "half a k");
    await expect(engine.list()).rejects.toMatchObject({ code: "engine-unreachable" });
    cpSync(join(own, "key.pem"), join(changing, "key.pem"));
    await expectWorks(engine);
  });
});

describe("ssh", () => {
  /** Puts a program called ssh first in the path; `script` is what it does after noting that it began. */
  function fakeSsh(script: string): void {
    const bin = mkdtempSync(join(dir, "bin-"));
    writeFileSync(join(bin, "ssh"), `#!/bin/sh\necho "$$ $@" >> ${bin}/calls\n${script}\n`);
    chmodSync(join(bin, "ssh"), 0o755);
    vi.stubEnv("PATH", `${bin}:${process.env.PATH}`);
    calls = () =>
      execFileSync("cat", [join(bin, "calls")], { encoding: "utf8" })
        .trim()
        .split("\n");
  }
  let calls: () => string[];
  const isAlive = (call: string) => {
    try {
      process.kill(Number(call.split(" ")[0]), 0);
      return true;
    } catch {
      return false;
    }
  };
  const pipe = (path: string) =>
    `exec ${process.execPath} -e 'const s=require("net").connect("${path}");process.stdin.pipe(s);s.pipe(process.stdout);s.on("close",()=>process.exit(0))'`;

  test("carries calls and events, one ssh for each, and leaves none behind", async () => {
    const path = join(dir, "engine.sock");
    await listen(createHttpServer(answer), path);
    fakeSsh(pipe(path));
    await expectWorks(engineAt("ssh://ci@build:2222/run/docker.sock"));
    expect(calls().length).toBeGreaterThanOrEqual(2);
    for (const call of calls())
      expect(call).toMatch(
        / -l ci -p 2222 -- build docker -H unix:\/\/\/run\/docker\.sock system dial-stdio$/,
      );
    await vi.waitFor(() => expect(calls().filter(isAlive)).toEqual([]), { timeout: 10_000 });
  });

  test("an end that never answers is a silent engine, and its ssh is ended", async () => {
    fakeSsh("exec sleep 60");
    await expect(engineAt("ssh://build", { callMs: 300, quietMs: 5_000 }).list()).rejects.toMatchObject({
      code: "engine-unreachable",
      facts: { gone: false },
    });
    await vi.waitFor(() => expect(calls().filter(isAlive)).toEqual([]), { timeout: 10_000 });
  });

  test.each([
    ["Host key verification failed.", false],
    ["ssh: connect to host build port 22: Connection refused", true],
    [
      "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
      true,
    ],
  ])("what it complains of is told: %s", async (complaint, gone) => {
    fakeSsh(`echo "${complaint}" >&2; exit 255`);
    const fault = await engineAt("ssh://build")
      .list()
      .catch((error: unknown) => error);
    expect(fault).toMatchObject({ code: "engine-unreachable", facts: { gone } });
    expect((fault as Error).cause).toMatchObject({ message: complaint });
  });

  test("no ssh on this machine is told", async () => {
    vi.stubEnv("PATH", join(dir, "nothing"));
    await expect(engineAt("ssh://build").list()).rejects.toMatchObject({
      cause: { message: expect.stringMatching(/ssh cannot be started/) },
    });
  });

  test("asks nobody anything, and takes no option from a host's name", () => {
    const way = { kind: "ssh", user: undefined, host: "build", port: undefined, socket: undefined } as const;
    const given = sshArguments(way);
    expect(given).toContain("BatchMode=yes");
    expect(given.slice(given.indexOf("--"))).toEqual(["--", "build", "docker", "system", "dial-stdio"]);
  });
});
