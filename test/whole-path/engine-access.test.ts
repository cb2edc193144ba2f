import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import type { RunningAgent } from "../../agent/main.ts";
import { type Engine, startEngine } from "../testbed/engine.ts";
import { EngineProxy } from "../testbed/engine-proxy.ts";
import { type EtcdCertificates, makeCertificates, makeForeignCa } from "../testbed/etcd-certificates.ts";
import { importSampleImage } from "../testbed/image.ts";
import { type NetnsDoor, openNetnsDoor } from "../testbed/netns-door.ts";
import { runCommand } from "../testbed/process.ts";
import { whyNoEngines } from "../testbed/requirements.ts";
import { type Sshd, startSshd } from "../testbed/sshd.ts";
import { makeTemporaryDir } from "../testbed/temporary-dir.ts";
import { until } from "../testbed/wait.ts";
import { ownAddresses, startAgentBeside } from "./agent-beside.ts";
import { declaredIn, truthOf } from "./engine-truth.ts";
import { PushRecorder } from "./push-recorder.ts";

// One Docker engine by every way there is to it: a socket that refuses what an agent has no need of, TCP with TLS, ssh.

const timeout = 120_000;
/** Where the machine of an engine is reached that is not this one. */
const far = "10.77.0.9";

describe.skipIf(whyNoEngines() !== undefined)("an engine", { timeout }, () => {
  const dir = makeTemporaryDir("berth-a-");
  let certificates: EtcdCertificates;
  let engine: Engine;
  let sshd: Sshd;
  let resolver: PushRecorder;
  let agent: RunningAgent | undefined;
  let count = 0;

  beforeAll(async () => {
    certificates = await makeCertificates(dir.path);
    const { caFile, certFile, keyFile } = certificates;
    const tls = ["--tlsverify", "--tlscacert", caFile, "--tlscert", certFile, "--tlskey", keyFile];
    const extraArgs = ["--host", "tcp://127.0.0.1:2376", ...tls];
    engine = await startEngine({ liveRestore: true, extraArgs });
    await importSampleImage(engine);
    await engine.runContainer({ name: "web", publish: ["80", "8080:80"] });
    sshd = await startSshd({ DOCKER_HOST: `unix://${engine.socketPath}` });
    vi.stubEnv("PATH", `${sshd.bin}:${process.env.PATH}`);
    resolver = await PushRecorder.start();
  }, timeout);

  afterAll(async () => {
    vi.unstubAllEnvs();
    await agent?.close();
    await resolver?.close();
    await sshd?.close();
    await engine?.stop();
    dir.remove();
  }, timeout);

  /** Another host's agent: each test begins with nothing known. */
  async function beside(target: string, flags: Record<string, string> = {}): Promise<void> {
    await agent?.close();
    resolver.wipe();
    const own = join(dir.path, `agent-${count++}`);
    agent = await startAgentBeside({ engines: [target], resolver, dir: own, flags });
  }

  function untilTrue(what: string, addresses = ownAddresses): Promise<true> {
    return until(
      what,
      async () => {
        const truth = await truthOf(engine, ownAddresses);
        // Of the engine's own machine there is nothing but IPv4 here.
        const moved = truth
          .filter((line) => !line.includes("["))
          .map((line) => line.replace("10.77.0.1", far));
        expect(declaredIn(resolver)).toEqual(addresses === ownAddresses ? truth : moved);
        expect(truth.length).toBeGreaterThan(0);
        return true as const;
      },
      { timeoutMs: 40_000 },
    );
  }

  /** Each needs events, inspect and the list. */
  async function expectItIsFollowed(addresses = ownAddresses): Promise<void> {
    await untilTrue("web is declared", addresses);
    await engine.runContainer({ name: "later", publish: ["80"] });
    await untilTrue("what is started later, too", addresses);
    await engine.docker("restart", "later");
    await untilTrue("its port after a restart", addresses);
    await engine.docker("rm", "--force", "later");
    await untilTrue("and its end", addresses);
    expect(resolver.problems).toEqual([]);
  }

  test.each([true, false])(
    "is asked for no more than an agent needs (info allowed: %s)",
    async (allowsInfo) => {
      const proxy = await EngineProxy.start({ engine: engine.socketPath, allowsInfo });
      try {
        await beside(`unix://${proxy.socketPath}`);
        await expectItIsFollowed();
        expect([...proxy.refused]).toEqual(allowsInfo ? [] : ["GET /info"]);
        expect([...proxy.asked.keys()].filter((what) => !what.startsWith("GET "))).toEqual([]);
        expect([...proxy.asked.keys()]).toContain("GET /events");
      } finally {
        await agent?.close();
        await proxy.close();
      }
    },
  );

  test("with live-restore says so by info: its kill -9 takes away nothing", async () => {
    const proxy = await EngineProxy.start({ engine: engine.socketPath, allowsInfo: true });
    try {
      await beside(`unix://${proxy.socketPath}`);
      await untilTrue("web is declared");
      const { pushes } = resolver;
      await engine.restart({ signal: "SIGKILL" });
      const { renewals } = resolver;
      await until("two renewals", () => resolver.renewals >= renewals + 2);
      expect(resolver.pushes).toBe(pushes);
    } finally {
      await agent?.close();
      await proxy.close();
    }
  });

  test("that may not say so is taken for one without: only fixed ports stay", async () => {
    const proxy = await EngineProxy.start({ engine: engine.socketPath });
    try {
      await beside(`unix://${proxy.socketPath}`);
      await untilTrue("web is declared");
      await engine.kill9();
      await until("port 80's own number is gone", () => declaredIn(resolver).length === 2);
      expect(declaredIn(resolver)).toEqual(ownLines("web 80/tcp", 8080));
      await engine.restart();
      await untilTrue("all of web is back");
    } finally {
      await agent?.close();
      await proxy.close();
    }
  });

  test("whose event stream is cut on its way keeps every port, and misses nothing", async () => {
    // Without info it is taken for one whose containers end with it.
    const proxy = await EngineProxy.start({ engine: engine.socketPath });
    const streams = () => proxy.asked.get("GET /events") ?? 0;
    try {
      await beside(`unix://${proxy.socketPath}`);
      // One that has told nothing since it was started cannot prove who it is.
      await expectItIsFollowed();
      for (const round of [1, 2]) {
        const since = performance.now();
        await until("the stream is no longer new", () => performance.now() - since > 1_500);
        const { pushes, renewals } = resolver;
        const before = streams();
        proxy.breakStreams();
        await until(`another stream, ${round}`, () => streams() > before);
        await until("two renewals", () => resolver.renewals >= renewals + 2);
        expect(resolver.pushes).toBe(pushes);
      }
      await expectItIsFollowed();
    } finally {
      await agent?.close();
      await proxy.close();
    }
  });

  describe("by TCP with TLS", () => {
    let door: NetnsDoor;
    beforeAll(async () => {
      door = await openNetnsDoor(engine.netns, 2376);
    });
    afterAll(async () => {
      await agent?.close();
      await door?.close();
    });

    test("is followed, and its ports are open at its own machine", async () => {
      const tls = folderOf(certificates, "client");
      await beside(`tcp://127.0.0.1:${door.port}?tls=${tls}&advertise=${far}`);
      await expectItIsFollowed([far]);
    });

    test("is a problem that names the file until its certificates are there, with no restart", async () => {
      const tls = folderOf(certificates, "late");
      rmSync(join(tls, "key.pem"));
      await beside(`tcp://127.0.0.1:${door.port}?tls=${tls}&advertise=${far}`, { engineGrace: "10" });
      await until("the problem", () => resolver.problems.length > 0, { timeoutMs: 40_000 });
      expect(resolver.declared?.problems[0]?.message).toMatch(/late\/key\.pem cannot be read/);
      copyFileSync(certificates.keyFile, join(tls, "key.pem"));
      await untilTrue("it is found once they are", [far]);
      await until("no problem", () => resolver.problems.length === 0);
    });

    test("is not asked for anything when another CA vouches for it", async () => {
      const tls = folderOf(certificates, "deceived");
      writeFileSync(join(tls, "ca.pem"), await makeForeignCa(dir.path));
      const grace = { engineGrace: "10" };
      await beside(`tcp://127.0.0.1:${door.port}?tls=${tls}&advertise=${far}`, grace);
      await until("the problem", () => resolver.problems.length > 0, { timeoutMs: 40_000 });
      expect(resolver.problems).toEqual(["engine-unreachable"]);
      expect(resolver.declared?.problems[0]?.message).toMatch(/trust/);
      expect(declaredIn(resolver)).toEqual([]);
    });
  });

  describe("by ssh", () => {
    test.each([
      ["where its DOCKER_HOST says", () => ""],
      ["at the socket that is named", () => engine.socketPath],
    ])("is followed, %s", async (_, path) => {
      await beside(`ssh://root@127.0.0.1:${sshd.port}${path()}?advertise=${far}`);
      await expectItIsFollowed([far]);
    });

    test("that was restarted is found again", async () => {
      await engine.restart();
      await engine.docker("restart", "web");
      await untilTrue("web's new port", [far]);
    });

    test("leaves no ssh behind when the agent ends", async () => {
      await agent?.close();
      await until("no ssh", async () => (await sshChildren()) === "");
    });

    test("is not asked for anything when its host is not known", async () => {
      sshd.forgetHost();
      await beside(`ssh://root@127.0.0.1:${sshd.port}?advertise=${far}`, { engineGrace: "10" });
      await until("the problem", () => resolver.problems.length > 0, { timeoutMs: 40_000 });
      expect(resolver.problems).toEqual(["engine-unreachable"]);
      expect(resolver.declared?.problems[0]?.message).toMatch(/Host key verification failed/);
      sshd.knowHost();
      await untilTrue("it is found once it is known", [far]);
    });
  });

  /** As DOCKER_CERT_PATH names one. */
  function folderOf({ caFile, certFile, keyFile }: EtcdCertificates, name: string): string {
    const folder = join(dir.path, name);
    mkdirSync(folder);
    copyFileSync(caFile, join(folder, "ca.pem"));
    copyFileSync(certFile, join(folder, "cert.pem"));
    copyFileSync(keyFile, join(folder, "key.pem"));
    return folder;
  }
});

function ownLines(what: string, port: number): string[] {
  return ownAddresses.map((address) => `${what} ${address.includes(":") ? `[${address}]` : address}:${port}`);
}

/** The ssh processes that this process started. */
async function sshChildren(): Promise<string> {
  const { stdout } = await runCommand(["ps", "-o", "pid=,comm=", "--ppid", `${process.pid}`]);
  return stdout
    .split("\n")
    .filter((line) => / ssh$/.test(line))
    .join("\n");
}
