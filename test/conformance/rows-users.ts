import { credentials, nameRequest, type RawClient } from "../../socks-proxy/testing/raw-client.ts";
import { demandEcho, demandEnd, readReply, sendOneByOne, within } from "./exchange.ts";
import { type ConformanceBed, demand, demandOctets, type Row } from "./row.ts";

/** RFC 1929. */

const closeLimitMs = 5_000;

export const userRows: Row[] = [
  {
    section: "1929 §2",
    says: "The server verifies the supplied UNAME and PASSWD, and sends VER X'01', STATUS X'00' for success; requests follow",
    async run(bed) {
      const client = await offered(bed);
      client.send(credentials("me", "secret"));
      demandOctets(await status(client), [1, 0], "the answer");
      client.send(nameRequest(bed.echo.name, bed.echo.port));
      demand((await readReply(client)).rep === 0, "the request of somebody let in is not granted");
      await demandEcho(client);
    },
  },
  {
    section: "1929 §2",
    says: "The negotiation is the same when its octets come one by one",
    async run(bed) {
      const client = await offered(bed);
      await sendOneByOne(client, credentials("me", "secret"));
      demandOctets(await status(client), [1, 0], "the answer");
    },
    differs: {
      microsocks: {
        seen: /answer is X'01 0[12]'|ended after|nothing within/,
        because: "takes one recv for one message",
      },
    },
  },
  ...failures().map(
    ([what, bytes]): Row => ({
      section: "1929 §2",
      says: `${what}: a STATUS other than X'00', and the server MUST close the connection`,
      async run(bed) {
        const client = await offered(bed);
        client.send(bytes);
        const [version, code] = await status(client);
        demand(version === 1 && code !== 0, `the answer is ${version}, ${code}`);
        await demandEnd(client, closeLimitMs);
      },
    }),
  ),
  {
    section: "1929 §2",
    says: "ULEN and PLEN are 1 to 255: the longest of both are read whole, and then refused",
    async run(bed) {
      const client = await offered(bed);
      client.send(credentials("n".repeat(255), "p".repeat(255)));
      const [version, code] = await status(client);
      demand(version === 1 && code !== 0, `the answer is ${version}, ${code}`);
    },
  },
  {
    section: "1929 §2",
    says: "Nothing is granted to a client that skips the negotiation",
    async run(bed) {
      const client = await offered(bed);
      client.send(nameRequest(bed.echo.name, bed.echo.port));
      const rest = await within(client.readToEnd(), "the end of the connection", closeLimitMs);
      demand(rest[0] !== 5 || rest[1] !== 0, "the request is granted");
    },
  },
  {
    section: "1928 §3",
    says: "A client that offers no method but X'00' to a server that asks for passwords: METHOD X'FF'",
    async run(bed) {
      const client = await bed.connectToGuarded();
      client.send(Uint8Array.of(5, 1, 0));
      demandOctets(
        await within(client.read(2), "the choice of a method"),
        [5, 0xff],
        "the choice of a method",
      );
    },
  },
];

function failures(): [what: string, bytes: Uint8Array][] {
  return [
    ["A wrong password", credentials("me", "guess")],
    ["An unknown name", credentials("nobody", "secret")],
    ["The start of the right password", credentials("me", "secre")],
    ["The right password and more", credentials("me", "secret1")],
  ];
}

async function offered(bed: ConformanceBed): Promise<RawClient> {
  const client = await bed.connectToGuarded();
  client.send(Uint8Array.of(5, 1, 2));
  demandOctets(await within(client.read(2), "the choice of a method"), [5, 2], "the choice of a method");
  return client;
}

function status(client: RawClient): Promise<Buffer> {
  return within(client.read(2), "VER and STATUS", 10_000);
}
