import { createServer, type Socket } from "node:net";

import { takeOrders } from "./orders.ts";
import { targetPorts } from "./socks-dial.ts";

/** The server at the far end, one port per job. */

const orders = {
  async listen() {
    const jobs = { greet, source, sink };
    for (const [job, port] of Object.entries(targetPorts)) {
      const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
        socket.on("error", () => undefined);
        jobs[job as keyof typeof jobs](socket);
      });
      await new Promise<void>((resolve) =>
        server.listen({ port, host: "127.0.0.1", backlog: 1024 }, resolve),
      );
    }
  },
};

export type TargetOrders = typeof orders;
takeOrders(orders);

/** One byte, which proves that the connection reached this program, then the end when the client ends. */
function greet(socket: Socket): void {
  socket.write("!");
  socket.resume().once("end", () => socket.end());
}

/** As many bytes as the first line asks for. */
function source(socket: Socket): void {
  const block = Buffer.alloc(256 * 1024, "berth");
  socket.once("data", (line) => {
    let left = Number(line.toString());
    const write = (): void => {
      while (left > 0) {
        const size = Math.min(left, block.length);
        left -= size;
        if (!socket.write(size === block.length ? block : block.subarray(0, size))) break;
      }
      if (left === 0) socket.end();
      else socket.once("drain", write);
    };
    write();
  });
}

/** Says how many bytes came, after the last. */
function sink(socket: Socket): void {
  let bytes = 0;
  socket.on("data", (chunk) => {
    bytes += chunk.length;
  });
  socket.once("end", () => socket.end(String(bytes)));
}
