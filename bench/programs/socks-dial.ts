import { connect, type Socket } from "node:net";

/** The target's port for each of its jobs. */
export const targetPorts = { greet: 9001, source: 9002, sink: 9003 };

/** Where to connect, and through what. `name` is asked of the proxy as it stands (RFC 1928, address type 3). */
export type Route =
  | { kind: "direct"; port: number }
  | { kind: "socks-address"; proxyPort: number; port: number }
  | { kind: "socks-name"; proxyPort: number; name: string; port: number };

/** Resolves when the target can be written to: after TCP's handshake, or after the proxy's reply. */
export async function dial(route: Route): Promise<Socket> {
  const port = route.kind === "direct" ? route.port : route.proxyPort;
  const socket = connect({
    host: "127.0.0.1",
    port,
    noDelay: true,
    allowHalfOpen: true,
    autoSelectFamily: false,
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  if (route.kind !== "direct") await handshake(socket, route);
  return socket;
}

/** RFC 1928: no authentication, CONNECT. Every step waits for the reply to the one before, as a plain client does. */
async function handshake(socket: Socket, route: Exclude<Route, { kind: "direct" }>): Promise<void> {
  socket.write(Buffer.from([5, 1, 0]));
  const method = await read(socket, 2);
  if (method[1] !== 0) throw new Error("the proxy wants authentication");
  const destination =
    route.kind === "socks-address"
      ? Buffer.from([1, 127, 0, 0, 1])
      : Buffer.concat([Buffer.from([3, route.name.length]), Buffer.from(route.name)]);
  socket.write(
    Buffer.concat([Buffer.from([5, 1, 0]), destination, Buffer.from([route.port >> 8, route.port & 255])]),
  );
  // The bound address is an IPv4 one here, so the reply has ten octets.
  const reply = await read(socket, 10);
  if (reply[1] !== 0) throw new Error(`the proxy refused with reply ${reply[1]}`);
}

/** Exactly `length` octets; what came with them stays in the socket. */
export function read(socket: Socket, length: number): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const end = (): void => reject(new Error("the connection ended early"));
  const take = (): void => {
    const bytes = socket.read(length) as Buffer | null;
    if (bytes === null) return;
    for (const event of ["end", "close"]) socket.off(event, end);
    socket.off("readable", take);
    socket.off("error", reject);
    resolve(bytes);
  };
  socket.on("readable", take);
  socket.once("end", end);
  socket.once("close", end);
  socket.once("error", reject);
  take();
  return promise;
}
