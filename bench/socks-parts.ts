import { displayName } from "../shared/name.ts";
import { createNetns, randomSuffix } from "../test/testbed/netns.ts";
import { makeTemporaryDir } from "../test/testbed/temporary-dir.ts";
import { resolverFiles, resolverUrl, startPart } from "./berth.ts";
import { type LineProgram, startLineProgram } from "./line-program.ts";
import { separateCores } from "./machine.ts";
import { nameAt, openRegistry, publishLoopback } from "./registry.ts";
import { startRivals } from "./socks-rivals.ts";

/** The target's port for each of its jobs; `programs/socks-load.py` says what they are. */
export const targetPorts = { greet: 9001, source: 9002, sink: 9003, silent: 9004 };

/** Where the load program connects, and through what. A name is asked of the proxy as it stands (RFC 1928, address type 3). */
export interface Route {
  port: number;
  proxy?: number;
  name?: string;
}

export interface SocksServer {
  name: string;
  port: number;
  pid: number;
}

export interface SocksParts {
  client: LineProgram;
  berth: SocksServer;
  /** Other people's, those that are installed. */
  rivals: SocksServer[];
  /** Why there are not more of them. */
  missing: string[];
  /** A name of the zone that leads to the target's `greet`, at service port 80. */
  publishedName: string;
}

const berthPort = 1080;

/** Everything in one network namespace without connection tracking: proxies on one core, all else on the other. */
export async function startSocksParts(later: (undo: () => unknown) => void): Promise<SocksParts> {
  const dir = makeTemporaryDir("berth-bench-");
  later(() => dir.remove());
  const netns = await createNetns(`berth-${randomSuffix()}`);
  later(() => netns.remove());
  const cores = separateCores();
  const beside = { netns: netns.name, core: cores?.load };
  const measured = { netns: netns.name, core: cores?.measured };
  const { database, caFile } = resolverFiles(dir.path);
  const store = openRegistry(database);
  await publishLoopback(store, 0, targetPorts.greet);
  store.close();
  const resolver = await startPart("resolver", { "state-dir": dir.path }, beside);
  later(() => resolver.stop());
  const flags = { listen: `127.0.0.1:${berthPort}`, resolver: resolverUrl, ca: caFile, page: "off" };
  const berth = await startPart("proxy", flags, measured);
  later(() => berth.stop());
  const { rivals, missing } = await startRivals({ netns: netns.name, core: cores?.measured, dir: dir.path });
  for (const { started } of rivals) later(() => started.stop());
  const [target, client] = [1, 2].map(() => startLineProgram("python3", "socks-load.py", beside));
  if (target === undefined || client === undefined) throw new Error("two programs were to be started");
  later(() => target.stop());
  later(() => client.stop());
  await target.ask("serve", targetPorts);
  return {
    client,
    berth: { name: "berth", port: berthPort, pid: berth.pid },
    rivals: rivals.map(({ name, port, started }) => ({ name, port, pid: started.pid })),
    missing,
    publishedName: displayName(nameAt(0)),
  };
}
