import { spawn } from "node:child_process";
import { join } from "node:path";
import type { Writable } from "node:stream";

/** What must not outlive the test run: an engine's or Podman's directory, a namespace's name, a directory, a process group. */
export type Leftover = { kind: "engine" | "podman" | "netns" | "dir" | "group"; id: string };

/**
 * Has `leftover` removed when this process ends without doing so itself, however it ends. Vitest kills its
 * workers with SIGKILL on Ctrl-C, so no handler in here would run: a second process waits for our end instead.
 * Returns a function that calls it off, for the orderly end.
 */
export function leaveToJanitor(leftover: Leftover): () => void {
  tell("add", leftover);
  return () => tell("forget", leftover);
}

let pipe: Writable | undefined;

function tell(verb: "add" | "forget", leftover: Leftover): void {
  pipe ??= startJanitor();
  pipe.write(`${JSON.stringify({ verb, ...leftover })}\n`);
}

// It sees our end as the end of its input. Detached, so that Ctrl-C does not reach it; unref'd, so that it
// never keeps us running.
function startJanitor(): Writable {
  const janitor = spawn(process.execPath, [join(import.meta.dirname, "janitor-main.ts")], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  janitor.unref();
  janitor.stdin.on("error", () => {});
  if ("unref" in janitor.stdin && typeof janitor.stdin.unref === "function") janitor.stdin.unref();
  return janitor.stdin;
}
