import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { Agent, request } from "node:https";

import { changesPath, eventStreamType } from "../../shared/changes.ts";
import { takeOrders } from "./orders.ts";

/** Readers of the change feed, each over a connection of its own. */

interface Reader {
  response: IncomingMessage;
  /** Events after the snapshot. */
  changes: number;
  /** The id of the last event. */
  last: string;
}

let readers: Reader[] = [];

const orders = {
  /** Resolves when every reader has its snapshot. */
  async follow({
    origin,
    caFile,
    tokenFile,
    count,
  }: {
    origin: string;
    caFile: string;
    tokenFile: string;
    count: number;
  }): Promise<void> {
    const agent = new Agent({ ca: readFileSync(caFile) });
    const headers = {
      authorization: `Bearer ${readFileSync(tokenFile, "utf8").trim()}`,
      accept: eventStreamType,
    };
    const read = async (): Promise<Reader> => {
      const asked = request(new URL(changesPath, origin), { headers, agent });
      asked.end();
      const [response] = (await once(asked, "response")) as [IncomingMessage];
      if (response.statusCode !== 200) throw new Error(`the feed said HTTP ${response.statusCode}`);
      return startReading(response);
    };
    readers = await Promise.all(Array.from({ length: count }, read));
  },

  /** What they heard since their snapshots. */
  heard() {
    const changes = readers.map((reader) => reader.changes);
    const ids = new Set(readers.map((reader) => reader.last));
    return {
      events: changes.reduce((sum, one) => sum + one, 0),
      fewest: Math.min(...changes),
      isSame: ids.size === 1,
    };
  },

  leave(): void {
    for (const { response } of readers.splice(0)) response.destroy();
  },
};

export type ReaderOrders = typeof orders;
takeOrders(orders);

async function startReading(response: IncomingMessage): Promise<Reader> {
  const reader: Reader = { response, changes: -1, last: "" };
  const snapshot = Promise.withResolvers<void>();
  let rest = "";
  response.setEncoding("latin1");
  response.on("error", () => undefined);
  response.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    // Of a long line of data the beginning says enough: put together, a snapshot would cost the readers more than the resolver.
    rest = lines.pop()?.slice(0, 200) ?? "";
    for (const id of lines.flatMap((line) => /^id: (.+)$/.exec(line)?.[1] ?? [])) {
      reader.last = id;
      reader.changes++;
      snapshot.resolve();
    }
  });
  response.once("close", () => snapshot.reject(new Error("the feed ended before its snapshot")));
  await snapshot.promise;
  return reader;
}
