import { connect, type Socket } from "node:net";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, expect, it } from "vitest";
import { freePort } from "../../shared/testing/free-port.ts";
import { settle } from "../testing/fake-clock.ts";
import { loopback, otherLoopback, RelayStand, textOf, whenEvent } from "../testing/relay-stand.ts";
import type { OpenRelay } from "./open-relay.ts";
import { RelayBudget } from "./relay-budget.ts";
import { openTcpRelay } from "./tcp-relay.ts";

let stand: RelayStand;
let port: number;
let relays: OpenRelay[];

beforeEach(async () => {
  stand = new RelayStand();
  port = await freePort();
  relays = [];
});

afterEach(async () => {
  await Promise.all(relays.map((relay) => relay.close()));
  await stand.close();
});

async function relayTo(targetPort: number, listen = [loopback]): Promise<OpenRelay> {
  const relay = await openTcpRelay(stand.options(port, targetPort, listen));
  relays.push(relay);
  return relay;
}

it("carries bytes both ways, at every address it listens at", async () => {
  const serverPort = await stand.serve((socket) => socket.pipe(socket));
  await relayTo(serverPort, [loopback, otherLoopback]);
  for (const host of [loopback, otherLoopback]) {
    const client = stand.connect(port, host);
    client.end("hello");
    expect(await textOf(client)).toBe("hello");
  }
  expect(stand.counters).toMatchObject({
    bytesIn: 10,
    bytesOut: 10,
    connectionsTotal: 2,
    connectionsFailed: 0,
  });
  await expect.poll(() => stand.counters.connectionsOpen).toBe(0);
});

it("keeps one direction open when the other has ended", async () => {
  const serverPort = await stand.serve(async (socket) => {
    const asked = await textOf(socket);
    socket.end(`answer to ${asked}`);
  });
  await relayTo(serverPort);
  const client = stand.connect(port);
  client.end("a question");
  expect(await textOf(client)).toBe("answer to a question");
});

it("resets the client when the container refuses", async () => {
  await relayTo(await freePort());
  const fault = (await whenEvent(stand.connect(port), "error")) as NodeJS.ErrnoException;
  expect(fault.code).toBe("ECONNRESET");
  expect(stand.counters.connectionsFailed).toBe(1);
  await expect.poll(() => stand.counters.connectionsOpen).toBe(0);
});

it("resets the client when the container has not accepted in time", async () => {
  const deaf = await deafServer();
  try {
    await relayTo(deaf.port);
    const client = stand.connect(port);
    const fault = whenEvent(client, "error") as Promise<NodeJS.ErrnoException>;
    await expect.poll(() => stand.counters.connectionsOpen).toBe(1);
    await stand.clock.advance(4_999);
    expect(stand.counters.connectionsFailed).toBe(0);
    await stand.clock.advance(1);
    expect((await fault).code).toBe("ECONNRESET");
    expect(stand.counters.connectionsFailed).toBe(1);
  } finally {
    await deaf.close();
  }
});

it("passes a reset on, either way: a part must not pass for the whole", async () => {
  const serverPort = await stand.serve((socket) => {
    socket.once("data", (word: Buffer) => {
      if (`${word}` === "break off") socket.resetAndDestroy();
      else socket.once("error", (fault: NodeJS.ErrnoException) => serverSaw.resolve(fault.code));
      socket.write("yes");
    });
  });
  const serverSaw = Promise.withResolvers<string | undefined>();
  await relayTo(serverPort);
  const one = stand.connect(port);
  one.write("break off");
  expect(((await whenEvent(one, "error")) as NodeJS.ErrnoException).code).toBe("ECONNRESET");
  const two = stand.connect(port);
  two.write("listen");
  await whenEvent(two, "data");
  two.resetAndDestroy();
  expect(await serverSaw.promise).toBe("ECONNRESET");
  // They were accepted.
  expect(stand.counters.connectionsFailed).toBe(0);
});

it("holds a sender back when the reader stops, instead of storing what comes", async () => {
  let written = 0;
  const serverPort = await stand.serve((socket) => {
    const chunk = Buffer.alloc(1 << 20);
    const write = (): void => {
      // 256 MiB would be far more than all buffers on the way hold.
      while (written < 256 && !socket.destroyed) {
        written += 1;
        if (!socket.write(chunk)) return void socket.once("drain", write);
      }
    };
    write();
  });
  await relayTo(serverPort);
  const client = stand.connect(port);
  await whenEvent(client, "data");
  client.pause();
  // Until the sender has stood still for a while.
  for (let before = -1; written !== before; await new Promise((passed) => setTimeout(passed, 200)))
    before = written;
  expect(written).toBeLessThan(256);
  expect(stand.counters.bytesOut).toBeLessThan(256 << 20);
});

it("resets the 513th connection at once, and takes another when one has ended", async () => {
  const serverPort = await stand.serve((socket) => void socket.resume().on("end", () => socket.end()));
  await relayTo(serverPort);
  const clients = Array.from({ length: 512 }, () => stand.connect(port));
  await Promise.all(clients.map((client) => whenEvent(client, "connect")));
  await expect.poll(() => stand.counters.connectionsOpen).toBe(512);
  const fault = (await whenEvent(stand.connect(port), "error")) as NodeJS.ErrnoException;
  expect(fault.code).toBe("ECONNRESET");
  expect(await whenEvent(stand.connect(port), "error")).toMatchObject({ code: "ECONNRESET" });
  expect(stand.counters).toMatchObject({ connectionsRefused: 2, connectionsFailed: 0 });
  expect(stand.log.matching(/^warn /)).toEqual([
    `warn the relay at 127.0.0.1:${port} has the 512 clients that one may have; further ones are refused until some end`,
  ]);
  clients[0]?.resume().end();
  await expect.poll(() => stand.counters.connectionsOpen).toBe(511);
  const late = stand.connect(port);
  late.end();
  expect(await textOf(late)).toBe("");
  expect(stand.log.matching(/has room/)).toEqual([]);
  for (const client of clients.slice(1, 129)) client.resume().end();
  await expect.poll(() => stand.log.matching(/^info .* has room for clients again/)).toHaveLength(1);
}, 30_000);

it("resets a connection that carried nothing for two hours, and no other", async () => {
  const serverPort = await stand.serve((socket) => socket.pipe(socket));
  await relayTo(serverPort);
  const [idle, used] = [stand.connect(port), stand.connect(port)];
  const say = async (client: Socket) => {
    client.write("x");
    await whenEvent(client, "data");
  };
  await Promise.all([say(idle), say(used)]);
  const cut = whenEvent(idle, "error") as Promise<NodeJS.ErrnoException>;
  for (const minutes of [60, 59]) {
    await stand.clock.advance(minutes * 60_000);
    await say(used);
  }
  expect(stand.counters.connectionsOpen).toBe(2);
  await stand.clock.advance(60_000);
  expect((await cut).code).toBe("ECONNRESET");
  await expect.poll(() => stand.counters.connectionsOpen).toBe(1);
  await say(used);
  const late = whenEvent(used, "error") as Promise<NodeJS.ErrnoException>;
  await stand.clock.advance(2 * 3_600_000);
  expect((await late).code).toBe("ECONNRESET");
});

it("resets what the budget has no room for, and gives back what a connection took, however it ended", async () => {
  stand.budget = new RelayBudget(4, stand.log);
  const serverPort = await stand.serve((socket) => socket.pipe(socket));
  const relay = await relayTo(serverPort);
  const client = stand.connect(port);
  client.write("one");
  await whenEvent(client, "data");
  expect(await whenEvent(stand.connect(port), "error")).toMatchObject({ code: "ECONNRESET" });
  expect(stand.counters).toMatchObject({ connectionsRefused: 1, connectionsTotal: 1 });
  client.end();
  await expect.poll(() => stand.counters.connectionsOpen).toBe(0);
  relay.retarget({ address: loopback, port: await freePort() });
  for (let turn = 0; turn < 3; turn++)
    expect(await whenEvent(stand.connect(port), "error")).toMatchObject({ code: "ECONNRESET" });
  await expect.poll(() => stand.counters.connectionsOpen).toBe(0);
  relay.retarget({ address: loopback, port: serverPort });
  const last = stand.connect(port);
  last.end("two");
  expect(await textOf(last)).toBe("two");
});

it("leads new clients to another target, ends those of the old one, and listens all the while", async () => {
  const oldPort = await stand.serve((socket) => void socket.write("old"));
  const newPort = await stand.serve((socket) => void socket.end("new"));
  const relay = await relayTo(oldPort);
  const before = stand.connect(port);
  expect(`${await whenEvent(before, "data")}`).toBe("old");
  const cut = whenEvent(before, "error");
  relay.retarget({ address: loopback, port: newPort });
  const after = stand.connect(port);
  after.end();
  expect(await textOf(after)).toBe("new");
  expect(((await cut) as NodeJS.ErrnoException).code).toBe("ECONNRESET");
});

it("leaves connections alone when it is told the same target", async () => {
  const serverPort = await stand.serve((socket) => socket.pipe(socket));
  const relay = await relayTo(serverPort);
  const client = stand.connect(port);
  client.write("one ");
  await whenEvent(client, "data");
  relay.retarget({ address: loopback, port: serverPort });
  client.end("two");
  expect(await textOf(client)).toBe("two");
});

it("ends its listeners and every connection at its close", async () => {
  const serverPort = await stand.serve((socket) => socket.pipe(socket));
  const relay = await relayTo(serverPort, [loopback, otherLoopback]);
  const client = stand.connect(port);
  client.write("one");
  await whenEvent(client, "data");
  const cut = whenEvent(client, "error");
  await relay.close();
  expect(((await cut) as NodeJS.ErrnoException).code).toBe("ECONNRESET");
  for (const host of [loopback, otherLoopback]) {
    const fault = (await whenEvent(connect({ host, port }), "error")) as NodeJS.ErrnoException;
    expect(fault.code).toBe("ECONNREFUSED");
  }
  await settle();
  expect(stand.counters.connectionsOpen).toBe(0);
});

it("opens at all addresses or at none", async () => {
  const taken = await stand.serve(() => {}, otherLoopback);
  port = taken;
  await expect(relayTo(1, [loopback, otherLoopback])).rejects.toMatchObject({ code: "EADDRINUSE" });
  const fault = (await whenEvent(connect({ host: loopback, port }), "error")) as NodeJS.ErrnoException;
  expect(fault.code).toBe("ECONNREFUSED");
});

/** A port that takes no connection any more: its queue is full, and its only thread sleeps. */
async function deafServer(): Promise<{ port: number; close: () => Promise<unknown> }> {
  const worker = new Worker(
    `const { parentPort } = require("node:worker_threads");
     const server = require("node:net").createServer();
     server.listen({ host: "127.0.0.1", port: 0, backlog: 1 }, () => {
       parentPort.postMessage(server.address().port);
       setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0), 0);
     });`,
    { eval: true },
  );
  const serverPort = await new Promise<number>((ready) => worker.once("message", ready));
  await new Promise((asleep) => setTimeout(asleep, 300));
  const fillers = Array.from({ length: 8 }, () => stand.connect(serverPort));
  await new Promise((filled) => setTimeout(filled, 300));
  return {
    port: serverPort,
    close: () => {
      for (const filler of fillers) filler.destroy();
      return worker.terminate();
    },
  };
}
