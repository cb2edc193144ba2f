import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/**
 * Keeps `server` at `most` connections by ending one of the old ones for a new one: the one that has asked nothing for longest, else the
 * oldest. To refuse the new one instead would let whoever holds that many keep everybody else out.
 */
export function boundConnections(server: Server, most: number): void {
  // In the order of their last request's end, or of their beginning.
  const quiet = new Set<Socket>();
  const asking = new Set<Socket>();

  server.on("connection", (socket: Socket) => {
    if (quiet.size + asking.size >= most) oldest(quiet, asking)?.destroy();
    quiet.add(socket);
    socket.once("close", () => {
      quiet.delete(socket);
      asking.delete(socket);
    });
  });
  server.on("request", ({ socket }: IncomingMessage, response: ServerResponse) => {
    quiet.delete(socket);
    asking.add(socket);
    response.once("close", () => {
      if (asking.delete(socket) && !socket.destroyed) quiet.add(socket);
    });
  });
}

function oldest(quiet: Set<Socket>, asking: Set<Socket>): Socket | undefined {
  const [socket] = quiet.size > 0 ? quiet : asking;
  // Its "close" comes later; until then it must not be taken for the oldest again.
  if (socket !== undefined && !quiet.delete(socket)) asking.delete(socket);
  return socket;
}
