import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

export interface EngineEvent {
  action: string;
  /** Milliseconds of the wall clock, with their fraction. */
  at: number;
}

export interface EngineEvents {
  /** The next event of that action, come already or not, each given out once. */
  next(action: string): Promise<EngineEvent>;
  close(): void;
}

const patienceMs = 20_000;

/** Follows `start` and `die` of an engine's containers, on a stream of our own beside the agent's. */
export async function followEvents(socketPath: string): Promise<EngineEvents> {
  const filters = encodeURIComponent(JSON.stringify({ type: ["container"], event: ["start", "die"] }));
  const asked = request({ socketPath, path: `/events?filters=${filters}`, agent: false });
  asked.end();
  const [stream] = (await once(asked, "response")) as [IncomingMessage];
  stream.setEncoding("utf8");
  const seen: EngineEvent[] = [];
  let rest = "";
  let more = Promise.withResolvers<void>();
  stream.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    seen.push(...lines.filter((line) => line.trim() !== "").map(eventFrom));
    more.resolve();
    more = Promise.withResolvers();
  });
  stream.on("error", () => undefined);
  return {
    async next(action) {
      for (const givesUpAt = Date.now() + patienceMs; Date.now() < givesUpAt; ) {
        const index = seen.findIndex((event) => event.action === action);
        const event = index < 0 ? undefined : seen.splice(index, 1)[0];
        if (event !== undefined) return event;
        await Promise.race([more.promise, sleep(100)]);
      }
      throw new Error(`the engine told of no ${action}`);
    },
    close: () => void stream.destroy(),
  };
}

/** When the engine itself first said of a container that it runs, or does not: milliseconds of the wall clock. */
export async function whenInspected(
  socketPath: string,
  container: string,
  running: boolean,
): Promise<number> {
  for (const givesUpAt = Date.now() + patienceMs; Date.now() < givesUpAt; ) {
    const { State } = (await get(socketPath, `/containers/${container}/json`)) as InspectedState;
    if (State.Running === running) return Date.now();
  }
  throw new Error(`the engine never said Running: ${running} of ${container}`);
}

interface InspectedState {
  State: { Running: boolean };
}

async function get(socketPath: string, path: string): Promise<unknown> {
  const asked = request({ socketPath, path, agent: false });
  asked.end();
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  return JSON.parse(Buffer.concat(await response.toArray()).toString());
}

/** Its time is taken from the text: as a number, nanoseconds since 1970 lose their last digits. */
export function eventFrom(line: string): EngineEvent {
  const { Action } = JSON.parse(line) as { Action: string };
  const digits = /"timeNano":(\d+)/.exec(line)?.[1];
  if (digits === undefined) throw new Error(`an event without its time: ${line}`);
  return { action: Action, at: Number(digits.slice(0, -6)) + Number(digits.slice(-6)) / 1e6 };
}
