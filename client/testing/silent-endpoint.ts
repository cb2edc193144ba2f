import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";

/** Listens, then never accepts: its thread sleeps. */
const listenAndSleep = `
const { parentPort } = require("node:worker_threads");
const server = require("node:net").createServer();
server.listen({ host: "127.0.0.1", port: 0, backlog: 1 }, () => {
  parentPort.postMessage(server.address().port);
  setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0), 50);
});`;

/**
 * A loopback port at which a connection attempt gets no answer at all, as with a host that is down: the queue of its listener is
 * full, so the kernel drops every further SYN.
 */
export async function startSilentEndpoint(): Promise<{ port: number; close(): Promise<void> }> {
  const worker = new Worker(listenAndSleep, { eval: true });
  const [port] = (await once(worker, "message")) as [number];
  await sleep(100);
  const fillers: Socket[] = [];
  for (;;) {
    const filler = connect({ host: "127.0.0.1", port }).on("error", () => {});
    fillers.push(filler);
    const connected = await Promise.race([once(filler, "connect").then(() => true), sleep(100, false)]);
    if (!connected) break;
  }
  return {
    port,
    async close() {
      for (const filler of fillers) filler.destroy();
      await worker.terminate();
    },
  };
}
