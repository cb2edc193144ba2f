import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { StartedProcess } from "./started-process.ts";

export type LaunchOptions = {
  /** Added to this process's own environment. */
  env?: Record<string, string> | undefined;
  cwd?: string | undefined;
  /** Name of a network namespace (`ip netns`), or an absolute path such as /proc/PID/ns/net. */
  netns?: string | undefined;
};

export type CommandOptions = LaunchOptions & {
  input?: string | Uint8Array | undefined;
  timeoutMs?: number | undefined;
};

/** `code` is the exit status; 128 + n after a signal, as in a shell; 124 when the time ran out, as timeout(1). */
export type CommandResult = { code: number; stdout: string; stderr: string };

/** Runs a command to its end. A failing command is a result; only one that cannot be started throws. */
export async function runCommand(argv: string[], options: CommandOptions = {}): Promise<CommandResult> {
  const child = launch(argv, options);
  const command = new StartedProcess(child, argv.join(" "));
  // A command that never reads its input closes the pipe: its exit status tells the story, not our EPIPE.
  child.stdin?.on("error", () => {});
  child.stdin?.end(options.input ?? "");
  const output = collect(child);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    command.killGroup();
  }, options.timeoutMs ?? 60_000);
  const { code, signal } = await command.exited;
  // A child it left behind may hold the output open for good: what it printed by now is what we wanted.
  await Promise.race([command.outputClosed, sleep(1000, undefined, { ref: false })]);
  clearTimeout(timer);
  return { code: timedOut ? 124 : (code ?? 128 + signalNumber(signal)), ...output };
}

/** As `runCommand`, but a non-zero status throws with what the command wrote to stderr. Returns its stdout. */
export async function mustRun(argv: string[], options: CommandOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await runCommand(argv, options);
  if (code !== 0) throw new Error(`${argv.join(" ")}: status ${code}: ${stderr.trim() || stdout.trim()}`);
  return stdout;
}

/** Starts a command that goes on running. It is killed when this process ends, if nobody stopped it before. */
export function startProcess(
  argv: string[],
  options: LaunchOptions & { name?: string } = {},
): StartedProcess {
  const child = launch(argv, options);
  child.stdin?.end();
  return new StartedProcess(child, options.name ?? argv.join(" "));
}

/** Where the network namespace of that name can be entered. */
export function netnsPath(netns: string): string {
  return netns.startsWith("/") ? netns : `/run/netns/${netns}`;
}

function launch(argv: string[], options: LaunchOptions): ChildProcess {
  // Not `ip netns exec`: it mounts a fresh /sys, and dockerd then finds no cgroups. nsenter replaces itself by
  // the command, so the pid we hold is the command's own.
  const wrapped = options.netns ? ["nsenter", `--net=${netnsPath(options.netns)}`, ...argv] : argv;
  const [file = "", ...args] = wrapped;
  const child = spawn(file, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    // An own process group: Ctrl-C reaches the test run alone, which then ends the parts in order.
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
  });
  if (child.pid === undefined) {
    child.on("error", () => {});
    throw new Error(`Cannot start ${file}: not found on PATH, or not a program.`);
  }
  return child;
}

function collect(child: ChildProcess): { stdout: string; stderr: string } {
  const output = { stdout: "", stderr: "" };
  child.stdout?.on("data", (text: string) => {
    output.stdout += text;
  });
  child.stderr?.on("data", (text: string) => {
    output.stderr += text;
  });
  return output;
}

function signalNumber(signal: NodeJS.Signals | null): number {
  return signal ? constants.signals[signal] : 0;
}
