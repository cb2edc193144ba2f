import { type RawClient, socks4Request } from "../../socks-proxy/testing/raw-client.ts";
import { demandEcho, demandEnd, sendOneByOne, within } from "./exchange.ts";
import { demand, demandOctets, type Row } from "./row.ts";

/** The de-facto texts: "SOCKS: A protocol for TCP proxy across firewalls" and "SOCKS 4A: A Simple Extension to SOCKS 4 Protocol". */

/** It takes the octets for a list of methods, none of which it knows. */
const noSocks4 = { microsocks: { seen: /ended after 2 of 8/, because: "no SOCKS4" } };

export const socks4Rows: Row[] = [
  {
    section: "SOCKS4, CONNECT",
    says: "VN 4, CD 1, DSTPORT, DSTIP, USERID, NULL; the reply's VN is 0 and its CD 90 for granted; then data passes",
    async run(bed) {
      const client = await bed.connect();
      client.send(socks4Request({ address: bed.echo.address, port: bed.echo.port, user: "somebody" }));
      const reply = await replyOf(client);
      demandOctets(reply.subarray(0, 2), [0, 90], "the reply");
      await demandEcho(client);
    },
    differs: noSocks4,
  },
  {
    section: "SOCKS4, CONNECT",
    says: "An empty USERID is one",
    async run(bed) {
      const client = await bed.connect();
      client.send(socks4Request({ address: bed.echo.address, port: bed.echo.port }));
      demandOctets((await replyOf(client)).subarray(0, 2), [0, 90], "the reply");
    },
    differs: noSocks4,
  },
  {
    section: "SOCKS4, CONNECT",
    says: "The request is the same when its octets come one by one",
    async run(bed) {
      const client = await bed.connect();
      await sendOneByOne(
        client,
        socks4Request({ address: bed.echo.address, port: bed.echo.port, user: "me" }),
      );
      demandOctets((await replyOf(client)).subarray(0, 2), [0, 90], "the reply");
    },
    differs: noSocks4,
  },
  {
    section: "SOCKS4, CONNECT",
    says: "Request rejected or failed: CD 91, and the server closes its connection immediately after notifying the client",
    async run(bed) {
      const client = await bed.connect();
      client.send(socks4Request({ address: bed.echo.address, port: bed.closedPort }));
      demandOctets((await replyOf(client)).subarray(0, 2), [0, 91], "the reply");
      await demandEnd(client, 5_000);
    },
    differs: noSocks4,
  },
  {
    section: "SOCKS4, CONNECT",
    says: "A command that is neither CONNECT nor BIND is rejected: CD 91",
    async run(bed) {
      const client = await bed.connect();
      client.send(socks4Request({ address: bed.echo.address, port: bed.echo.port, command: 9 }));
      demandOctets((await replyOf(client)).subarray(0, 2), [0, 91], "the reply");
    },
    differs: {
      ...noSocks4,
      dante: { seen: /ended after 0 of 8/, because: "closes the connection without a reply" },
    },
  },
  {
    section: "SOCKS4A",
    says: "When DSTIP is 0.0.0.x with nonzero x, the server must read in the domain name that the client sends behind the USERID, resolve it, and connect",
    async run(bed) {
      const client = await bed.connect();
      client.send(socks4Request({ name: bed.echo.name, port: bed.echo.port, user: "me" }));
      demandOctets((await replyOf(client)).subarray(0, 2), [0, 90], "the reply");
      await demandEcho(client);
    },
    differs: {
      ...noSocks4,
      dante: { seen: /reply is X'00 5b'/, because: "takes 0.0.0.x for the destination and reads no name" },
    },
  },
  {
    section: "SOCKS4A",
    says: "A name that cannot be resolved is rejected: CD 91",
    async run(bed) {
      const client = await bed.connect();
      client.send(socks4Request({ name: bed.absentName, port: bed.echo.port }));
      demandOctets((await replyOf(client)).subarray(0, 2), [0, 91], "the reply");
    },
    differs: noSocks4,
  },
  {
    section: "SOCKS4",
    says: "Where passwords are asked for, SOCKS4, which has none, gets nobody in",
    async run(bed) {
      const client = await bed.connectToGuarded();
      client.send(socks4Request({ address: bed.echo.address, port: bed.echo.port, user: "me" }));
      const rest = await within(client.readToEnd(), "the end of the connection", 10_000);
      demand(rest[1] !== 90, "the request is granted");
    },
  },
];

function replyOf(client: RawClient): Promise<Buffer> {
  return within(client.read(8), "a reply", 10_000);
}
