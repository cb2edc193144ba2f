import { join } from "node:path";
import { type CommandOptions, mustRun } from "./process.ts";

export type ContainerOptions = {
  /** Two characters or more: Docker refuses shorter ones. */
  name: string;
  image?: string;
  /** As after `docker run -p`: "80", "8080:80", "127.0.0.1::80", "53/udp". */
  publish?: string[];
  labels?: Record<string, string>;
  env?: Record<string, string>;
  network?: string;
  restart?: string;
  /** More of docker's own options, such as `--health-cmd`. */
  flags?: string[];
  command?: string[];
};

/** What the docker program does on one engine, be it Docker's or Podman's, and nothing on any other. */
export class EngineCli {
  readonly dir: string;
  readonly socketPath: string;

  constructor(dir: string) {
    this.dir = dir;
    this.socketPath = join(dir, "sock");
  }

  /** Runs `docker ...args` on this engine; its stdout, or an error with its stderr. */
  async docker(...args: string[]): Promise<string> {
    return (await this.run(args)).trimEnd();
  }

  /** `docker run -d`; returns the container's full id. */
  async runContainer(options: ContainerOptions): Promise<string> {
    const { name, image = "berth-sample", publish = [], labels = {}, env = {}, network, restart } = options;
    return this.docker(
      ...["run", "--detach", "--name", name],
      ...publish.flatMap((port) => ["--publish", port]),
      ...Object.entries(labels).flatMap(([key, value]) => ["--label", `${key}=${value}`]),
      ...Object.entries(env).flatMap(([key, value]) => ["--env", `${key}=${value}`]),
      ...(network ? ["--network", network] : []),
      ...(restart ? ["--restart", restart] : []),
      ...(options.flags ?? []),
      image,
      ...(options.command ?? []),
    );
  }

  /** The host port that leads to `containerPort` ("80/tcp") now: on Docker it changes with every start of the container. */
  async publishedPort(container: string, containerPort: string, family: 4 | 6 = 4): Promise<number> {
    const [inspected] = JSON.parse(await this.docker("inspect", container)) as Inspected[];
    // An exited container can still list its old ports, by then another container's.
    const ports = inspected?.State.Running ? inspected.NetworkSettings.Ports : {};
    const entries = ports[containerPort] ?? [];
    // Podman's one entry has no address, and stands for IPv4.
    const entry = entries.find(({ HostIp }) => HostIp.includes(":") === (family === 6));
    if (!entry)
      throw new Error(`${container}: no ${containerPort} on IPv${family} in ${JSON.stringify(ports)}`);
    return Number(entry.HostPort);
  }

  protected run(args: string[], options: CommandOptions = {}): Promise<string> {
    // The developer's own contexts, plugins and credential programs stay out of it.
    const env = { DOCKER_CONFIG: join(this.dir, "cli"), DOCKER_HOST: "", DOCKER_CONTEXT: "" };
    return mustRun(["docker", "--host", `unix://${this.socketPath}`, ...args], { env, ...options });
  }
}

type Inspected = {
  State: { Running: boolean };
  NetworkSettings: { Ports: Record<string, { HostIp: string; HostPort: string }[] | null> };
};
