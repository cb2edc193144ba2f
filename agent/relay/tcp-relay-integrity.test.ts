import { createHash, randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";

import { freePort } from "../../shared/testing/free-port.ts";
import { RelayStand } from "../testing/relay-stand.ts";
import type { OpenRelay } from "./open-relay.ts";
import { openTcpRelay } from "./tcp-relay.ts";

const connections = 8;
/** More than the kernel's buffers on the way hold, so that the relay has to wait for its readers. */
const bytesEachWay = 16 << 20;
const stand = new RelayStand();
let relay: OpenRelay;

afterEach(async () => {
  await relay.close();
  await stand.close();
});

/** What one side of one connection sent, and what the other side got of it. */
interface Sums {
  sent: string;
  got: string;
}

test("eight connections at once, random bytes both ways, slow readers, each end half-closed: all arrives whole", async () => {
  const served = new Map<number, Promise<Sums>>();
  const serverPort = await stand.serve((socket) => {
    // One octet first, which says what connection it is.
    socket.once("readable", () => {
      const index = (socket.read(1) as Buffer)[0] ?? 0;
      served.set(index, exchange(socket, index % 2 === 1));
    });
  });
  const port = await freePort();
  relay = await openTcpRelay(stand.options(port, serverPort));
  const clients = await Promise.all(
    Array.from({ length: connections }, async (_, index) => {
      const socket = stand.connect(port);
      socket.write(Buffer.of(index));
      return exchange(socket, index % 2 === 0);
    }),
  );
  expect(served.size).toBe(connections);
  for (const [index, client] of clients.entries()) {
    const server = await served.get(index);
    expect(server?.got).toBe(client.sent);
    expect(client.got).toBe(server?.sent);
  }
  const bytesOut = connections * bytesEachWay;
  const bytesIn = bytesOut + connections;
  expect(stand.counters).toMatchObject({ bytesIn, bytesOut, connectionsTotal: connections });
  await expect.poll(() => stand.counters.connectionsOpen).toBe(0);
}, 60_000);

/** Sends and reads at once. The one that is not first ends its direction only when the other's end has come through. */
async function exchange(socket: Socket, endsFirst: boolean): Promise<Sums> {
  const got = slowSumOf(socket);
  const hash = createHash("sha256");
  for (let left = bytesEachWay; left > 0; ) {
    const chunk = randomBytes(Math.min(left, 1 + Math.floor(Math.random() * 200_000)));
    left -= chunk.length;
    hash.update(chunk);
    if (!socket.write(chunk)) await new Promise((drained) => socket.once("drain", drained));
    // The last piece comes after the other direction has ended.
    if (!endsFirst && left < 300_000) {
      const last = randomBytes(left);
      await got;
      socket.write(last);
      hash.update(last);
      left = 0;
    }
  }
  socket.end();
  return { sent: hash.digest("hex"), got: await got };
}

async function slowSumOf(socket: Socket): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of socket) {
    hash.update(chunk);
    await sleep(1);
  }
  return hash.digest("hex");
}
