import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../testbed/wait.ts";
import { answersDuring, isAnswered } from "./answers.ts";
import { type Operator, operatorOf } from "./operator.ts";
import { composeLabels, pageOf, serve, untilPage } from "./pages.ts";
import { type Part, runBerth } from "./parts.ts";
import { type AgentPlace, agentFlags, createWorld, engineOf, startAgent, type World } from "./world.ts";

const lease = 5;
const flags = ["--lease", `${lease}`, "--log-level", "debug"];
const shop = "http://web.shop.berth.internal/";

/** Two teams, each with a host of its own and a token of its own, that both have a service web in a project shop. */
describe("names of two owners", () => {
  let world: World;
  let operator: Operator;
  let north: Part;
  let south: Part;
  /** Each host's present one. */
  const tokens: { file: string; id: string }[] = [];

  beforeAll(async () => {
    world = await createWorld({ hosts: 2, hasAgents: false });
    operator = operatorOf(world);
    const labels = composeLabels("shop", "web");
    await serve(engineOf(world, 0), "shop-web-1", { page: "north's shop", labels });
    await serve(engineOf(world, 1), "shop-web-1", { page: "south's shop", labels });
    await serve(engineOf(world, 1), "cafe");
    north = await agentFor(0, "north");
    await untilPage(world, shop, "north's shop");
    south = await agentFor(1, "south");
    await untilPage(world, "http://cafe.berth.internal/", "cafe");
  });
  afterAll(() => world?.close());

  it("belong to the first, and the second is told so everywhere, with its other names served", async () => {
    const log = await south.process.waitForLine(/does not grant web\.shop\.berth\.internal/);
    expect(log).toMatch(/north/);
    expect(await pagesOf(10)).toEqual(new Set(["north's shop"]));

    const problems = await operator.run("ls", "--problems");
    expect(problems.code).toBe(1);
    expect(problems.stdout).toMatch(/^south {2}web\.shop\.berth\.internal {2}held: .*north/);
    const names = await operator.run("names", "--waiting");
    expect(names.stdout).toMatch(/\nweb\.shop\.berth\.internal +north +north .* served +south \(south\)\n$/);
  });

  it("are not had by a container whose label says they are its own", async () => {
    await serve(engineOf(world, 1), "impostor", { labels: { "berth.name": "web.shop" } });
    await serve(engineOf(world, 1), "neighbour", { labels: { "berth.name": "shop-web-1.north.host" } });
    await untilPage(world, "http://impostor.south.host.berth.internal/", "impostor");
    // What nobody may declare the agent itself leaves out.
    await south.process.waitForLine(/neighbour: .*shop-web-1\.north\.host/);
    expect(await pagesOf(10)).toEqual(new Set(["north's shop"]));
    expect(pageOf(await world.fetch("http://shop-web-1.north.host.berth.internal/"))).toBe("north's shop");
    // They would wait for the name with the others.
    await engineOf(world, 1).docker("rm", "--force", "impostor", "neighbour");
    await until("the impostor gone", async () => !(await isAnswered(world, "impostor.south.host")));
  });

  it("are neither withdrawn nor taken by whoever has another owner's token", async () => {
    const { netns = "" } = world.hosts[1] ?? {};
    const { url, caFile } = world.resolver;
    const { file } = await operator.agentToken("south");
    const asked = ["hosts", "withdraw", "north", "--resolver", url, "--ca", caFile, "--token-file", file];
    expect(await runBerth(asked, { netns })).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/an admin's is needed/),
    });
    expect(await pagesOf(3)).toEqual(new Set(["north's shop"]));
  });

  it("go to the waiting host when the first withdraws, without a push", async () => {
    const pushes = pushesOf(south);
    await north.stop();
    const { netns } = placeOf(0);
    expect((await runBerth(["agent", "--withdraw", ...agentFlags(placeOf(0))], { netns })).code).toBe(0);
    await untilPage(world, shop, "south's shop");
    expect(pushesOf(south)).toBe(pushes);
    await south.process.waitForLine(/the resolver grants every name/);
    expect(await operator.run("ls", "--problems")).toMatchObject({ code: 0 });
  });

  it("stay there when the first comes back, until the second's lease is over", async () => {
    await north.start();
    await north.process.waitForLine(/does not grant web\.shop\.berth\.internal: .*south/);
    expect(await pagesOf(5)).toEqual(new Set(["south's shop"]));
    await south.kill9();
    await untilPage(world, shop, "north's shop");
    await south.start();
    await south.process.waitForLine(/does not grant web\.shop/);
  });

  it("are kept while the token changes, if the new one is in its file before the old one is revoked", async () => {
    const answers = answersDuring(world, "web.shop");
    const { pid } = north.process;
    const old = tokens[0]?.id ?? "";
    const { id } = await renewToken();
    expect((await operator.run("token", "revoke", old)).code).toBe(0);
    await until("the new token in use", async () => {
      const { hosts } = JSON.parse((await operator.run("hosts", "--json")).stdout) as {
        hosts: { hostLabel: string; tokenId: string }[];
      };
      return hosts.some(({ hostLabel, tokenId }) => hostLabel === "north" && tokenId === id);
    });
    expect((await answers.stop()).absent).toBe(0);
    expect(north.process.pid).toBe(pid);
    expect(await pagesOf(3)).toEqual(new Set(["north's shop"]));
  });

  it("go when the token is revoked: refused within a second, gone with the lease, and back with another", async () => {
    const seen = north.process.lines.length;
    expect((await operator.run("token", "revoke", tokens[0]?.id ?? "")).code).toBe(0);
    const revokedAt = performance.now();
    const since = () => north.process.lines.slice(seen);
    const told = () => since().find((line) => /revoked.*put a token.*into .*token/.test(line));
    await until("the agent to say what to do", told, { timeoutMs: 3000 });
    const toldMs = performance.now() - revokedAt;
    expect(since()).toContainEqual(expect.stringMatching(/closed with code 4401/));
    expect(await isAnswered(world, "shop-web-1.north.host")).toBe(true);
    await until("its names gone", async () => !(await isAnswered(world, "shop-web-1.north.host")));
    await untilPage(world, shop, "south's shop");
    console.log(
      `told after ${Math.round(toldMs)} ms, names gone after ${Math.round(performance.now() - revokedAt)} ms`,
    );

    await renewToken();
    await until("its names back", () => isAnswered(world, "shop-web-1.north.host"), { timeoutMs: 60_000 });
  });

  it("keep to the scope of a token, and the rest are told so", async () => {
    await serve(engineOf(world, 0), "till", { labels: composeLabels("shop", "till") });
    await serve(engineOf(world, 0), "kiosk");
    await serve(engineOf(world, 0), "robber", { labels: { "berth.name": "vault.bank" } });
    await untilPage(world, "http://kiosk.berth.internal/", "kiosk");
    await untilPage(world, "http://vault.bank.berth.internal/", "robber");
    await north.stop();
    await renewToken("--names", "*.shop", "--max-bindings", "20");
    await north.start();
    await north.process.waitForLine(/does not grant kiosk\.berth\.internal/);
    const { stdout } = await operator.run("ls", "--problems");
    expect(await isAnswered(world, "till.shop")).toBe(true);
    expect(await isAnswered(world, "kiosk")).toBe(false);
    expect(await isAnswered(world, "vault.bank"), "by its label").toBe(false);
    expect(stdout).toMatch(/^north {2}vault\.bank\.berth\.internal {2}not-allowed: /m);
    expect(stdout).toMatch(/^north {2}kiosk\.berth\.internal {2}not-allowed: .*\*\.shop/m);
  });

  it("are as many as the token allows, and others when room is made", async () => {
    await north.stop();
    await renewToken("--max-bindings", "1");
    await north.start();
    await north.process.waitForLine(/does not grant .*1/);
    const { stdout } = await operator.run("ls", "--problems");
    expect(stdout).toMatch(/^north {2}.* {2}over-limit: /m);
  });

  it("end with the token's time", async () => {
    await north.stop();
    await renewToken("--expires", "8s");
    await north.start();
    await until("its names", () => isAnswered(world, "till.shop"));
    await north.process.waitForLine(/expired.*put a token/, 30_000);
    await until("its names gone", async () => !(await isAnswered(world, "till.shop")));
  });

  it("and what was done to them is in the audit record", async () => {
    const { stdout } = await operator.run("audit", "--limit", "1000");
    for (const { id } of tokens) expect(stdout).toContain(id);
    expect(stdout).toMatch(/ token-revoke /);
  });

  function placeOf(host: number): AgentPlace {
    const { netns = "" } = world.hosts[host] ?? {};
    const socket = engineOf(world, host).socketPath;
    const resolver = { ...world.resolver, agentTokenFile: tokens[host]?.file ?? "" };
    return { netns, socket, dir: join(world.dir, `agent-${host}`), resolver };
  }

  async function agentFor(host: number, owner: string): Promise<Part> {
    tokens[host] = await operator.agentToken(owner);
    return startAgent(placeOf(host), [...flags, "--host-label", owner]);
  }

  /** Puts another token of the same owner into the place of the first host's. */
  async function renewToken(...scope: string[]): Promise<{ file: string; id: string }> {
    const made = await operator.agentToken("north", ...scope);
    tokens[0] = made;
    copyFileSync(made.file, join(placeOf(0).dir, "token"));
    return made;
  }

  async function pagesOf(count: number): Promise<Set<string | undefined>> {
    const pages = new Set<string | undefined>();
    for (let fetch = 0; fetch < count; fetch++) pages.add(pageOf(await world.fetch(shop)));
    return pages;
  }
});

function pushesOf(agent: Part): number {
  return agent.process.lines.filter((line) => /: pushed \d+ bindings/.test(line)).length;
}
