import { systemClock } from "../../agent/clock.ts";
import { noTraffic } from "../../agent/relay/open-relay.ts";
import { RelayBudget } from "../../agent/relay/relay-budget.ts";
import { openUdpRelay } from "../../agent/relay/udp-relay.ts";
import type { Address } from "../../shared/address.ts";
import { createLog } from "../../shared/log.ts";
import { Command } from "../../socks-proxy/socks/wire.ts";
import { startBed } from "../../socks-proxy/testing/proxy.ts";
import { connectRaw, greeting } from "../../socks-proxy/testing/raw-client.ts";
import { openUdpEcho } from "../../socks-proxy/testing/udp-client.ts";

/**
 * The two that carry datagrams to a server and back, in a network namespace: an agent's relay, and an association of the SOCKS proxy
 * whose client has not said which port it will send from. Prints `echo PORT`, `relay PORT` and `association PORT`, then each datagram
 * that the server hears.
 */

const loopback = "127.0.0.1" as Address;
const relayPort = 7_007;

const echo = await openUdpEcho();
echo.socket.on("message", (datagram) => console.log(`heard ${datagram}`));
console.log(`echo ${echo.port}`);

const log = createLog("relay", "debug", (line) => console.log(line));
await openUdpRelay({
  listen: [loopback],
  port: relayPort,
  target: { address: loopback, port: echo.port },
  counters: { ...noTraffic },
  budget: new RelayBudget(16, log),
  clock: systemClock,
  log,
});
console.log(`relay ${relayPort}`);

const bed = await startBed();
const control = await connectRaw(bed.port);
control.send(greeting, Uint8Array.of(5, Command.UdpAssociate, 0, 1, 0, 0, 0, 0, 0, 0));
const reply = await control.read(12);
console.log(`association ${reply.readUInt16BE(10)}`);
