import type { ListenAddress } from "./config.ts";
import { describeFault } from "./errors.ts";

/** What is needed of a server; those of node:http have it. */
export interface Listenable {
  readonly listening: boolean;
  listen(port: number, host: string, opened: () => void): unknown;
  on(event: "error", heard: (fault: Error) => void): unknown;
  once(event: "error", heard: (fault: Error) => void): unknown;
  off(event: "error", heard: (fault: Error) => void): unknown;
  close(closed?: () => void): unknown;
  closeAllConnections(): void;
}

export interface PatientListening {
  listen: ListenAddress;
  /** Milliseconds until a port that could not be had is tried again. */
  retryMs: number;
  /** Runs `run` once after `ms`, without keeping the process alive; the function returned calls it off. */
  after: (ms: number, run: () => void) => () => void;
  /** Told once it listens; `isLate` after a try that failed. */
  opened: (isLate: boolean) => void;
  /** Told the first time that it cannot. */
  failed: (fault: Error) => void;
}

/**
 * Has a server listen that only lets people look: a part nobody can look at still does its work, so a port that is taken is told once and
 * tried again. Resolves after the first try, to what stops it and ends every connection, and never rejects.
 */
export async function listenPatiently(
  server: Listenable,
  { listen, retryMs, after, opened, failed }: PatientListening,
): Promise<() => Promise<void>> {
  let cancelRetry = (): void => {};
  let [isLate, isClosed] = [false, false];

  async function open(): Promise<void> {
    const fault = await tryToListen(server, listen);
    if (isClosed) return void server.close();
    if (fault === undefined) return opened(isLate);
    if (!isLate) failed(fault);
    isLate = true;
    cancelRetry = after(retryMs, () => void open());
  }

  await open();
  return async function close() {
    isClosed = true;
    cancelRetry();
    if (!server.listening) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    server.close(resolve);
    server.closeAllConnections();
    await promise;
  };
}

/** Resolves to what stood in the way, or to undefined once it listens. */
function tryToListen(server: Listenable, { host, port }: ListenAddress): Promise<Error | undefined> {
  const { promise, resolve } = Promise.withResolvers<Error | undefined>();
  server.once("error", resolve);
  server.listen(port, host, () => {
    server.off("error", resolve);
    // Such as EMFILE on accepting: that client is lost. Unheard, the event would end the process.
    server.on("error", () => undefined);
    resolve(undefined);
  });
  return promise;
}

/** Why a server does not listen, and what to do; `flag` sets where it does. */
export function listenFaultText(where: string, fault: Error, flag: string): string {
  const mend = `choose another with ${flag} HOST:PORT, or none with ${flag} off`;
  const isTaken = "code" in fault && fault.code === "EADDRINUSE";
  if (isTaken) return `${where} is in use by another program; it is tried again; ${mend}`;
  return `cannot listen on ${where} (${describeFault(fault)}); ${mend}`;
}
