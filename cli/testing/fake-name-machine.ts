import type { NameMachine } from "../dns-machine.ts";

/** A machine of files in memory; what is run on it is written down. */
export class FakeNameMachine implements NameMachine {
  readonly files: Map<string, string>;
  readonly links = new Map<string, string>();
  /** Every command, and every file written or deleted, in order. */
  readonly done: string[] = [];
  /** What commands say, by how their line begins; others say nothing and end well. */
  readonly says = new Map<string, { code: number; output: string }>();

  constructor(files: Record<string, string> = {}) {
    this.files = new Map(Object.entries(files));
  }

  read(path: string): string | undefined {
    return this.files.get(this.realPath(path) ?? path);
  }

  linkTarget(path: string): string | undefined {
    return this.links.get(path);
  }

  realPath(path: string): string | undefined {
    const end = this.links.get(path) ?? path;
    return this.files.has(end) ? end : undefined;
  }

  exists(path: string): boolean {
    return [...this.files.keys(), ...this.links.keys()].some(
      (each) => each === path || each.startsWith(`${path}/`),
    );
  }

  write(path: string, text: string): void {
    this.done.push(`write ${path}`);
    this.files.set(path, text);
  }

  delete(path: string): void {
    this.done.push(`delete ${path}`);
    this.files.delete(path);
  }

  async run(argv: string[]): Promise<{ code: number; output: string }> {
    const line = argv.join(" ");
    this.done.push(line);
    const known = [...this.says].find(([start]) => line.startsWith(start));
    return known?.[1] ?? { code: 0, output: "" };
  }
}
