import { once } from "node:events";
import { createServer, type Socket } from "node:net";

import type { Listener, PortAt } from "./open-ports.ts";

export interface TcpPortPorts {
  /** Whether a client at this address is a program of this machine. */
  isLocal: (address: string) => boolean;
  /** Given every connection of one that is, before anything is read of it. */
  accept: (socket: Socket) => void;
  fault: (fault: Error) => void;
}

/** Listens there. Rejects as Node's listen does. */
export async function openTcpPort(at: PortAt, { isLocal, accept, fault }: TcpPortPorts): Promise<Listener> {
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true });
  const listening = once(server, "listening");
  server.listen({ host: at.address, port: at.port, exclusive: true });
  await listening;
  // Such as EMFILE on accepting: that client is lost, the next may not be.
  server.on("error", fault);
  server.on("connection", (socket) => {
    if (isLocal(socket.remoteAddress ?? "")) accept(socket);
    else socket.destroy();
  });
  return { close: () => void server.close() };
}
