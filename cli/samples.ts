import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";

import { BerthError } from "../shared/errors.ts";

/** One running container of the demo, and what its page says. */
export interface Sample {
  container: string;
  /** Relative to the zone. */
  name: string;
  page: string;
}

const image = "berth-demo";
const mark = "berth-demo";

const compose = (number: number) => ({
  "com.docker.compose.project": "shop",
  "com.docker.compose.service": "web",
  "com.docker.compose.container-number": String(number),
  "com.docker.compose.oneoff": "False",
});

const samples: (Sample & { labels: Record<string, string> })[] = [
  { container: "shop-web-1", name: "web.shop", page: "web.shop, replica 1", labels: compose(1) },
  { container: "shop-web-2", name: "web.shop", page: "web.shop, replica 2", labels: compose(2) },
  { container: "berth-hello", name: "berth-hello", page: "berth-hello, a plain container", labels: {} },
];

/** Two replicas of a Compose service and a plain container, each on an ephemeral port, on an image made of Debian's busybox. */
export class Samples {
  private readonly docker: Docker;

  constructor(socketPath: string) {
    this.docker = new Docker({ socketPath });
  }

  /** Throws a BerthError `no-samples` with the engine's own word. */
  async start(): Promise<Sample[]> {
    try {
      // An earlier demo that was killed could not remove its own.
      await this.removeContainers();
      await this.importImage();
      for (const { container, page, labels } of samples) await this.run(container, page, labels);
      return samples;
    } catch (cause) {
      throw new BerthError("no-samples", "the Docker engine could not run the sample services", { cause });
    }
  }

  async remove(): Promise<void> {
    await this.removeContainers();
    await this.docker
      .getImage(image)
      .remove()
      .catch(() => undefined);
  }

  private async removeContainers(): Promise<void> {
    const ours = await this.docker.listContainers({ all: true, filters: { label: [mark] } });
    for (const { Id } of ours) await this.docker.getContainer(Id).remove({ force: true });
  }

  /** There may be no registry to pull from; a root directory with one static binary is an image too. */
  private async importImage(): Promise<void> {
    const root = mkdtempSync(join(tmpdir(), "berth-demo-"));
    try {
      mkdirSync(join(root, "bin"));
      mkdirSync(join(root, "www"));
      cpSync("/bin/busybox", join(root, "bin", "busybox"));
      for (const applet of ["sh", "httpd"]) symlinkSync("busybox", join(root, "bin", applet));
      const tar = spawn("tar", ["-C", root, "-c", "."], { stdio: ["ignore", "pipe", "inherit"] });
      const options = { fromSrc: "-", repo: image, tag: "latest", changes: "EXPOSE 80" };
      const progress = await this.docker.importImage(tar.stdout, options);
      await new Promise<void>((resolve, reject) => {
        this.docker.modem.followProgress(progress, (fault) => (fault ? reject(fault) : resolve()));
      });
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  }

  private async run(name: string, page: string, labels: Record<string, string>): Promise<void> {
    const script = 'echo "$PAGE" >/www/index.html; exec httpd -f -p 80 -h /www';
    const container = await this.docker.createContainer({
      name,
      Image: image,
      Cmd: ["/bin/sh", "-c", script],
      Env: [`PAGE=${page}`],
      Labels: { ...labels, [mark]: "true" },
      ExposedPorts: { "80/tcp": {} },
      // No HostPort: the engine chooses, as it does for everybody who does not.
      HostConfig: { PortBindings: { "80/tcp": [{ HostPort: "" }] } },
    });
    await container.start();
  }
}
