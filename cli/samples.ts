import { spawn } from "node:child_process";
import { cpSync, mkdirSync, symlinkSync } from "node:fs";
import { Agent } from "node:http";
import { join } from "node:path";
import Docker from "dockerode";

import { BerthError } from "../shared/errors.ts";
import { isEnded, ownRunId } from "./run-id.ts";
import { makeTemporaryDirectory } from "./temporary-directory.ts";

/** One running container of the demo, and what its page says. */
export interface Sample {
  container: string;
  /** Relative to the zone. */
  name: string;
  page: string;
}

interface SampleContainer extends Sample {
  labels: Record<string, string>;
}

const imageName = "berth-demo";
/** The label of everything a demo makes; its value is the run's id. */
const mark = "berth-demo";
const composeProject = "com.docker.compose.project";
/** A container runs some moments before its server answers. */
const untilItServes = { "berth.check": "http:/" };

/** Two replicas of a Compose service and a plain container. `suffix` keeps them apart from what already has these names. */
export function sampleContainers(suffix: string): SampleContainer[] {
  const project = `shop${suffix}`;
  const hello = `berth-hello${suffix}`;
  const replica = (number: number): SampleContainer => ({
    container: `${project}-web-${number}`,
    name: `web.${project}`,
    page: `web.${project}, replica ${number}`,
    labels: {
      [composeProject]: project,
      "com.docker.compose.service": "web",
      "com.docker.compose.container-number": String(number),
      "com.docker.compose.oneoff": "False",
      ...untilItServes,
    },
  });
  return [
    replica(1),
    replica(2),
    { container: hello, name: hello, page: `${hello}, a plain container`, labels: untilItServes },
  ];
}

/**
 * The sample services on one engine, each on an ephemeral port, on an image made of Debian's busybox. Others' containers are never touched,
 * nor joined: a project called shop that is there already must not get our replicas behind its names.
 */
export class Samples {
  private readonly docker: Docker;
  private readonly runId = ownRunId();

  constructor(socketPath: string) {
    this.docker = connectDocker(socketPath);
  }

  /** Throws a BerthError `no-samples` with the engine's own word, and the interruption's own. */
  async start(interrupted: AbortSignal): Promise<Sample[]> {
    try {
      // An earlier demo that was killed could not remove its own.
      await this.removeThose(isEnded);
      await this.importImage();
      const suffix = (await this.areNamesFree()) ? "" : `-${process.pid}`;
      const samples = sampleContainers(suffix);
      for (const sample of samples) {
        interrupted.throwIfAborted();
        await this.run(sample);
      }
      return samples;
    } catch (cause) {
      interrupted.throwIfAborted();
      throw new BerthError("no-samples", "the Docker engine could not run the sample services", { cause });
    }
  }

  /** An engine that has ended meanwhile took its containers with it, or keeps them for the next demo to clear. */
  async remove(): Promise<void> {
    await this.removeThose((runId) => runId === this.runId).catch((fault: NodeJS.ErrnoException) => {
      if (fault.code !== "ENOENT" && fault.code !== "ECONNREFUSED") throw fault;
    });
  }

  private async areNamesFree(): Promise<boolean> {
    const samples = sampleContainers("");
    const names = new Set(samples.map(({ container }) => `/${container}`));
    const projects = new Set(samples.flatMap(({ labels }) => labels[composeProject] ?? []));
    const there = await this.docker.listContainers({ all: true });
    return !there.some(
      ({ Names, Labels }) =>
        Names.some((name) => names.has(name)) || projects.has(Labels[composeProject] ?? ""),
    );
  }

  /** Containers by the label's value, images by the tag: both are the run's id. */
  private async removeThose(isToGo: (runId: string) => boolean): Promise<void> {
    const containers = await this.docker.listContainers({ all: true, filters: { label: [mark] } });
    for (const { Id, Labels } of containers) {
      if (isToGo(Labels[mark] ?? ""))
        await ignoringGone(this.docker.getContainer(Id).remove({ force: true }));
    }
    const images = await this.docker.listImages({ filters: { reference: [imageName] } });
    for (const tag of images.flatMap(({ RepoTags }) => RepoTags ?? [])) {
      const [name, runId = ""] = tag.split(":");
      if (name === imageName && isToGo(runId)) await ignoringGone(this.docker.getImage(tag).remove());
    }
  }

  /** There may be no registry to pull from; a root directory with one static binary is an image too. */
  private async importImage(): Promise<void> {
    const root = makeTemporaryDirectory("berth-demo-");
    try {
      mkdirSync(join(root.path, "bin"));
      mkdirSync(join(root.path, "www"));
      cpSync("/bin/busybox", join(root.path, "bin", "busybox"));
      for (const applet of ["sh", "httpd"]) symlinkSync("busybox", join(root.path, "bin", applet));
      const tar = spawn("tar", ["-C", root.path, "-c", "."], { stdio: ["ignore", "pipe", "inherit"] });
      const options = { fromSrc: "-", repo: imageName, tag: this.runId, changes: "EXPOSE 80" };
      const progress = await this.docker.importImage(tar.stdout, options);
      await new Promise<void>((resolve, reject) => {
        this.docker.modem.followProgress(progress, (fault) => (fault ? reject(fault) : resolve()));
      });
    } finally {
      root.remove();
    }
  }

  private async run({ container: name, page, labels }: SampleContainer): Promise<void> {
    const script = 'echo "$PAGE" >/www/index.html; exec httpd -f -p 80 -h /www';
    const container = await this.docker.createContainer({
      name,
      Image: `${imageName}:${this.runId}`,
      Cmd: ["/bin/sh", "-c", script],
      Env: [`PAGE=${page}`],
      Labels: { ...labels, [mark]: this.runId },
      ExposedPorts: { "80/tcp": {} },
      // No HostPort: the engine chooses, as it does for everybody who does not.
      HostConfig: { PortBindings: { "80/tcp": [{ HostPort: "" }] } },
    });
    await container.start();
  }
}

/** docker-modem takes what is not given here from DOCKER_* in the environment, where a host would win over the socket. */
function connectDocker(socketPath: string): Docker {
  const given = { socketPath, protocol: "http" as const, agent: new Agent({ keepAlive: false }) };
  const notGiven = { host: undefined, port: undefined, timeout: undefined };
  try {
    return new Docker({ ...given, ...notGiven });
  } catch (cause) {
    const message = "the DOCKER_* variables of the environment cannot be used; unset them";
    throw new BerthError("bad-config", message, { who: "DOCKER_HOST", cause });
  }
}

/** Another demo may be clearing away the same remains. */
async function ignoringGone(removal: Promise<unknown>): Promise<void> {
  await removal.catch((fault: unknown) => {
    const status = fault instanceof Error && "statusCode" in fault ? fault.statusCode : undefined;
    // 409: its removal is under way.
    if (status !== 404 && status !== 409) throw fault;
  });
}
