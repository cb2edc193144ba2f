import { greeting, nameRequest } from "../../socks-proxy/testing/raw-client.ts";
import {
  connected,
  demandEcho,
  demandEnd,
  greeted,
  ipv4Request,
  readReply,
  sendOneByOne,
  within,
} from "./exchange.ts";
import { demand, demandOctets, type Row } from "./row.ts";

/** RFC 1928 §3 to §6, without UDP. */

const failureLimitMs = 10_000;
const loopback6 = [...new Uint8Array(15), 1];

export const socks5Rows: Row[] = [
  {
    section: "1928 §3",
    says: "The server selects from one of the methods given in METHODS, and sends a METHOD selection message: VER X'05', METHOD",
    async run(bed) {
      const client = await bed.connect();
      client.send(Uint8Array.of(5, 3, 0x80, 0, 0x7f));
      demandOctets(await within(client.read(2), "the choice of a method"), [5, 0], "the choice of a method");
    },
  },
  {
    section: "1928 §3",
    says: "NMETHODS contains the number of method identifier octets: 255 of them are read",
    async run(bed) {
      const client = await bed.connect();
      client.send(Uint8Array.of(5, 255, ...new Uint8Array(254).fill(0x80), 0));
      demandOctets(await within(client.read(2), "the choice of a method"), [5, 0], "the choice of a method");
      client.send(ipv4Request(bed.echo.address, bed.echo.port));
      demand((await readReply(client)).rep === 0, "the request behind 255 methods is not granted");
    },
  },
  {
    section: "1928 §3",
    says: "TCP has no messages: the selection is the same when its octets come one by one",
    async run(bed) {
      const client = await bed.connect();
      await sendOneByOne(client, greeting);
      demandOctets(await within(client.read(2), "the choice of a method"), [5, 0], "the choice of a method");
    },
    differs: {
      microsocks: {
        seen: /X'05 ff', not X'05 00'/,
        because: "takes one recv for one message, and the first octet alone for a list of methods",
      },
    },
  },
  {
    section: "1928 §3",
    says: "None of the methods listed by the client are acceptable: METHOD X'FF'",
    async run(bed) {
      const client = await bed.connect();
      client.send(Uint8Array.of(5, 1, 0x80));
      demandOctets(
        await within(client.read(2), "the choice of a method"),
        [5, 0xff],
        "the choice of a method",
      );
    },
  },
  {
    section: "1928 §3",
    says: "A METHODS field without methods offers nothing acceptable: METHOD X'FF'",
    async run(bed) {
      const client = await bed.connect();
      client.send(Uint8Array.of(5, 0));
      demandOctets(
        await within(client.read(2), "the choice of a method"),
        [5, 0xff],
        "the choice of a method",
      );
    },
  },
  {
    section: "1928 §3",
    says: "Compliant implementations MUST support GSSAPI",
    async run(bed) {
      const client = await bed.connect();
      client.send(Uint8Array.of(5, 1, 1));
      demandOctets(await within(client.read(2), "the choice of a method"), [5, 1], "the choice of a method");
    },
    differs: {
      berth: {
        seen: /X'05 ff', not X'05 01'/,
        because: "no GSSAPI: it needs a Kerberos realm, which no user of berth has asked for",
      },
      microsocks: { seen: /X'05 ff', not X'05 01'/, because: "no GSSAPI" },
      dante: { seen: /X'05 ff', not X'05 01'/, because: "has GSSAPI, but is not set up with a realm here" },
    },
  },
  {
    section: "1928 §3",
    says: "Compliant implementations SHOULD support USERNAME/PASSWORD",
    async run(bed) {
      const client = await bed.connectToGuarded();
      client.send(Uint8Array.of(5, 2, 0, 2));
      demandOctets(await within(client.read(2), "the choice of a method"), [5, 2], "the choice of a method");
    },
  },
  {
    section: "1928 §4, §5",
    says: "ATYP X'01': the address is a version-4 IP address, with a length of 4 octets; DST.PORT in network octet order",
    async run(bed) {
      await demandEcho(await connected(bed));
    },
  },
  {
    section: "1928 §5",
    says: "ATYP X'03': the first octet is the number of octets of name that follow, there is no terminating NUL octet",
    async run(bed) {
      const client = await greeted(bed);
      client.send(nameRequest(bed.echo.name, bed.echo.port));
      demand((await readReply(client)).rep === 0, "the request by name is not granted");
      await demandEcho(client);
    },
  },
  {
    section: "1928 §5",
    says: "A NUL octet in a name is a part of it, and makes it another name than the one before the NUL",
    async run(bed) {
      const client = await greeted(bed);
      client.send(nameRequest(`${bed.echo.name}\0.invalid`, bed.echo.port));
      const { rep } = await readReply(client);
      demand(rep !== 0, "the name before the NUL is connected to");
    },
    differs: {
      microsocks: { seen: /is connected to/, because: "hands the name to getaddrinfo(3) as a C string" },
      dante: { seen: /is connected to/, because: "hands the name to getaddrinfo(3) as a C string" },
    },
  },
  {
    section: "1928 §5",
    says: "ATYP X'04': the address is a version-6 IP address, with a length of 16 octets",
    async run(bed) {
      const client = await greeted(bed);
      const { port } = bed.echo6;
      client.send(Uint8Array.of(5, 1, 0, 4, ...loopback6, port >> 8, port & 255));
      demand((await readReply(client)).rep === 0, "the request by IPv6 address is not granted");
      await demandEcho(client);
    },
  },
  {
    section: "1928 §4",
    says: "The request is the same when its octets come one by one",
    async run(bed) {
      const client = await greeted(bed);
      await sendOneByOne(client, nameRequest(bed.echo.name, bed.echo.port));
      demand((await readReply(client)).rep === 0, "the request is not granted");
    },
    differs: {
      microsocks: {
        seen: /REP|ended after|not granted|nothing within/,
        because: "takes one recv for one message",
      },
    },
  },
  {
    section: "1928 §3, §4",
    says: "The request may come together with the method selection message",
    async run(bed) {
      const client = await bed.connect();
      client.send(greeting, ipv4Request(bed.echo.address, bed.echo.port));
      demandOctets(await within(client.read(2), "the choice of a method"), [5, 0], "the choice of a method");
      demand((await readReply(client)).rep === 0, "the request is not granted");
    },
    differs: {
      microsocks: {
        seen: /ended after|nothing within/,
        because: "takes one recv for one message, and loses what is behind it",
      },
    },
  },
  {
    section: "1928 §6",
    says: "The reply: VER X'05', Fields marked RESERVED (RSV) must be set to X'00'",
    async run(bed) {
      for (const port of [bed.echo.port, bed.closedPort]) {
        const client = await greeted(bed);
        client.send(ipv4Request(bed.echo.address, port));
        const { rsv } = await readReply(client);
        demand(rsv === 0, `RSV is ${rsv}`);
      }
    },
  },
  {
    section: "1928 §6",
    says: "In the reply to a CONNECT, BND.PORT contains the port number that the server assigned to connect to the target host, while BND.ADDR contains the associated IP address",
    async run(bed) {
      const seen = bed.nextRemotePort();
      const client = await greeted(bed);
      client.send(ipv4Request(bed.echo.address, bed.echo.port));
      const { rep, address, port } = await readReply(client);
      demand(rep === 0, `REP is ${rep}`);
      demandOctets(address, [127, 0, 0, 1], "BND.ADDR");
      const remotePort = await within(seen, "a connection at the target");
      demand(port === remotePort, `BND.PORT is ${port}, the target sees another port`);
    },
    differs: {
      microsocks: { seen: /BND\.ADDR is X'00 00 00 00'/, because: "sends zeros" },
    },
  },
  {
    section: "1928 §6",
    says: "Connection refused: REP X'05'",
    async run(bed) {
      const client = await greeted(bed);
      client.send(ipv4Request(bed.echo.address, bed.closedPort));
      const { rep } = await readReply(client);
      demand(rep === 5, `REP is ${rep}`);
    },
  },
  {
    section: "1928 §6",
    says: "Host unreachable, such as a name that nobody has: REP X'04'",
    async run(bed) {
      const client = await greeted(bed);
      client.send(nameRequest(bed.absentName, 80));
      const { rep } = await within(readReply(client), "a reply", failureLimitMs);
      demand(rep === 4, `REP is ${rep}`);
    },
    differs: {
      microsocks: { seen: /REP is 1/, because: "every fault of getaddrinfo(3) is a general failure" },
    },
  },
  {
    section: "1928 §6",
    says: "Command not supported: REP X'07'",
    async run(bed) {
      for (const command of [0, 4, 255]) {
        const client = await greeted(bed);
        client.send(ipv4Request(bed.echo.address, bed.echo.port, command));
        const { rep } = await readReply(client);
        demand(rep === 7, `REP is ${rep} for command ${command}`);
      }
    },
    differs: {
      dante: {
        seen: /ended after 0 of 4/,
        because: "closes the connection without a reply to a command or an address type it does not know",
      },
    },
  },
  {
    section: "1928 §6",
    says: "Address type not supported: REP X'08'",
    async run(bed) {
      for (const addressType of [0, 2, 5, 255]) {
        const client = await greeted(bed);
        client.send(Uint8Array.of(5, 1, 0, addressType, 1, 2, 3, 4, 0, 80));
        const { rep } = await readReply(client);
        demand(rep === 8, `REP is ${rep} for address type ${addressType}`);
      }
    },
    differs: {
      dante: {
        seen: /ended after 0 of 4/,
        because: "closes the connection without a reply to a command or an address type it does not know",
      },
    },
  },
  {
    section: "1928 §6",
    says: "BIND: two replies, the first with the port the server listens at, the second with the connecting host",
    async run(bed) {
      const client = await greeted(bed);
      client.send(ipv4Request([127, 0, 0, 1], 0, 2));
      const first = await readReply(client);
      demand(first.rep === 0, `REP is ${first.rep}`);
      demand(first.port !== 0, "BND.PORT is 0");
    },
    differs: {
      berth: {
        seen: /REP is 7/,
        because: "no BIND: a service is reached by its name, and nobody waits for it to call back",
      },
      microsocks: { seen: /REP is 7/, because: "no BIND" },
    },
  },
  {
    section: "1928 §6",
    says: "When a reply indicates a failure, the SOCKS server MUST terminate the TCP connection shortly after sending the reply: no more than 10 seconds",
    async run(bed) {
      const requests = [
        ipv4Request(bed.echo.address, bed.closedPort),
        ipv4Request(bed.echo.address, bed.echo.port, 9),
        Uint8Array.of(5, 1, 0, 9, 1, 2, 3, 4, 0, 80),
      ];
      for (const request of requests) {
        const client = await greeted(bed);
        client.send(request);
        demand((await readReply(client)).rep !== 0, "the request is granted");
        await demandEnd(client, failureLimitMs);
      }
    },
    differs: {
      dante: {
        seen: /ended after 0 of 4/,
        because: "closes the connection without a reply to a command or an address type it does not know",
      },
    },
  },
  {
    section: "1928 §6",
    says: "After success the client may start passing data: what came early arrives first",
    async run(bed) {
      const client = await greeted(bed);
      client.send(ipv4Request(bed.echo.address, bed.echo.port), Buffer.from("early"));
      demand((await readReply(client)).rep === 0, "the request is not granted");
      const came = await within(client.read(5), "the early data");
      demand(came.toString() === "early", `the early data came as ${came}`);
    },
    differs: {
      microsocks: {
        seen: /ended after 0 of 5|nothing within/,
        because: "takes one recv for one message, and loses what is behind it",
      },
    },
  },
  {
    section: "1928 §6",
    says: "Data passes until both directions have ended: the end of the client's does not end the target's (RFC 9293 §3.6)",
    async run(bed) {
      const client = await connected(bed);
      const sent = Buffer.alloc(1 << 20, "x");
      client.socket.end(sent);
      const came = await within(client.readToEnd(), "the end of the target's direction", failureLimitMs);
      demand(came.equals(sent), `${came.length} of ${sent.length} octets came back`);
    },
    differs: {
      microsocks: {
        seen: /octets came back|ECONNRESET/,
        because: "ends both directions with the first that ends",
      },
    },
  },
];
