import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { until } from "../testbed/wait.ts";
import { isAnswered } from "./answers.ts";
import { serve, untilPage } from "./pages.ts";
import { type Part, runBerth } from "./parts.ts";
import { startNodeResolver } from "./resolver-part.ts";
import { createWorld, engineOf, proxyAddress, startAgent, type World } from "./world.ts";

describe("what fails says so, and recovers by itself", () => {
  let world: World;
  let agent: Part;

  beforeAll(async () => {
    world = await createWorld();
    agent = world.agents[0] ?? expect.fail("no agent");
    await serve(engineOf(world), "cafe", { restart: "always" });
    await untilPage(world, "http://cafe.berth.internal/", "cafe");
  });
  afterEach(async () => {
    if (!agent.isRunning) await agent.start();
  });
  afterAll(() => world?.close());

  it("an agent without an engine warns once, and publishes when the engine comes", async () => {
    await agent.stop();
    await engineOf(world).kill9();
    await agent.start();
    await triesFor(3000);
    await engineOf(world).restart();
    await agent.process.waitForLine(/the engine at .* answers again/, 60_000);
    await untilPage(world, "http://cafe.berth.internal/", "cafe");
    expect(warnings(agent)).toEqual([expect.stringMatching(/engine/)]);
  });

  it("an agent without a resolver warns once, and publishes when the resolver comes", async () => {
    await agent.stop();
    await world.resolver.part.stop();
    await agent.start();
    await triesFor(3000);
    await world.resolver.part.start();
    await agent.process.waitForLine(/takes this host's names again/, 60_000);
    await untilPage(world, "http://cafe.berth.internal/", "cafe");
    expect(warnings(agent)).toEqual([
      expect.stringContaining(`no reply from the resolver at ${world.resolver.url}`),
    ]);
  });

  it("an agent with a wrong token says so once, and takes the right one without a restart", async () => {
    const tokenFile = join(world.dir, "agent-0", "token");
    await agent.stop();
    writeFileSync(tokenFile, "not-a-token\n");
    await agent.start();
    await agent.process.waitForLine(/the resolver at .* says: this resolver did not give out that token/);
    await triesFor(3000);
    expect(warnings(agent)).toHaveLength(1);
    copyFileSync(world.resolver.agentTokenFile, tokenFile);
    await agent.process.waitForLine(/takes this host's names again/, 60_000);
    await untilPage(world, "http://cafe.berth.internal/", "cafe");
  });

  it("a part whose port is taken ends with code 2 and the flag to change", async () => {
    const { client, dir, resolver } = world;
    const own = ["--state-dir", join(dir, "second")];
    const listen = ["--listen", `${resolver.address}:${resolver.port}`];
    const taken = await runBerth(["resolver", "--log-level", "error", ...listen, ...own], {
      netns: client.netns,
    });
    expect(taken).toMatchObject({ code: 2, stdout: "" });
    expect(linesOf(taken.stderr)).toEqual([expect.stringMatching(/^berth: .*in use.*--listen/)]);

    const up = ["--listen", "127.0.0.1:0", "--proxy-listen", proxyAddress];
    const env = { BERTH_STATE_DIR: join(dir, "up"), DOCKER_HOST: `unix://${engineOf(world).socketPath}` };
    const takenByUp = await runBerth(["up", "--log-level", "error", ...up], { netns: client.netns, env });
    expect(takenByUp).toMatchObject({ code: 2, stdout: "" });
    expect(linesOf(takenByUp.stderr)).toEqual([expect.stringMatching(/^berth: .*in use.*--proxy-listen/)]);

    const proxy = ["--listen", proxyAddress, "--ca", resolver.caFile];
    const takenToo = await runBerth(["proxy", ...proxy], { netns: client.netns });
    expect(takenToo).toMatchObject({ code: 2, stdout: "" });
    expect(linesOf(takenToo.stderr)).toEqual([expect.stringMatching(/^berth: .*in use.*--listen/)]);
  });

  it.each([
    [["agent", "--leese", "5"], /--leese/],
    [["agent", "--lease", "4"], /--lease .*from 5 to 3600/],
    [["resolver", "--listen", "nowhere"], /--listen .*not host:port/],
    [["proxy", "--listen", "0.0.0.0:1080"], /--listen .*authentication/],
    [["proxy", "--resolver", "http://10.77.0.250"], /--resolver .*https/],
    [["agent", "--advertise", "127.0.0.1", "--resolver", "https://10.77.0.250"], /--advertise.*127\.0\.0\.1/],
    [["sail"], /no command "sail"/],
    [["constructor"], /no command "constructor"/],
    [["resolver", "--state-dir", "/etc/hostname/x"], /state directory \/etc\/hostname\/x .*--state-dir/],
    [["agent", "--ca", "/etc/hostname"], /--ca \/etc\/hostname: holds no certificate/],
    [["ls"], /no resolver was started on this machine/],
    [["up", "--listen", "0.0.0.0:8053"], /--listen .*one of this machine's addresses/],
    [["up", "--engine", "unix:///nowhere/sock"], /no Docker engine answers at unix:\/\/\/nowhere\/sock/],
    [["demo", "--engine", "tcp://127.0.0.1:2375"], /not the socket of an engine on this machine/],
    [["demo", "--listen", "nowhere"], /--listen .*not host:port/],
  ])("berth %j ends with code 2 and one line that says why", async (args, why) => {
    const env = { STATE_DIRECTORY: join(world.dir, "unused") };
    const { code, stdout, stderr } = await runBerth(args, { netns: world.client.netns, env });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(linesOf(stderr)).toEqual([expect.stringMatching(why)]);
  });

  it("a wrong label is listed by berth ls --problems, and hinders nobody else", async () => {
    await serve(engineOf(world), "odd", { labels: { "berth.http": "ninety" } });
    await serve(engineOf(world), "even");
    await untilPage(world, "http://even.berth.internal/", "even");
    await untilPage(world, "http://odd.berth.internal/", "odd");
    const problems = await ls("--problems");
    expect(problems.code).toBe(1);
    expect(linesOf(problems.stdout)).toEqual([
      expect.stringMatching(/ {2}odd {2}bad-label: berth\.http=ninety/),
    ]);

    const names = await ls();
    expect(names.code).toBe(0);
    const port = await engineOf(world).publishedPort("even", "80/tcp");
    const line = new RegExp(`^even\\.berth\\.internal  tcp/80  10\\.77\\.0\\.1:${port} on `);
    expect(linesOf(names.stdout)).toContainEqual(expect.stringMatching(line));

    await engineOf(world).docker("rm", "--force", "odd");
    await until("the problem to be gone", async () => !(await isAnswered(world, "odd")));
    expect(await ls("--problems")).toMatchObject({ code: 0, stdout: "no problems\n" });
  });

  it("an agent on loopback is refused by a resolver that others reach, with the mend", async () => {
    const [host] = world.hosts;
    const { netns = "", engine } = host ?? expect.fail("no host");
    const everywhere = { dir: join(world.dir, "everywhere"), client: { netns, address: "0.0.0.0" } };
    const resolver = { ...(await startNodeResolver(everywhere)), url: "https://127.0.0.1:8053" };
    const place = { netns, socket: engine.socketPath, dir: join(world.dir, "local"), resolver };
    const local = await startAgent(place);
    await local.process.waitForLine(/loopback addresses mean nothing.*--advertise/);
    await local.stop();
    await resolver.part.stop();
  });

  /** Long enough for several more tries, each of which could print a line of its own. */
  function triesFor(ms: number): Promise<void> {
    return sleep(ms);
  }

  async function ls(...flags: string[]) {
    const { url, caFile, readerTokenFile } = world.resolver;
    const access = ["--resolver", url, "--ca", caFile, "--token-file", readerTokenFile];
    return runBerth(["ls", ...access, ...flags], { netns: world.client.netns });
  }
});

function warnings(part: Part): string[] {
  return part.process.lines.filter((line) => /^(warn|error)/.test(line));
}

function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}
