import { spawn } from "node:child_process";
import { once } from "node:events";

/** What systemd is told about this process (sd_notify(3)). */
export interface ServiceManager {
  /** Assignments such as READY=1, together and after all earlier ones. Never throws; a systemd that cannot be told ends nothing. */
  tell(...assignments: string[]): Promise<void>;
  /** systemd ends a process that does not say WATCHDOG=1 within this time. Undefined when it asked for none. */
  watchdogMs: number | undefined;
}

/** systemd-notify waits until systemd took the message; one that hangs must not hold up the ones after it. */
const tellLimitMs = 5000;

/**
 * The systemd that started this process as a service of Type=notify; one that hears nothing otherwise. What it gave in `env` is taken out:
 * a child that spoke in its own name would be believed.
 */
export function serviceManager(
  env: NodeJS.ProcessEnv,
  pid: number,
  warn: (message: string) => void,
): ServiceManager {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: limit, WATCHDOG_PID: watched } = env;
  for (const name of ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]) delete env[name];
  if (!socket) return { tell: async () => {}, watchdogMs: undefined };
  const isWatched = watched === undefined || Number(watched) === pid;
  const notifier = new Notifier(socket, env.PATH, warn);
  return {
    tell: (...assignments) => notifier.tell(assignments),
    watchdogMs: isWatched && Number(limit) > 0 ? Number(limit) / 1000 : undefined,
  };
}

/** Its own program, because Node has no datagram sockets of the unix family. The unit needs NotifyAccess=all for that. */
class Notifier {
  readonly #env: NodeJS.ProcessEnv;
  readonly #warn: (message: string) => void;
  #last: Promise<void> = Promise.resolve();
  #isSilent = false;

  constructor(socket: string, path: string | undefined, warn: (message: string) => void) {
    this.#env = { NOTIFY_SOCKET: socket, ...(path === undefined ? {} : { PATH: path }) };
    this.#warn = warn;
  }

  tell(assignments: string[]): Promise<void> {
    this.#last = this.#last.then(() => this.#run(assignments));
    return this.#last;
  }

  /** Assignments rather than options: systemd 252 has --ready but neither --reloading nor --stopping. */
  async #run(assignments: string[]): Promise<void> {
    try {
      const signal = AbortSignal.timeout(tellLimitMs);
      const child = spawn("systemd-notify", assignments, { env: this.#env, stdio: "ignore", signal });
      const [code] = await once(child, "exit");
      if (code !== 0) this.#complain(`ended with status ${code}`);
    } catch (fault) {
      this.#complain(fault instanceof Error ? fault.message : String(fault));
    }
  }

  /** Once: the watchdog would repeat it for ever. */
  #complain(what: string): void {
    if (this.#isSilent) return;
    this.#isSilent = true;
    this.#warn(`systemd cannot be told how this service is: systemd-notify: ${what}`);
  }
}
