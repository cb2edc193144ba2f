import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { closedPort } from "../../client/testing/closed-port.ts";
import { type Address, parseAddress } from "../../shared/address.ts";
import {
  acceptChannel,
  acceptChannels,
  type Channel,
  type ChannelTaker,
  channelOf,
  dialChannel,
} from "./channel.ts";
import { duplexOf } from "./channel-duplex.ts";

const loopback = parseAddress("127.0.0.1") as Address;
let server: Server;
let accepted: Channel;
let peer: Socket;

beforeEach(async () => {
  const arrived = Promise.withResolvers<Channel>();
  server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
    arrived.resolve(acceptChannel(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  peer = connect({ ...addressOf(server), allowHalfOpen: true });
  peer.on("error", () => {});
  accepted = await arrived.promise;
});

afterEach(async () => {
  peer.destroy();
  accepted.socket.destroy();
  const closed = once(server, "close");
  server.close();
  await closed;
});

describe("an accepted connection", () => {
  test("is read when somebody takes it, from its first byte to its end", async () => {
    peer.end("hello");
    expect(await readAll(accepted)).toEqual(Buffer.from("hello"));
    accepted.socket.end("and goodbye");
    expect(Buffer.concat(await peer.toArray()).toString()).toBe("and goodbye");
  });

  test("is read no further after a false, until it is resumed, and the bytes stay until then", async () => {
    const first = Promise.withResolvers<Uint8Array>();
    const taken: Uint8Array[] = [];
    accepted.take({
      bytes(chunk) {
        taken.push(chunk);
        first.resolve(chunk);
        return false;
      },
      end: () => {},
    });
    peer.write("first");
    await first.promise;
    peer.write("second");
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    expect(taken.map((chunk) => Buffer.from(chunk).toString())).toEqual(["first"]);
    const second = Promise.withResolvers<string>();
    accepted.take(takerOf((chunk) => second.resolve(Buffer.from(chunk).toString())));
    expect(await second.promise).toBe("second");
  });

  test("tells every taker of an end that came before it", async () => {
    peer.end();
    await readAll(accepted);
    await readAll(accepted);
  });

  test("is read in larger pieces when much comes, and gives the memory back on request", async () => {
    const all = Buffer.alloc(3 << 20, "0123456789");
    let largest = 0;
    let received = 0;
    const done = Promise.withResolvers<void>();
    const taker: ChannelTaker = {
      bytes(chunk) {
        largest = Math.max(largest, chunk.length);
        expect(Buffer.compare(chunk, all.subarray(received, received + chunk.length))).toBe(0);
        received += chunk.length;
        if (received === all.length) done.resolve();
        return true;
      },
      end: () => {},
    };
    accepted.take(taker);
    peer.write(all);
    await done.promise;
    expect(largest).toBeGreaterThan(16 * 1024);
    accepted.shrink();
    [largest, received] = [0, 0];
    const next = Promise.withResolvers<number>();
    accepted.take(takerOf((chunk) => next.resolve(chunk.length)));
    peer.write(all.subarray(0, 100_000));
    expect(await next.promise).toBe(4096);
  });

  test("whose taker still has the bytes keeps its memory", async () => {
    const chunks: Uint8Array[] = [];
    const full = Promise.withResolvers<void>();
    accepted.take({
      bytes(chunk) {
        chunks.push(chunk);
        if (chunk.length <= 4096) return true;
        full.resolve();
        return false;
      },
      end: () => {},
    });
    peer.write(Buffer.alloc(1 << 20, "x"));
    await full.promise;
    accepted.shrink();
    expect(chunks.at(-1)?.at(-1)).toBe("x".charCodeAt(0));
  });

  test("may break off without anybody listening", async () => {
    const closed = new Promise((resolve) => accepted.socket.once("close", resolve));
    accepted.take({ bytes: () => true, end: () => {} });
    peer.resetAndDestroy();
    expect(await closed).toBe(true);
  });
});

describe("a dialled connection", () => {
  test("is found by its socket, and not read before somebody takes it", async () => {
    const far = createServer((socket) => socket.end("welcome")).listen(0, "127.0.0.1");
    await once(far, "listening");
    const channel = dialChannel({ address: loopback, port: addressOf(far).port });
    expect(channelOf(channel.socket)).toBe(channel);
    await once(channel.socket, "connect");
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    expect(channel.socket.bytesRead).toBe(0);
    expect((await readAll(channel)).toString()).toBe("welcome");
    channel.socket.end();
    far.close();
    await once(far, "close");
  });

  test("that is refused says so", async () => {
    const channel = dialChannel({ address: loopback, port: await closedPort() });
    const [fault] = await once(channel.socket, "error");
    expect(fault).toMatchObject({ code: "ECONNREFUSED" });
  });
});

describe("a channel as a stream", () => {
  test("begins with what was read before, and ends as the connection does", async () => {
    const stream = duplexOf(accepted, Buffer.from("early "));
    peer.end("and late");
    expect(Buffer.concat(await stream.toArray()).toString()).toBe("early and late");
    stream.end("answer");
    expect(Buffer.concat(await peer.toArray()).toString()).toBe("answer");
  });

  test("holds its sender back when nobody reads, and loses nothing", async () => {
    const stream = duplexOf(accepted, new Uint8Array(0));
    const all = Buffer.alloc(20 << 20, "abcdefg");
    peer.end(all);
    stream.read(0);
    await once(stream, "readable");
    for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
    expect(stream.readableLength).toBeLessThan(1 << 20);
    expect(Buffer.concat(await stream.toArray()).equals(all)).toBe(true);
  });

  test("gives the channel back with what nobody has read", async () => {
    const stream = duplexOf(accepted, Buffer.from("head"));
    peer.write("body");
    await once(stream, "readable");
    const { channel, early } = stream.release();
    stream.destroy();
    peer.end("tail");
    expect(Buffer.concat([early, await readAll(channel)]).toString()).toBe("headbodytail");
  });

  test("is destroyed by a reset, with its fault, and destroys the connection", async () => {
    const stream = duplexOf(accepted, new Uint8Array(0));
    stream.resume();
    peer.resetAndDestroy();
    const [fault] = await once(stream, "error");
    expect(fault).toMatchObject({ code: "ECONNRESET" });
    expect(accepted.socket.destroyed).toBe(true);
  });
});

function addressOf(listening: Server): { host: string; port: number } {
  const { address, port } = listening.address() as AddressInfo;
  return { host: address, port };
}

function takerOf(bytes: (chunk: Uint8Array) => void): ChannelTaker {
  return {
    bytes(chunk) {
      bytes(chunk);
      return true;
    },
    end() {},
  };
}

/** Everything up to the end of the other side's direction. */
function readAll(channel: Channel): Promise<Buffer> {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  channel.take({
    bytes: (chunk) => chunks.push(Buffer.from(chunk)) > 0,
    end: () => resolve(Buffer.concat(chunks)),
  });
  return promise;
}

describe("a server's connections come as channels", () => {
  interface Internals {
    _handle: { onconnection: unknown };
  }

  async function acceptedBy(prepare: (own: Internals) => void): Promise<{ text: string; sockets: number }> {
    const own = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true });
    own.listen(0, "127.0.0.1");
    await once(own, "listening");
    prepare(own as unknown as Internals);
    let sockets = 0;
    own.on("connection", () => sockets++);
    const arrived = Promise.withResolvers<Channel>();
    acceptChannels(own, arrived.resolve);
    const client = connect(addressOf(own)).on("error", () => {});
    client.end("hello");
    const channel = await arrived.promise;
    const text = `${await readAll(channel)}`;
    channel.socket.destroy();
    client.destroy();
    const closed = once(own, "close");
    own.close();
    await closed;
    return { text, sockets };
  }

  test("without a socket of its own making, which this Node still lets us take the place of", async () => {
    expect(await acceptedBy(() => {})).toEqual({ text: "hello", sockets: 0 });
  });

  test("where Node does not let us, from its sockets", async () => {
    const prepare = (own: Internals): void => {
      const { onconnection } = own._handle;
      // Hidden from whoever looks, and found by the system's own call.
      let looks = 0;
      Object.defineProperty(own._handle, "onconnection", {
        get: () => (looks++ === 0 ? undefined : onconnection),
      });
    };
    expect(await acceptedBy(prepare)).toEqual({ text: "hello", sockets: 1 });
  });
});
