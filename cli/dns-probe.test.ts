import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";

import { parseAddress } from "../shared/address.ts";
import { Rcode, RRType } from "../shared/dns/constants.ts";
import { decodeQuery, encodeResponse } from "../shared/dns/message.ts";
import { parseName } from "../shared/name.ts";
import { probeListener, zonesOfListener } from "./dns-probe.ts";

const zone = parseName("berth.internal");
const self = parseAddress("127.0.0.1") ?? expect.fail("no address");
const other = parseAddress("127.0.0.2") ?? expect.fail("no address");
const nothing = { authoritative: false, answer: [], authority: [], additional: [] };

describe("asking the proxy's DNS listener whether it is there", () => {
  const sockets: Socket[] = [];
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.close();
  });

  /** A DNS server that gives `address` for what the proxy alone answers. */
  async function listen(address: typeof self | undefined): Promise<{ host: string; port: number }> {
    const socket = createSocket("udp4");
    sockets.push(socket);
    socket.on("message", (bytes, { port }) => {
      const query = decodeQuery(bytes);
      const name = parseName(query.question?.name ?? ".");
      const isProbe = name === "_berth-probe.berth.internal." && query.question?.type === RRType.A;
      const isReverse = name === "1.0.0.127.in-addr.arpa.";
      const rdata = isReverse
        ? { type: RRType.PTR, target: parseName("_berth-probe.berth.internal") }
        : { type: RRType.A, address: address ?? self };
      const parts =
        address === undefined || !(isProbe || isReverse)
          ? { ...nothing, rcode: Rcode.NXDomain }
          : { ...nothing, rcode: Rcode.NoError, answer: [{ name, ttl: 1, rdata }] };
      socket.send(encodeResponse(query, parts), port, "127.0.0.1");
    });
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    return { host: "127.0.0.1", port: socket.address().port };
  }

  it("knows it by its own address", async () => {
    expect(await probeListener(await listen(self), zone)).toEqual({ kind: "answers" });
  });

  it("takes any other answer for another program's", async () => {
    expect(await probeListener(await listen(other), zone)).toMatchObject({ kind: "stranger" });
    expect(await probeListener(await listen(undefined), zone)).toEqual({
      kind: "stranger",
      what: "no such name",
    });
  });

  it("hears of it which zones it knows, and nothing of another program", async () => {
    expect(await zonesOfListener(await listen(self))).toEqual([zone]);
    expect(await zonesOfListener(await listen(undefined))).toEqual([]);
  });

  it("says at once that nothing listens", async () => {
    const server = await listen(self);
    sockets.pop()?.close();
    expect(await probeListener(server, zone)).toEqual({ kind: "silent", what: "nothing listens there" });
  });
});
