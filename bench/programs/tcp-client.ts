import { once } from "node:events";
import type { Socket } from "node:net";

import { takeOrders } from "./orders.ts";
import { dial, type Route, read } from "./socks-dial.ts";

const orders = {
  /** Makes `count` connections, so many at a time; each counts when the target's first byte is here, and ends in order. */
  async connects({ route, count, atOnce }: { route: Route; count: number; atOnce: number }): Promise<number> {
    let left = count;
    const lane = async (): Promise<void> => {
      while (left-- > 0) {
        const socket = await dial(route);
        const [first] = await read(socket, 1);
        if (first !== 33) throw new Error(`the target says ${first}`);
        await endInOrder(socket);
      }
    };
    const startedAt = performance.now();
    await Promise.all(Array.from({ length: atOnce }, lane));
    return count / ((performance.now() - startedAt) / 1000);
  },

  /** Seconds from the established connection to the last of `bytes` received here. */
  async down({ route, bytes }: { route: Route; bytes: number }): Promise<number> {
    const socket = await dial(route);
    const startedAt = performance.now();
    socket.write(String(bytes));
    let received = 0;
    socket.on("data", (chunk: Buffer) => {
      received += chunk.length;
    });
    await once(socket, "end");
    const seconds = (performance.now() - startedAt) / 1000;
    await endInOrder(socket);
    if (received !== bytes) throw new Error(`${received} of ${bytes} bytes came`);
    return seconds;
  },

  /** Seconds until the target has said that it has all of `bytes`. */
  async up({ route, bytes }: { route: Route; bytes: number }): Promise<number> {
    const socket = await dial(route);
    const block = Buffer.alloc(256 * 1024, "berth");
    const startedAt = performance.now();
    for (let sent = 0; sent < bytes; sent += block.length) {
      const size = Math.min(block.length, bytes - sent);
      if (!socket.write(size === block.length ? block : block.subarray(0, size))) await once(socket, "drain");
    }
    socket.end();
    const told: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => told.push(chunk));
    await once(socket, "end");
    const seconds = (performance.now() - startedAt) / 1000;
    const arrived = Buffer.concat(told).toString();
    if (arrived !== String(bytes)) throw new Error(`the target has ${arrived} of ${bytes} bytes`);
    return seconds;
  },
};

export type ClientOrders = typeof orders;
takeOrders(orders);

async function endInOrder(socket: Socket): Promise<void> {
  const closed = socket.closed ? undefined : once(socket, "close");
  socket.end();
  socket.resume();
  await closed;
}
