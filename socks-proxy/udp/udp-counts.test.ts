import { expect, onTestFinished, test } from "vitest";

import { Command } from "../socks/wire.ts";
import { startBed } from "../testing/proxy.ts";
import { connectRaw, greeting, nameRequest } from "../testing/raw-client.ts";
import { datagramToIpv4, openUdpEcho, openUdpPeer } from "../testing/udp-client.ts";

test("the proxy counts the octets of datagrams, without their headers, while the association stands", async () => {
  const bed = await startBed([], { page: { host: "127.0.0.1", port: 0 } });
  const [echo, client] = [await openUdpEcho(), await openUdpPeer()];
  const control = await connectRaw(bed.port);
  onTestFinished(async () => {
    control.socket.end();
    await bed.close();
    echo.close();
    client.close();
  });
  control.send(greeting, nameRequest("0.0.0.0", 0, Command.UdpAssociate));
  const relay = (await control.read(12)).readUInt16BE(10);
  client.send(datagramToIpv4("127.0.0.1", echo.port, "seven__"), relay);
  await client.next();
  const { host, port } = bed.proxy.page ?? expect.fail("it has no page");
  const status = await (await fetch(`http://${host}:${port}/status`)).json();
  expect(status).toMatchObject({ bytesUp: 7, bytesDown: 7 });
});
