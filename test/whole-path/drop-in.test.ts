import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { RRType } from "../../shared/dns/constants.ts";
import type { Rdata } from "../../shared/dns/message.ts";
import { until } from "../testbed/wait.ts";
import { isAnswered } from "./answers.ts";
import { backend, flagRows, foreignRows, ownRows } from "./drop-in-rows.ts";
import { pageOf } from "./pages.ts";
import type { Part } from "./parts.ts";
import { createWorld, engineOf, startAgent, type World } from "./world.ts";

// What users bring, and the agent's flags, on Docker itself: each row's `docker run` with what a DNS client is told. All rows' containers
// run at once, beside two agents on one engine, of which the second has the containers with the label set=b.

const rows = [...foreignRows, ...ownRows, ...flagRows];
const flags = {
  alpha: ["--except", "label:set=b", "--relay-ports", "20000-20009"],
  beta: [
    ...["--only", "label:set=b", "--except", "network:hidden", "--families", "nginx-proxy"],
    ...["--name-template", "{label.team}.{host}|x-{container}"],
    ...["--publish-unpublished", "--relay-ports", "21000-21009"],
  ],
};

describe("a container's labels and variables, and the agent's flags", () => {
  let world: World;
  let agents: Part[] = [];

  beforeAll(async () => {
    // Its own proxies cost a process for each port; Docker's rules in the kernel do the same.
    world = await createWorld({ hasAgents: false, engine: { extraArgs: ["--userland-proxy=false"] } });
    const engine = engineOf(world);
    await Promise.all(["aaa", "hidden"].map((name) => engine.docker("network", "create", name)));
    await engine.docker("network", "create", "--subnet", backend.subnet, backend.network);
    agents = await Promise.all([startAgentOf("alpha"), startAgentOf("beta")]);
    await Promise.all(rows.map(({ run }) => engine.runContainer(run)));
    await engine.docker("network", "connect", "--ip", backend.address, backend.network, "relayed");
    // Started last: what is not declared when these are never will be.
    const marks = ["mark", "mark2"].map((name, index) => ({ name, set: index === 0 ? "a" : "b" }));
    for (const { name, set } of marks)
      await engine.runContainer({
        name,
        labels: { set },
        publish: [name === "mark" ? "8198:80" : "8199:80"],
      });
    for (const name of ["mark", "x-mark2"])
      await until(`${name} is answered`, () => isAnswered(world, name), { timeoutMs: 30_000 });
  });
  afterAll(() => world?.close());

  test.each(rows)("$what", async ({ answers, problem, pages = [] }) => {
    await until("the answers", async () => {
      const told = await Promise.all(Object.keys(answers).map(async (asked) => [asked, await tell(asked)]));
      const wanted = Object.entries(answers).map(([asked, answer]) => [asked, `${answer}`]);
      expect(Object.fromEntries(told)).toEqual(Object.fromEntries(wanted));
      return true;
    });
    if (problem !== undefined)
      expect(
        agents.flatMap(({ process }) => process.lines).filter((line) => problem.test(line)),
      ).toHaveLength(1);
    for (const name of pages)
      expect(pageOf(await world.fetch(`http://${name}.berth.internal/`))).toBe(name.replace("x-", ""));
  });

  function startAgentOf(label: "alpha" | "beta"): Promise<Part> {
    const { resolver, hosts, dir } = world;
    const { netns = "", engine } = hosts[0] ?? {};
    const place = { netns, socket: engine?.socketPath ?? "", dir: join(dir, label), resolver };
    const own = label === "alpha" ? [] : ["--status", "off"];
    return startAgent(place, ["--host-label", label, ...flags[label], ...own]);
  }

  async function tell(asked: string): Promise<string> {
    const [port = "", name] = asked.split(" ");
    const [number, protocol = "tcp"] = port.split("/");
    const isText = port === "txt";
    const owner = isText ? name : `_${number}._${protocol}.${name}`;
    const { rcode, answer } = await world.doh.ask(`${owner}.berth.internal`, isText ? "TXT" : "SRV");
    if (answer.length === 0) return rcode === "NOERROR" ? "NODATA" : rcode;
    return answer
      .map(({ rdata }) => shown(rdata))
      .toSorted()
      .join(" and ");
  }
});

function shown(rdata: Rdata): string {
  if (rdata.type === RRType.TXT) return rdata.texts.toSorted().join(" ");
  if (rdata.type !== RRType.SRV) return `a record of type ${rdata.type}`;
  const { priority, weight, port } = rdata;
  const isUsual = priority === 0 && weight === 1;
  return `${isRelay(port) ? "relayed" : port}${isUsual ? "" : ` priority ${priority} weight ${weight}`}`;
}

function isRelay(port: number): boolean {
  return (port >= 20_000 && port <= 20_009) || (port >= 21_000 && port <= 21_009);
}
