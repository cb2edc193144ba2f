import { chmodSync, chownSync, copyFileSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { buildImage, importArguments } from "../../packaging/image/image.ts";
import { agentEnvironment, programs } from "../../packaging/tree.ts";
import type { Engine } from "../testbed/engine.ts";
import { whyNoEngines } from "../testbed/requirements.ts";
import { until } from "../testbed/wait.ts";
import { answersDuring, isAnswered } from "./answers.ts";
import { createWorld, engineOf, type World } from "./world.ts";

/** The agent as a container of the engine it watches. */
describe.skipIf(whyNoEngines())("the agent's image", () => {
  let world: World;
  let engine: Engine;
  let files: string;

  beforeAll(async () => {
    world = await createWorld({ hasAgents: false, engine: { liveRestore: true } });
    engine = engineOf(world);
    const tar = await buildImage({ version: "0.1.0", outDir: join(world.dir, "image") });
    await engine.docker(...importArguments(tar, "berth:test"));
    files = join(world.dir, "agent-files");
    mkdirSync(files);
    copyFileSync(world.resolver.caFile, join(files, "ca.pem"));
    copyFileSync(world.resolver.agentTokenFile, join(files, "token"));
    await engine.runContainer({ name: "cafe", publish: ["80"] });
    await engine.docker(...runAgent("berth-agent", ["--restart", "unless-stopped"]));
  });
  afterAll(() => world?.close());

  /** As its README says: no right but to read the engine's socket, whose folder is mounted because the file is replaced with the engine. */
  function runAgent(name: string, further: string[]): string[] {
    const rights = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"];
    const mounts = [`${engine.dir}:/run/engine:ro`, `${files}:/etc/berth:ro`, `${name}-state:/var/lib/berth`];
    const flags = ["--engine", "unix:///run/engine/sock", "--resolver", world.resolver.url];
    return [
      ...["run", "--detach", "--name", name, "--network", "host", ...rights, ...further],
      ...mounts.flatMap((mount) => ["--volume", mount]),
      ...["berth:test", "agent", ...flags, "--ca", "/etc/berth/ca.pem", "--token-file", "/etc/berth/token"],
    ];
  }

  async function processOf(container: string): Promise<string> {
    return `/proc/${await engine.docker("inspect", "--format", "{{.State.Pid}}", container)}`;
  }

  it("runs the agent's own program as its first process, with the flags that keep it small", async () => {
    const about = await processOf("berth-agent");
    const [, ...words] = readFileSync(join(about, "cmdline"), "utf8").split("\0");
    expect(words.slice(0, programs.agent.length + 1)).toEqual([...programs.agent, "agent"]);
    const environment = readFileSync(join(about, "environ"), "utf8").split("\0");
    for (const [name, value] of Object.entries(agentEnvironment))
      expect(environment).toContain(`${name}=${value}`);
  });

  it("declares the other containers and not itself", async () => {
    await until("the container's name", () => isAnswered(world, "cafe"), { timeoutMs: 30_000 });
    const { rcode } = await world.doh.ask("berth-agent.berth.internal", "A");
    expect(rcode).toBe("NXDOMAIN");
    const log = await engine.docker("logs", "berth-agent");
    expect(log).not.toMatch(/berth-agent:/);
  });

  it("goes on over an engine's restart, at the engine's new socket", async () => {
    const pid = await engine.docker("inspect", "--format", "{{.State.Pid}}", "berth-agent");
    const answers = answersDuring(world, "cafe");
    await engine.restart();
    expect(await engine.docker("inspect", "--format", "{{.State.Pid}}", "berth-agent")).toBe(pid);
    // Only somebody who reads the new engine's events knows of it.
    await engine.runContainer({ name: "later", publish: ["80"] });
    await until("the new container's name", () => isAnswered(world, "later"), { timeoutMs: 40_000 });
    expect((await answers.stop()).absent).toBe(0);
  });

  it("ends at docker stop in order", async () => {
    await engine.docker("stop", "--time", "15", "berth-agent");
    expect(await engine.docker("inspect", "--format", "{{.State.ExitCode}}", "berth-agent")).toBe("0");
  });

  it("runs as a user who is nobody but in the socket's group, and owns the token alone", async () => {
    const socketGroup = String(statSync(join(engine.dir, "sock")).gid);
    // In the folder of a socket that others may use, they can look for it.
    chmodSync(engine.dir, 0o711);
    const token = join(files, "token");
    chownSync(token, 65532, 65532);
    chmodSync(token, 0o400);
    await engine.docker(...runAgent("plain-agent", ["--user", "65532", "--group-add", socketGroup]));
    await engine.runContainer({ name: "inn", publish: ["80"] });
    await until("the container's name", () => isAnswered(world, "inn"), { timeoutMs: 30_000 });

    const status = readFileSync(join(await processOf("plain-agent"), "status"), "utf8");
    expect(status).toMatch(/^Uid:\t65532\t65532\t65532\t65532$/m);
    expect(status).toMatch(/^CapEff:\t0+$/m);
    await engine.docker("stop", "--time", "15", "plain-agent");
    expect(await engine.docker("inspect", "--format", "{{.State.ExitCode}}", "plain-agent")).toBe("0");
  });
});
