import { copyFileSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { curlDoh } from "../testbed/dns-clients.ts";
import { createHosts, type Hosts } from "../testbed/hosts.ts";
import { runCommand, startProcess } from "../testbed/process.ts";
import { type StartedProcess, stopAll } from "../testbed/started-process.ts";
import { makeTemporaryDir } from "../testbed/temporary-dir.ts";
import { until } from "../testbed/wait.ts";
import { composeLabels, serve } from "./pages.ts";
import { root } from "./parts.ts";

/** README's commands, in its order: each is run here as it stands there, but for the addresses and directories of the test. */
const readme = readFileSync(join(root, "README.md"), "utf8");
const commands = [...readme.matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap(([, block]) =>
  (block ?? "").trim().split("\n"),
);
const run = new Set<string>();

let machines: Hosts;
const dir = makeTemporaryDir("berth-readme-");
const resolverState = join(dir.path, "central");

beforeAll(async () => {
  machines = await createHosts(1);
});

afterAll(async () => {
  await stopAll();
  await machines?.close();
  dir.remove();
});

describe("README's commands", () => {
  test("berth demo runs until Ctrl-C", async () => {
    const demo = start("./berth demo", "--yes", "demo");
    await demo.waitForLine(/^http:\/\/web\.shop\.berth\.internal\/ {2}-> {2}web\.shop, replica 2/, 60_000);
    await demo.waitForLine(/until Ctrl-C/, 30_000);
    expect((await demo.stop("SIGINT")).code).toBe(0);
  });

  test("berth test is what CI runs", () => {
    const command = take("./berth test");
    expect(readFileSync(join(root, ".ci", "run"), "utf8")).toContain(`exec ${command}\n`);
  });

  test("curl, kdig, dig and berth ls find what berth up publishes", async () => {
    const host = machines.hosts[0];
    if (host === undefined) throw new Error("no host");
    await serve(host.engine, "shop-web-1", { page: "the shop", labels: composeLabels("shop", "web") });
    // README says it in a sentence, not in a block.
    const up = start("./berth up", "", "up", false);
    await up.waitForLine(/Ctrl-C ends it/, 60_000);
    const fetching = take("curl --socks5-hostname");
    const page = await until("the page", async () => {
      const { stdout } = await shell(`${fetching} --silent`);
      return stdout.includes("the shop") && stdout;
    });
    expect(page).toContain("the shop");
    expect((await shell(`${take("curl --proxy")} --silent`)).stdout).toContain("the shop");
    expect((await shell(take("kdig "))).stdout).toMatch(
      /_80\._tcp\.web\.shop\.berth\.internal\.\s+1\s+IN\s+SRV\s+0 1 \d+ /,
    );
    expect((await shell(take("dig "))).stdout).toMatch(
      /web\.shop\.berth\.internal\.\s+[0-5]\s+IN\s+A\s+127\.0\.0\.1/,
    );
    expect((await shell(take("./berth ls", "./berth ls"))).stdout).toContain(
      "web.shop.berth.internal  tcp/80  127.0.0.1:",
    );
    expect(await shell(take("./berth ls --problems"))).toMatchObject({ code: 0, stdout: "no problems\n" });
    expect(await shell(take("./berth status"))).toMatchObject({ code: 0 });
    const explained = await shell(take("./berth explain"));
    expect(explained.stdout).toMatch(
      /name web\.shop\.berth\.internal[\s\S]*80\/tcp of shop-web-1 \(by compose\)/,
    );
    expect((await up.stop("SIGINT")).code).toBe(0);
  });

  test("resolver, agent and proxy work on three machines", async () => {
    const client = machines.client.netns;
    const resolver = start("./berth resolver", "", "central", true, client);
    await resolver.waitForLine(/answers for/, 30_000);
    // "Give each container host two files from its state directory, and your own machine two."
    for (const file of ["tls/ca.pem", "agent.token", "reader.token"])
      copyFileSync(join(resolverState, "resolver", file), join(dir.path, basename(file)));
    start("./berth agent", "", "agent");
    const proxy = start("./berth proxy", "", "proxy", true, client);
    await proxy.waitForLine(/SOCKS5 at/, 30_000);
    const fetching = commands.find((command) => command.startsWith("curl --socks5-hostname")) ?? "";
    const page = await until("the page from another machine", async () => {
      const { stdout } = await runCommand(["sh", "-c", `${fetching} --silent`], { netns: client });
      return stdout.includes("the shop") && stdout;
    });
    expect(page).toContain("the shop");
  });

  test("an operator makes a token, sees names and deeds, and backs them up", async () => {
    const access = take("export BERTH_RESOLVER=");
    // On the resolver's machine.
    const operate = (command: string) =>
      runCommand(
        ["sh", "-c", `${access}; cd ${dir.path}; ${command.replace("./berth", join(root, "berth"))}`],
        {
          netns: machines.client.netns,
          env: environment("central"),
        },
      );
    expect(await operate(take("./berth token create"))).toMatchObject({ code: 0, stdout: "" });
    expect(readFileSync(join(dir.path, "team-a.token"), "utf8")).toMatch(/^berth_/);
    expect((await operate(take("./berth token list"))).stdout).toMatch(/ agent +team-a +names \*\.shop /);
    expect((await operate(take("./berth names"))).stdout).toMatch(/^web\.shop\.berth\.internal +operator /m);
    expect((await operate(take("./berth audit"))).stdout).toMatch(/ token-create .*team-a/);
    expect((await operate(take("./berth backup"))).code).toBe(0);
    const restored = await operate(`${take("./berth restore")} --yes`);
    expect(restored).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^restored; there are 1 tokens/),
    });
  });

  test("a name leads curl --doh-url to a page's address with the token in its path", async () => {
    expect(readme).toContain("https://HOST:8053/t/TOKEN/dns-query");
    const token = readFileSync(join(dir.path, "reader.token"), "utf8").trim();
    const dohUrl = `https://${machines.client.address}:8053/t/${token}/dns-query`;
    const port = await machines.hosts[0]?.engine.publishedPort("shop-web-1", "80/tcp");
    const url = `http://web.shop.berth.internal:${port}/`;
    const at = { url, dohUrl, caFile: join(dir.path, "ca.pem"), netns: machines.client.netns };
    expect((await curlDoh(at)).body).toContain("the shop");
  });

  test("are all run here", () => {
    expect(commands.filter((command) => !run.has(command))).toEqual([]);
    expect(commands.length).toBeGreaterThan(8);
  });
});

/** The command of README that starts so (or is exactly so), noted as run, and put into the test's places. */
function take(beginning: string, exactly?: string): string {
  const command = commands.find((each) =>
    exactly === undefined ? each.startsWith(beginning) : each === exactly,
  );
  if (command === undefined) throw new Error(`README has no command "${beginning}"`);
  run.add(command);
  return placed(command);
}

function placed(command: string): string {
  return command
    .replaceAll("192.0.2.10", machines.client.address)
    .replaceAll("/var/lib/berth", join(dir.path, "up"))
    .replace("--ca ca.pem", `--ca ${join(dir.path, "ca.pem")}`)
    .replace(/--token-file (\w+\.token)/, `--token-file ${dir.path}/$1`);
}

/** Starts a command that stays, beside the container host's engine unless told where. */
function start(
  beginning: string,
  more: string,
  state: string,
  isInReadme = true,
  netns = hostNetns(),
): StartedProcess {
  const command = isInReadme ? take(beginning) : beginning;
  const words = more === "" || command.includes(more) ? command : `${command} ${more}`;
  return startProcess(["sh", "-c", `exec ${words}`], {
    netns,
    cwd: root,
    env: environment(state),
    name: beginning,
  });
}

async function shell(command: string) {
  return runCommand(["sh", "-c", command], { netns: hostNetns(), cwd: root, env: environment("up") });
}

function environment(state: string): Record<string, string> {
  const socket = machines.hosts[0]?.engine.socketPath ?? "";
  return {
    STATE_DIRECTORY: state === "central" ? resolverState : join(dir.path, state),
    DOCKER_HOST: `unix://${socket}`,
  };
}

function hostNetns(): string {
  return machines.hosts[0]?.netns ?? "";
}
