import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";

import { breakOff } from "./break-off.ts";

let server: Server;
let socket: Socket;
let peer: Socket;
beforeEach(async () => {
  server = createServer({ allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  socket = connect({ port: portOf(server), host: "127.0.0.1", allowHalfOpen: true });
  [[peer]] = (await Promise.all([once(server, "connection"), once(socket, "connect")])) as [
    [Socket],
    unknown,
  ];
});
afterEach(() => {
  for (const one of [socket, peer]) one.destroy();
  server.close();
});

test("is seen as a reset, whatever was still to be written", async () => {
  // More than the system takes for a reader that does not read.
  socket.write(Buffer.alloc(64 << 20));
  socket.end();
  breakOff(socket);
  await once(socket, "close");
  expect(await faultOf(peer)).toBe("ECONNRESET");
});

test.each(["in the same step", "a step later", "when it is done"])(
  "closes a connection whose end was begun before, %s",
  async (when) => {
    const closed = once(socket, "close");
    socket.end("all of it");
    if (when === "a step later") await Promise.resolve();
    if (when === "when it is done") await once(socket, "finish");
    breakOff(socket);
    await closed;
    // The other side has every byte of it that was not taken back by a reset, and is not left open.
    await faultOf(peer);
    expect(peer.closed).toBe(true);
  },
);

test("gives up a connection that is not there yet", async () => {
  const dialled = connect({ port: portOf(server), host: "127.0.0.1" });
  const events: string[] = [];
  dialled.on("connect", () => events.push("connect"));
  breakOff(dialled);
  await once(dialled, "close");
  expect(events).toEqual([]);
});

test("leaves what is closed as it is", async () => {
  socket.destroy();
  await once(socket, "close");
  breakOff(socket);
  expect(socket.errored).toBeNull();
});

function portOf(of: Server): number {
  return (of.address() as AddressInfo).port;
}

/** How the connection ends for somebody who reads it. */
async function faultOf(of: Socket): Promise<string | undefined> {
  let fault: NodeJS.ErrnoException | undefined;
  of.on("error", (error) => {
    fault = error;
  });
  of.once("end", () => of.end());
  of.resume();
  if (!of.closed) await new Promise((resolve) => of.once("close", resolve));
  return fault?.code;
}
