import { type Engine, type EngineOptions, startEngine } from "./engine.ts";
import { importSampleImage } from "./image.ts";
import { createNetns, type Netns, randomSuffix } from "./netns.ts";
import { mustRun } from "./process.ts";
import { assertCanRunEngines } from "./requirements.ts";

export type NetworkNode = { netns: string; address: string; address6: string };
export type ContainerHost = NetworkNode & { engine: Engine };

export type Hosts = {
  /** Host i has the addresses 10.77.0.(i+1) and fd77::(i+1), and the sample image. */
  hosts: ContainerHost[];
  /** A machine without an engine, on the same network: for proxies, browsers, resolvers. */
  client: NetworkNode;
  /** Pulls or plugs the network cable of hosts[index]; to the others it is silent, not gone. */
  cable: { cut(index: number): Promise<void>; join(index: number): Promise<void> };
  /** Part of every name made here: network namespaces are `berth-SUFFIX-…`. */
  suffix: string;
  close(): Promise<void>;
};

/**
 * `count` container hosts on one Ethernet, each with its own engine, plus a client:
 *
 *     client 10.77.0.250 ──┐
 *     host 0 10.77.0.1   ──┼── bridge in its own namespace; no namespace has a default route
 *     host 1 10.77.0.2   ──┘
 *
 * Every engine hands out port 32768 first, so a test that mixes up hosts gets another container's page.
 */
export async function createHosts(
  count: number,
  engineOptions: Pick<EngineOptions, "liveRestore" | "extraArgs"> = {},
): Promise<Hosts> {
  assertCanRunEngines();
  const network = new Network();
  const engines: Engine[] = [];
  const close = async () => {
    await allSettledOrThrow(engines.map((engine) => engine.stop())).finally(() => network.remove());
  };
  try {
    await network.createSwitch();
    const client = await network.attach("cli", 250);
    const addHost = async (index: number): Promise<ContainerHost> => {
      const node = await network.attach(`h${index}`, index + 1);
      const engine = await startEngine({ ...engineOptions, netns: node.netns, index: index + 1 });
      engines.push(engine);
      await importSampleImage(engine);
      return { ...node, engine };
    };
    const hosts = await allSettledOrThrow(Array.from({ length: count }, (_, index) => addHost(index)));
    const cable = {
      cut: (index: number) => network.setLink(`h${index}`, "down"),
      join: (index: number) => network.setLink(`h${index}`, "up"),
    };
    return { hosts, client, cable, suffix: network.suffix, close };
  } catch (error) {
    await close();
    throw error;
  }
}

class Network {
  readonly suffix = randomSuffix();
  #members: Netns[] = [];

  async createSwitch(): Promise<void> {
    await this.#createNetns("sw");
    await this.#ip("sw", "link", "add", "br0", "type", "bridge");
    await this.#ip("sw", "link", "set", "br0", "up");
  }

  async attach(role: string, number: number): Promise<NetworkNode> {
    const { name } = await this.#createNetns(role);
    const address = `10.77.0.${number}`;
    const address6 = `fd77::${number}`;
    const plug = this.#plug(role);
    await mustRun(
      `ip link add ${plug} netns ${this.#name("sw")} type veth peer name eth0 netns ${name}`.split(" "),
    );
    await this.#ip("sw", "link", "set", plug, "master", "br0", "up");
    await this.#ip(role, "addr", "add", `${address}/24`, "dev", "eth0");
    // nodad: the address is usable at once, not after a second of duplicate address detection.
    await this.#ip(role, "addr", "add", `${address6}/64`, "dev", "eth0", "nodad");
    await this.#ip(role, "link", "set", "eth0", "up");
    return { netns: name, address, address6 };
  }

  async setLink(role: string, state: "up" | "down"): Promise<void> {
    await this.#ip("sw", "link", "set", this.#plug(role), state);
  }

  async remove(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.remove()));
  }

  async #createNetns(role: string): Promise<Netns> {
    const netns = await createNetns(this.#name(role));
    this.#members.push(netns);
    return netns;
  }

  async #ip(role: string, ...args: string[]): Promise<void> {
    await mustRun(["ip", "-n", this.#name(role), ...args]);
  }

  #name(role: string): string {
    return `berth-${this.suffix}-${role}`;
  }

  // The kernel takes at most 15 characters.
  #plug(role: string): string {
    return `v-${this.suffix}-${role}`;
  }
}

// Unlike Promise.all it waits for the slow ones even when one failed: close() must find all there is to stop.
async function allSettledOrThrow<T>(promises: Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}
