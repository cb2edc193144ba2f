import { BerthError } from "../shared/errors.ts";
import type { NameMachine } from "./dns-machine.ts";

/** One step of setting this machine's name resolution, or of taking it back. */
export type DnsChange =
  /** The whole file. `was` is what it has to hold before: undefined when it must not be there. */
  | { kind: "write"; path: string; was: string | undefined; text: string }
  | { kind: "delete"; path: string; was: string }
  /** `why` it may fail without harm; without one a failure ends it all. */
  | { kind: "run"; argv: string[]; mayFail?: string };

/** What will be done, as lines for people: of a file the lines that come and go. */
export function linesOfChange(change: DnsChange): string[] {
  if (change.kind === "run") return [`run ${change.argv.map(quoted).join(" ")}`];
  const after = change.kind === "write" ? change.text : "";
  const verb = change.kind === "delete" ? "delete" : change.was === undefined ? "write" : "change";
  const [old, fresh] = [linesIn(change.was ?? ""), linesIn(after)];
  const gone = old.filter((line) => !fresh.includes(line)).map((line) => `  - ${line}`);
  const come = fresh.filter((line) => !old.includes(line)).map((line) => `  + ${line}`);
  return [`${verb} ${change.path}`, ...gone, ...come];
}

/** Does them in order. Throws a BerthError that names the step which failed; what was done before it stays, for `berth dns remove` to undo. */
export async function applyChanges(changes: readonly DnsChange[], machine: NameMachine): Promise<void> {
  for (const change of changes) {
    if (change.kind === "run") await runStep(change, machine);
    else changeFile(change, machine);
  }
}

async function runStep({ argv, mayFail }: DnsChange & { kind: "run" }, machine: NameMachine): Promise<void> {
  const { code, output } = await machine.run(argv);
  if (code === 0 || mayFail !== undefined) return;
  const message = `${argv.join(" ")} failed (exit code ${code}): ${output || "it says nothing"}; berth dns remove takes back what was done so far`;
  throw new BerthError("cannot-set-dns", message, { who: argv[0] ?? "" });
}

function changeFile(change: Exclude<DnsChange, { kind: "run" }>, machine: NameMachine): void {
  const { path, was } = change;
  if (machine.read(path) !== was) {
    const message = `${path} was changed by somebody else just now; run the command again`;
    throw new BerthError("cannot-set-dns", message, { who: path, retryable: true });
  }
  if (change.kind === "delete") machine.delete(path);
  else machine.write(path, change.text);
}

function linesIn(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

function quoted(word: string): string {
  return /^[\w./:=@%+~-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
