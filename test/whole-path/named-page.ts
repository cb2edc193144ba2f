import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { startProcess } from "../testbed/process.ts";
import { berth, Part } from "./parts.ts";
import { type ResolverPart, startNodeResolver } from "./resolver-part.ts";

const port = 8080;

/** A page on a machine of its own, which a resolver there leads to by `name` in berth.internal, on port 80. */
export async function startNamedPage(
  { netns, address, dir }: { netns: string; address: string; dir: string },
  name: string,
  page: string,
): Promise<ResolverPart> {
  const program = `require("node:http").createServer((_, response) => response.end(${JSON.stringify(page)}))
    .listen(${port}, "${address}", () => console.log("open"));`;
  await startProcess([process.execPath, "-e", program], { netns, name: "page" }).waitForLine(/open/);
  const services = join(dir, "services.d");
  mkdirSync(services);
  const lines = ["[[service]]", `name = "${name}"`, `port = ${port}`, "service-port = 80", 'check = "off"'];
  writeFileSync(join(services, "page.toml"), `${lines.join("\n")}\n`);
  const resolver = await startNodeResolver({ dir: join(dir, "resolver"), client: { netns, address } });
  const { url, caFile, agentTokenFile } = resolver;
  const access = ["--resolver", url, "--ca", caFile, "--token-file", agentTokenFile];
  const what = ["--engine", "none", "--services-dir", services, "--advertise", address];
  const own = ["--state-dir", join(dir, "agent"), "--status", "off"];
  const argv = berth("agent", ...access, ...what, ...own);
  await Part.start({ name: "agent", netns, argv, ready: /watches no engine/ });
  return resolver;
}
