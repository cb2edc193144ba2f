import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";

import type { Address } from "../../shared/address.ts";
import { Rcode, RRType } from "../../shared/dns/constants.ts";
import { encodeQuery } from "../../shared/dns/message.ts";
import { parseName } from "../../shared/name.ts";
import { createForwarder } from "./forward.ts";
import { MessageFrames, withLength } from "./tcp-frames.ts";
import type { Upstream } from "./upstream-choice.ts";

const ends: (() => void)[] = [];

afterEach(() => {
  for (const end of ends.splice(0)) end();
});

const query = Uint8Array.from([
  0x77,
  0x88,
  ...encodeQuery(parseName("www.example.com"), RRType.A).subarray(2),
]);
const local = "127.0.0.1" as Address;

describe("a forwarded query", () => {
  test("reaches the server byte for byte under an id of its own, and its answer the asker under the asker's", async () => {
    const seen: Buffer[] = [];
    const server = await dnsServer((message) => {
      seen.push(message);
      return [answerTo(message)];
    });
    const { forward } = forwarderTo([server]);
    for (let i = 0; i < 4; i++) expect(await forward(query, "udp")).toEqual(answerTo(query));
    expect(seen.map((message) => message.subarray(2))).toEqual(
      seen.map(() => Buffer.from(query.subarray(2))),
    );
    expect(new Set(seen.map((message) => message.readUInt16BE(0))).size).toBeGreaterThan(1);
  });

  test("takes no answer with another id or another question, nor one from somebody else", async () => {
    const stranger = await bound();
    const server = await dnsServer((message, from) => {
      const right = answerTo(message);
      stranger.send(right, from.port, from.address);
      const otherId = Uint8Array.from(right);
      otherId[0] = (otherId[0] ?? 0) ^ 1;
      const otherName = Uint8Array.from(right);
      otherName[13] = 0x78;
      const last = Uint8Array.from([...right, 0]);
      return [otherId, otherName, message, last];
    });
    const answer = await forwarderTo([server]).forward(query, "udp");
    expect(answer?.length).toBe(answerTo(query).length + 1);
  });

  test("goes to the next server when one is silent, refuses or is not there", async () => {
    const silent = await dnsServer(() => []);
    const refusing = await dnsServer((message) => [answerTo(message, Rcode.Refused)]);
    const good = await dnsServer((message) => [answerTo(message)]);
    const closed = await bound();
    const gone = { address: local, port: closed.address().port };
    closed.close();
    ends.pop();
    for (const servers of [
      [refusing, good],
      [gone, good],
      [silent, good],
    ]) {
      expect(await forwarderTo(servers).forward(query, "udp")).toEqual(answerTo(query));
    }
  });

  test("goes round a server that was silent from then on", async () => {
    let asked = 0;
    const silent = await dnsServer(() => {
      asked++;
      return [];
    });
    const good = await dnsServer((message) => [answerTo(message)]);
    const { forward } = forwarderTo([silent, good]);
    await forward(query, "udp");
    expect(asked).toBe(1);
    await forward(query, "udp");
    expect(asked).toBe(1);
  });

  test("gets the refusal when every server refuses, and nothing when none is there", async () => {
    const refusing = await dnsServer((message) => [answerTo(message, Rcode.ServFail)]);
    const answer = await forwarderTo([refusing, refusing]).forward(query, "udp");
    expect(answer).toEqual(answerTo(query, Rcode.ServFail));
    expect(await forwarderTo([]).forward(query, "udp")).toBeUndefined();
  });

  test("by TCP goes by TCP", async () => {
    const server = createServer((socket) => {
      const frames = new MessageFrames();
      socket.on("data", (bytes) => {
        const message = frames.add(bytes).next();
        // In two pieces, as TCP may.
        if (message === undefined) return;
        const framed = withLength(answerTo(message));
        socket.write(framed.subarray(0, 5));
        setImmediate(() => socket.write(framed.subarray(5)));
      });
    }).listen(0, local);
    await once(server, "listening");
    ends.push(() => void server.close());
    const { port } = server.address() as { port: number };
    expect(await forwarderTo([{ address: local, port }]).forward(query, "tcp")).toEqual(answerTo(query));
  });

  test("is refused, not queued, when as many wait as may, and is not when they have their answers", async () => {
    const silent = await dnsServer(() => []);
    const forwarder = forwarderTo([silent], 8);
    const waiting = Array.from({ length: 8 }, () => forwarder.forward(query, "udp"));
    const refused = forwarder.forward(query, "udp").then(() => "refused");
    expect(await Promise.race([refused, sleep(1_000, "waits")])).toBe("refused");
    forwarder.close();
    await Promise.all(waiting);
    const late = forwarder.forward(query, "udp").then(() => "refused");
    expect(await Promise.race([late, sleep(100, "waits")])).toBe("waits");
    forwarder.close();
    await late;
  });
});

function forwarderTo(servers: readonly Upstream[], mostSockets = 100) {
  const forwarder = createForwarder(
    () => servers,
    () => performance.now(),
    mostSockets,
  );
  ends.push(() => forwarder.close());
  return forwarder;
}

function answerTo(message: Uint8Array, rcode = 0): Uint8Array {
  const answer = Uint8Array.from(message);
  answer[2] = (answer[2] ?? 0) | 0x80;
  answer[3] = rcode;
  return answer;
}

async function dnsServer(answers: (message: Buffer, from: RemoteInfo) => Uint8Array[]): Promise<Upstream> {
  const socket = await bound();
  socket.on("message", (message, from) => {
    for (const answer of answers(message, from)) socket.send(answer, from.port, from.address);
  });
  return { address: local, port: socket.address().port };
}

async function bound(): Promise<Socket> {
  const socket = createSocket("udp4");
  socket.bind(0, local);
  await once(socket, "listening");
  ends.push(() => void socket.close());
  return socket;
}
