import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { EngineCli } from "./engine-cli.ts";
import { mustRun } from "./process.ts";
import { programPath, whyNoEngines } from "./requirements.ts";

/** Why docker-compose cannot be run here, or undefined. */
export function whyNoCompose(): string | undefined {
  if (programPath("docker-compose") !== undefined) return whyNoEngines();
  return "The testbed needs docker-compose: on Debian, apt-get install docker-compose.";
}

/** One Compose project on one engine. */
export class ComposeProject {
  readonly #engine: EngineCli;
  readonly #project: string;
  readonly #file: string;

  /** `text` is the Compose file. */
  constructor(engine: EngineCli, project: string, text: string) {
    this.#engine = engine;
    this.#project = project;
    this.#file = join(engine.dir, `${project}.yml`);
    writeFileSync(this.#file, text);
  }

  /** Runs `docker-compose ...args` to its end. Rejects with what it wrote when it fails. */
  async compose(...args: string[]): Promise<string> {
    const { dir, socketPath } = this.#engine;
    // The developer's own project and context stay out of it.
    const env = { DOCKER_HOST: `unix://${socketPath}`, DOCKER_CONFIG: join(dir, "cli"), DOCKER_CONTEXT: "" };
    const named = ["--project-name", this.#project, "--file", this.#file];
    return mustRun(["docker-compose", ...named, ...args], { env, cwd: dir });
  }
}
