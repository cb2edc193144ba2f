import { BerthError, describeFault } from "../../shared/errors.ts";
import type { TransparentContext } from "./tcp-clients.ts";
import {
  type RunningTransparent,
  startTransparent,
  type TransparentConfig,
  type TransparentStatus,
} from "./transparent.ts";

export interface KeptTransparent {
  /** Undefined while it does not run. */
  status(): TransparentStatus | undefined;
  close(): Promise<void>;
}

/** How long until it is tried again. */
const againMs = 30_000;

/**
 * The transparent mode, started again and again while something that may pass keeps it from starting: SOCKS clients are served meanwhile.
 * Throws the BerthError `bad-config` of settings that cannot be used.
 */
export async function keepTransparent(
  config: TransparentConfig,
  context: TransparentContext,
): Promise<KeptTransparent> {
  let timer: NodeJS.Timeout | undefined;
  let running: RunningTransparent | undefined;
  let isClosed = false;
  async function start(): Promise<void> {
    try {
      running = await startTransparent(config, context);
      if (isClosed) await running.close();
    } catch (fault) {
      if (!(fault instanceof BerthError) || fault.code === "bad-config") throw fault;
      context.log.error(`the transparent mode does not work, and is tried again: ${describeFault(fault)}`);
      timer = setTimeout(again, againMs).unref();
    }
  }
  function again(): void {
    if (isClosed) return;
    start().catch((fault: unknown) => context.log.error(`no transparent mode: ${describeFault(fault)}`));
  }
  await start();
  return {
    status: () => running?.status(),
    async close() {
      isClosed = true;
      clearTimeout(timer);
      await running?.close();
    },
  };
}
