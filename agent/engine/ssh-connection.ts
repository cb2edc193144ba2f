import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { Duplex } from "node:stream";

import type { EngineWay } from "./target.ts";

type SshWay = EngineWay & { kind: "ssh" };

/** What ssh says last is what went wrong; the rest of a long banner is not kept. */
const maxComplaint = 500;

/**
 * A connection to an engine through the system's ssh, so that known_hosts, ssh_config and key agents hold. ssh asks nobody anything: a
 * host it does not know is a fault. Destroying the stream ends ssh.
 */
export function connectOverSsh(way: SshWay): Duplex {
  return new SshConnection(spawn("ssh", sshArguments(way), { stdio: "pipe" }));
}

/** Behind `--` nothing is an option. A dead network is noticed within 45 s, where TCP alone would wait for ever. */
export function sshArguments({ user, host, port, socket }: SshWay): string[] {
  const settings = ["BatchMode=yes", "ConnectTimeout=8", "ServerAliveInterval=15", "ServerAliveCountMax=2"];
  return [
    "-T",
    ...settings.flatMap((setting) => ["-o", setting]),
    ...(user === undefined ? [] : ["-l", user]),
    ...(port === undefined ? [] : ["-p", String(port)]),
    "--",
    host,
    "docker",
    ...(socket === undefined ? [] : ["-H", `unix://${socket}`]),
    "system",
    "dial-stdio",
  ];
}

class SshConnection extends Duplex {
  readonly #child: ChildProcessWithoutNullStreams;
  #complaint = "";

  constructor(child: ChildProcessWithoutNullStreams) {
    super();
    this.#child = child;
    child.on("error", (cause) =>
      this.destroy(new SshFault("ssh cannot be started; install openssh-client", "ENOSSH", cause)),
    );
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#complaint = (this.#complaint + text).slice(-maxComplaint);
    });
    child.stdout.on("data", (bytes: Buffer) => {
      if (!this.push(bytes)) child.stdout.pause();
    });
    child.stdin.on("error", () => {
      // ssh has ended, and says below why.
    });
    // After the last of its output, where `exit` may come before.
    child.on("close", (code) => this.#end(code));
  }

  override _read(): void {
    this.#child.stdout.resume();
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: (fault?: Error | null) => void): void {
    // Its fault is told by `close`, in ssh's own words.
    this.#child.stdin.write(bytes, () => done());
  }

  override _final(done: () => void): void {
    this.#child.stdin.end(() => done());
  }

  override _destroy(fault: Error | null, done: (fault: Error | null) => void): void {
    this.#child.stdin.destroy();
    this.#child.kill();
    done(fault);
  }

  #end(code: number | null): void {
    if (this.destroyed) return;
    if (code === 0) this.push(null);
    else this.destroy(sshFault(this.#complaint.trim(), code));
  }
}

class SshFault extends Error {
  readonly code: string;

  constructor(message: string, code: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** Whether a machine or an engine is not there is all that is read from the words, which are OpenSSH's and Docker's. */
function sshFault(complaint: string, code: number | null): SshFault {
  const isGone = /connection refused|cannot connect to the docker daemon|docker\.sock: no such file/i.test(
    complaint,
  );
  return new SshFault(complaint || `ssh ended with ${code}`, isGone ? "ECONNREFUSED" : "ESSH");
}
