import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startProcess } from "../testbed/process.ts";
import { makeTemporaryDir } from "../testbed/temporary-dir.ts";
import { until } from "../testbed/wait.ts";
import { isAnswered } from "./answers.ts";
import { pageOf, untilPage } from "./pages.ts";
import { createWorld, engineOf, type World } from "./world.ts";

// What the agent does beyond reading published ports: relays, checks, draining, services in files. All as a client sees it.

const files = makeTemporaryDir("berth-services-");
const servicesDir = join(files.path, "services.d");
let world: World;

beforeAll(async () => {
  mkdirSync(servicesDir);
  world = await createWorld({
    agentFlags: ["--services-dir", servicesDir, "--relay-ports", "20000-20009", "--lease", "5"],
  });
});
afterAll(async () => {
  await world?.close();
  files.remove();
});

const run = (name: string, labels: Record<string, string>, command?: string[]) =>
  engineOf(world).runContainer({
    name,
    labels,
    env: { BERTH_PAGE: name },
    ...(command === undefined ? {} : { command }),
  });
const srvPort = async (name: string, servicePort = 80): Promise<number | undefined> => {
  const { answer } = await world.doh.ask(`_${servicePort}._tcp.${name}.berth.internal`, "SRV");
  return answer.flatMap(({ rdata }) => ("port" in rdata ? [rdata.port] : []))[0];
};

describe("a container that publishes no port", () => {
  it("is reached through the agent when it asks for that", async () => {
    await run("quiet", { "berth.publish": "true" });
    await untilPage(world, "http://quiet.berth.internal/", "quiet");
  });

  it("has the same port after its restart, though its own address is another", async () => {
    const engine = engineOf(world);
    const before = await srvPort("quiet");
    expect(before).toBeGreaterThanOrEqual(20_000);
    await engine.docker("stop", "quiet");
    await until("quiet is gone", async () => !(await isAnswered(world, "quiet")));
    // Takes the address that the other one had.
    await run("taker", {});
    await engine.docker("start", "quiet");
    await untilPage(world, "http://quiet.berth.internal/", "quiet");
    expect(await srvPort("quiet")).toBe(before);
  });

  it("is not there for others without the label", async () => {
    expect(await isAnswered(world, "taker")).toBe(false);
  });

  it("leaves with the agent, and what the engine published stays", async () => {
    const engine = engineOf(world);
    await engine.runContainer({ name: "own", publish: ["80"], env: { BERTH_PAGE: "own" } });
    await untilPage(world, "http://own.berth.internal/", "own");
    await world.agents[0]?.stop();
    expect(await isAnswered(world, "quiet")).toBe(false);
    expect(await isAnswered(world, "own")).toBe(true);
    await world.agents[0]?.start();
    await untilPage(world, "http://quiet.berth.internal/", "quiet");
  });
});

describe("a check", () => {
  // Docker's own proxy takes every connect to the published port, whoever listens in the container.
  const listens = "httpd -f -p 80 -h /www & while :; do sleep 1; done";
  const waits = `echo '<p>checked on x</p>' >/www/index.html; while ! [ -e /go ]; do sleep 0.1; done; ${listens}`;

  it("hides a container until its server answers", async () => {
    await engineOf(world).runContainer({
      ...{ name: "slow", publish: ["80"], labels: { "berth.check": "http:/" } },
      command: ["/bin/sh", "-c", waits],
    });
    await until("slow is declared", async () => {
      const { rcode } = await world.doh.ask("slow.berth.internal", "A");
      return rcode === "NOERROR";
    });
    expect(await isAnswered(world, "slow")).toBe(false);
    await engineOf(world).docker("exec", "slow", "touch", "/go");
    await untilPage(world, "http://slow.berth.internal/", "checked");
  });
});

describe("a container that is told to stop", () => {
  it("is gone from the answers while it still works, and other signals change nothing", async () => {
    const engine = engineOf(world);
    const stubborn =
      "trap '' TERM; trap ':' HUP; httpd -p 81 -h /www; httpd -f -p 80 -h /www & while :; do sleep 1 & wait $!; done";
    await engine.runContainer({
      ...{ name: "deaf", publish: ["80"], labels: { "berth.publish": "81" } },
      command: ["/bin/sh", "-c", stubborn],
    });
    await until("deaf is there", () => isAnswered(world, "deaf"));
    await until("deaf is relayed", async () => (await srvPort("deaf", 81)) !== undefined);
    const held = await heldConnection((await srvPort("deaf", 81)) ?? 0);
    await engine.docker("kill", "--signal", "HUP", "deaf");
    // The next start is heard after it.
    await engine.runContainer({ name: "marker", publish: ["80"] });
    await until("the marker", () => isAnswered(world, "marker"));
    expect(await isAnswered(world, "deaf")).toBe(true);
    const stopping = engine.docker("stop", "--time", "8", "deaf");
    await until("deaf is gone from the answers", async () => !(await isAnswered(world, "deaf")));
    expect(await engine.docker("inspect", "--format", "{{.State.Running}}", "deaf")).toBe("true");
    expect(await held.answer()).toMatch(/^HTTP\/1\.\d \d{3} /);
    await stopping;
    await engine.docker("start", "deaf");
    await until("deaf is back", () => isAnswered(world, "deaf"));
  });
});

/** A connection to a port of the host that says nothing until its answer is asked for. */
async function heldConnection(port: number): Promise<{ answer(): Promise<string> }> {
  const go = join(files.path, "go");
  const asks = `while ! [ -e ${go} ]; do sleep 0.05; done; printf 'GET / HTTP/1.0\\r\\n\\r\\n'`;
  const argv = ["sh", "-c", `(${asks}) | socat -d -d -t 5 - TCP4:${world.hosts[0]?.address}:${port}`];
  const client = startProcess(argv, { netns: world.client.netns });
  await client.waitForLine(/starting data transfer loop/);
  return {
    async answer() {
      writeFileSync(go, "");
      return client.waitForLine(/^HTTP/);
    },
  };
}

describe("a service that no engine knows", () => {
  const file = join(servicesDir, "site.toml");
  const write = (port: number): void =>
    writeFileSync(
      file,
      `[[service]]\nname = "site.lab"\nport = ${port}\nservice-port = 80\ninterval = 1\ntxt = { path = "/x" }\n`,
    );

  it("has a name while somebody listens there", async () => {
    const netns = world.hosts[0]?.netns ?? "";
    write(8088);
    const root = join(files.path, "www");
    mkdirSync(root);
    writeFileSync(join(root, "index.html"), "<p>a plain process on x</p>");
    const server = startProcess(["busybox", "httpd", "-f", "-p", "8088", "-h", root], { netns });
    await untilPage(world, "http://site.lab.berth.internal/", "a plain process");
    const { answer } = await world.doh.ask("site.lab.berth.internal", "TXT");
    expect(JSON.stringify(answer)).toContain("path=/x");
    await server.stop();
    await until("it is gone with its server", async () => !(await isAnswered(world, "site.lab")), {
      timeoutMs: 30_000,
    });
  });

  it("is gone with its file, and a wrong file is a problem that leaves the others alone", async () => {
    const netns = world.hosts[0]?.netns ?? "";
    const server = startProcess(["busybox", "httpd", "-f", "-p", "8089", "-h", join(files.path, "www")], {
      netns,
    });
    write(8089);
    writeFileSync(join(servicesDir, "bad.toml"), '[[service]]\nname = "x.lab"\nport = "eighty"\n');
    await untilPage(world, "http://site.lab.berth.internal/", "a plain process");
    expect(world.agents[0]?.process.lines.some((line) => /bad\.toml.*port/.test(line))).toBe(true);
    rmSync(file);
    await until("it is gone", async () => !(await isAnswered(world, "site.lab")), { timeoutMs: 30_000 });
    expect(pageOf(await world.fetch("http://own.berth.internal/"))).toBe("own");
    await server.stop();
  });
});
