import { setTimeout as sleep } from "node:timers/promises";
import type { World } from "./world.ts";

type Asking = Pick<World, "doh">;

/** Whether the resolver answers for the service's port 80 at this moment; rejects when it gives no answer at all. */
export async function isAnswered(world: Asking, name: string): Promise<boolean> {
  const { rcode, answer } = await world.doh.ask(`_80._tcp.${name}.berth.internal`, "SRV");
  if (rcode === "NOERROR" && answer.length > 0) return true;
  if (rcode === "NXDOMAIN") return false;
  throw new Error(`${name}: ${rcode} with ${answer.length} records`);
}

/** Asks again and again until stopped, and counts. A resolver that gives no answer counts as neither. */
export function answersDuring(
  world: Asking,
  name: string,
): { stop(): Promise<{ there: number; absent: number }> } {
  const counted = { there: 0, absent: 0 };
  let isOver = false;
  async function ask(): Promise<void> {
    while (!isOver) {
      const isThere = await isAnswered(world, name).catch(() => undefined);
      if (isThere !== undefined) counted[isThere ? "there" : "absent"]++;
      await sleep(50);
    }
  }
  const asking = ask();
  return {
    async stop() {
      isOver = true;
      await asking;
      return counted;
    },
  };
}
