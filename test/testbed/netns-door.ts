import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { startProcess } from "./process.ts";
import { makeTemporaryDir } from "./temporary-dir.ts";

/** A port of this process's own loopback that leads to one of a network namespace's loopback. */
export type NetnsDoor = { port: number; close(): Promise<void> };

/** Bytes cross by a unix socket, which no network namespace separates. */
export async function openNetnsDoor(netns: string, port: number): Promise<NetnsDoor> {
  const dir = makeTemporaryDir("berth-d-");
  const socket = join(dir.path, "sock");
  const inside = startProcess([process.execPath, "--eval", relay(socket, port)], { netns });
  await inside.waitForLine(/^ready/);
  const server = createServer((outer) => {
    const inner = connect(socket);
    outer.pipe(inner).pipe(outer);
    outer.on("error", () => inner.destroy()).on("close", () => inner.destroy());
    inner.on("error", () => outer.destroy()).on("close", () => outer.destroy());
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      await inside.stop();
      await new Promise((resolve) => server.close(resolve));
      dir.remove();
    },
  };
}

function relay(socket: string, port: number): string {
  return `
    const { connect, createServer } = require("node:net");
    createServer((outer) => {
      const inner = connect(${port}, "127.0.0.1");
      outer.pipe(inner).pipe(outer);
      outer.on("error", () => inner.destroy()).on("close", () => inner.destroy());
      inner.on("error", () => outer.destroy()).on("close", () => outer.destroy());
    }).listen(${JSON.stringify(socket)}, () => console.log("ready"));
  `;
}
