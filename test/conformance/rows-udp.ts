import type { RawClient } from "../../socks-proxy/testing/raw-client.ts";
import { datagramTo, datagramToIpv4, type UdpPeer } from "../../socks-proxy/testing/udp-client.ts";
import { greeted, ipv4Request, readReply, within } from "./exchange.ts";
import { type ConformanceBed, demand, demandOctets, type Row } from "./row.ts";

/** RFC 1928 §6, UDP ASSOCIATE, and §7. */

const noUdp = { microsocks: { seen: /REP is 7/, because: "no UDP ASSOCIATE" } };
const target = "127.0.0.1";
/** Long enough for what would be relayed to have come, on a machine with other work. */
const silenceMs = 400;

export const udpRows: Row[] = [
  {
    section: "1928 §6",
    says: "UDP ASSOCIATE by a client that does not know its own address yet: all zeros; BND.ADDR and BND.PORT say where to send",
    async run(bed) {
      const { reply } = await associated(bed);
      demandOctets(reply.address, [127, 0, 0, 1], "BND.ADDR");
      demand(reply.port !== 0, "BND.PORT is 0");
    },
    differs: noUdp,
  },
  {
    section: "1928 §7",
    says: "A datagram with the UDP request header is relayed to DST.ADDR and DST.PORT; the answer MUST be encapsulated with the same header",
    async run(bed) {
      const { peer, port } = await associated(bed);
      peer.send(datagramToIpv4(target, bed.echo.port, "hello"), port);
      const { datagram, port: from } = await within(peer.next(), "the answer");
      demandOctets(datagram, [...datagramToIpv4(target, bed.echo.port, "hello")], "the answer");
      demand(from === port, "the answer comes from another port than BND.PORT");
    },
    differs: noUdp,
  },
  {
    section: "1928 §7",
    says: "ATYP X'03': DST.ADDR is a name, which the relay resolves",
    async run(bed) {
      const { peer, port } = await associated(bed);
      peer.send(datagramTo(bed.echo.name, bed.echo.port, "hello"), port);
      const { datagram } = await within(peer.next(), "the answer");
      demand(datagram.subarray(-5).toString() === "hello", `the answer is ${datagram.toString("hex")}`);
    },
    differs: noUdp,
  },
  {
    section: "1928 §7",
    says: "A datagram may be empty, and its empty answer too",
    async run(bed) {
      const { peer, port } = await associated(bed);
      peer.send(datagramToIpv4(target, bed.echo.port, ""), port);
      const { datagram } = await within(peer.next(), "the answer");
      demandOctets(datagram, [...datagramToIpv4(target, bed.echo.port, "")], "the answer");
    },
    differs: noUdp,
  },
  {
    section: "1928 §7",
    says: "A datagram is relayed whole, up to what UDP and the header leave",
    async run(bed) {
      const { peer, port } = await associated(bed);
      const longest = Buffer.alloc(65_497, "x");
      peer.send(datagramToIpv4(target, bed.echo.port, longest), port);
      const { datagram } = await within(peer.next(), "the answer");
      demand(datagram.subarray(10).equals(longest), `${datagram.length} octets come back`);
    },
    differs: noUdp,
  },
  {
    section: "1928 §7",
    says: "An implementation that does not support fragmentation MUST drop any datagram whose FRAG field is other than X'00'",
    async run(bed) {
      const { peer, port } = await associated(bed);
      for (const fragment of [1, 127, 128, 255]) {
        peer.send(datagramTo(bed.echo.name, bed.echo.port, "part", fragment), port);
      }
      await demandSilence(peer, "a fragment is relayed");
      await demandStillRelayed(bed, peer, port);
    },
    differs: noUdp,
  },
  {
    section: "1928 §7",
    says: "The relay MUST drop any datagrams arriving from any source IP address other than the one recorded for the association",
    async run(bed) {
      const { peer, port } = await associated(bed);
      const stranger = await bed.udpPeer("127.0.0.2");
      stranger.send(datagramToIpv4(target, bed.echo.port, "forged"), port, "127.0.0.1");
      await demandSilence(stranger, "a stranger is answered");
      await demandSilence(peer, "the client gets a stranger's answer");
      await demandStillRelayed(bed, peer, port);
    },
    differs: {
      ...noUdp,
      dante: {
        seen: /a stranger is answered/,
        because: "when the client announced zeros, takes whoever sends first for the client",
      },
    },
  },
  {
    section: "1928 §6",
    says: "The server MAY use the announced port to limit access: the client that has announced its own is served",
    async run(bed) {
      const peer = await bed.udpPeer();
      const { port } = await associated(bed, peer);
      await demandStillRelayed(bed, peer, port);
    },
    differs: noUdp,
  },
  {
    section: "1928 §7",
    says: "The relay will drop, silently, datagrams it cannot or will not relay",
    async run(bed) {
      const { peer, port } = await associated(bed);
      await demandStillRelayed(bed, peer, port);
      for (const hopeless of [
        Buffer.alloc(0),
        Buffer.of(0, 0, 0),
        Buffer.of(0, 0, 0, 9, 1, 2, 3, 4, 0, 1, 7),
        Buffer.of(0, 0, 0, 3, 200, 1),
      ]) {
        peer.send(hopeless, port);
      }
      await demandSilence(peer, "a datagram without a destination is answered");
      await demandStillRelayed(bed, peer, port);
    },
    differs: noUdp,
  },
  {
    section: "1928 §6",
    says: "A UDP association terminates when the TCP connection that the UDP ASSOCIATE request arrived on terminates",
    async run(bed) {
      const { client, peer, port } = await associated(bed);
      await demandStillRelayed(bed, peer, port);
      client.socket.end();
      await within(client.readToEnd(), "the end of the connection", 5_000);
      // What ends the association is another process's business, and takes it a moment.
      await new Promise((resolve) => setTimeout(resolve, silenceMs));
      peer.send(datagramToIpv4(target, bed.echo.port, "late"), port);
      await demandSilence(peer, "a datagram is relayed after the end");
    },
    differs: noUdp,
  },
];

async function associated(bed: ConformanceBed, announced?: UdpPeer) {
  const client: RawClient = await greeted(bed);
  client.send(ipv4Request(announced === undefined ? [0, 0, 0, 0] : [127, 0, 0, 1], announced?.port ?? 0, 3));
  const reply = await readReply(client);
  demand(reply.rep === 0, `REP is ${reply.rep}`);
  return { client, reply, port: reply.port, peer: announced ?? (await bed.udpPeer()) };
}

async function demandStillRelayed(bed: ConformanceBed, peer: UdpPeer, port: number): Promise<void> {
  peer.send(datagramToIpv4(target, bed.echo.port, "still"), port);
  const { datagram } = await within(peer.next(), "the answer to a good datagram");
  demand(datagram.subarray(10).toString() === "still", "the answer to a good datagram is another one");
}

async function demandSilence(peer: UdpPeer, seen: string): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, silenceMs));
  demand(peer.unread() === 0, seen);
}
