import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../testbed/wait.ts";
import { pageOf } from "./pages.ts";
import type { World } from "./world.ts";

export type Hammer = {
  /** How often each name led to the page that bears its name. */
  right: Record<string, number>;
  /** Fetches that brought no page: the connection was refused or ended. */
  failed: number;
  /** Every page that came for another name. */
  wrong: string[];
  /** Waits until every name led to its page a few more times, or one to another's. */
  untilRightAgain(): Promise<void>;
  stop(): Promise<void>;
};

const pauseMs = 60;
/** Some 20 fetches a second for as long as an engine takes to restart, and an end should a test never call stop. */
const mostFetches = 2000;

/** Fetches every name through the proxy, again and again, until stopped; each name's page is expected to bear its name. */
export function hammer(world: World, names: string[]): Hammer {
  const right = Object.fromEntries(names.map((name) => [name, 0]));
  let isOver = false;
  const state: Hammer = {
    right,
    failed: 0,
    wrong: [],
    async untilRightAgain() {
      const before = { ...right };
      const isEnough = (name: string) => (right[name] ?? 0) >= (before[name] ?? 0) + 5;
      const isDecided = () => state.wrong.length > 0 || names.every(isEnough);
      await until("some right pages of each name", isDecided, { timeoutMs: 60_000 });
    },
    async stop() {
      isOver = true;
      await Promise.all(loops);
    },
  };
  async function fetchOver(name: string): Promise<void> {
    for (let fetches = 0; !isOver && fetches < mostFetches; fetches++) {
      const page = pageOf(await world.fetch(`http://${name}.berth.internal/`));
      if (page === undefined) state.failed++;
      else if (page === name) right[name] = (right[name] ?? 0) + 1;
      else state.wrong.push(`${name} led to: ${page}`);
      await sleep(pauseMs);
    }
  }
  const loops = names.map(fetchOver);
  return state;
}
