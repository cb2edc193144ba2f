import { credentials, greeting, nameRequest, socks4Request } from "../../socks-proxy/testing/raw-client.ts";
import type { Material } from "./cases.ts";

export const serviceName = "echo.berth.internal";
export const servicePort = 80;

const byName = nameRequest(serviceName, servicePort);
const both = Uint8Array.of(5, 2, 0, 2);
const portOctets = [servicePort >> 8, servicePort & 255];

const streams: readonly Uint8Array[] = [
  joined(greeting, byName),
  joined(greeting, byName, "data that came early"),
  joined(both, byName, "x".repeat(5_000)),
  joined(greeting, nameRequest("nobody.berth.internal", servicePort)),
  joined(greeting, nameRequest("192.0.2.1", servicePort)),
  joined(greeting, nameRequest("[2001:db8::1]", servicePort)),
  joined(greeting, Uint8Array.of(5, 1, 0, 1, 192, 0, 2, 1, ...portOctets), "data"),
  joined(
    greeting,
    Uint8Array.of(5, 1, 0, 4, 0x20, 1, 0xd, 0xb8, ...new Uint8Array(12), ...portOctets),
    "data",
  ),
  joined(greeting, Uint8Array.of(5, 2, 0, 1, 0, 0, 0, 0, 0, 0)),
  joined(greeting, Uint8Array.of(5, 3, 0, 1, 0, 0, 0, 0, 0, 0), "nothing is said here"),
  joined(greeting, nameRequest(serviceName, 0, 0xf0)),
  joined(greeting, Uint8Array.of(5, 0xf1, 0, 1, 192, 0, 2, 1, 0, 0)),
  joined(Uint8Array.of(5, 1, 2), credentials("me", "secret"), byName, "data"),
  joined(both, credentials("me", "guess"), byName),
  joined(Uint8Array.of(5, 255, ...new Uint8Array(255)), byName),
  joined(socks4Request({ name: serviceName, port: servicePort, user: "somebody" }), "data"),
  joined(socks4Request({ address: [192, 0, 2, 1], port: servicePort }), "data"),
  joined(socks4Request({ name: serviceName, port: 0, command: 0xf0 })),
  joined(`GET http://${serviceName}/ HTTP/1.1\r\nHost: ${serviceName}\r\nConnection: close\r\n\r\n`),
  joined(
    `CONNECT ${serviceName}:${servicePort} HTTP/1.1\r\nHost: ${serviceName}:${servicePort}\r\n\r\n`,
    "data",
  ),
  joined(`CONNECT 192.0.2.1:443 HTTP/1.1\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n\r\n`),
  joined(
    `POST http://${serviceName}/ HTTP/1.1\r\nHost: ${serviceName}\r\nTransfer-Encoding: chunked\r\n\r\n`,
    "5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n",
  ),
  joined(`GET / HTTP/1.1\r\nHost: ${serviceName}\r\n\r\nGET /status HTTP/1.1\r\nHost: x\r\n\r\n`),
  joined(
    `GET http://${serviceName}/ HTTP/1.1\r\nHost: ${serviceName}\r\n`,
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  ),
  Uint8Array.of(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3),
];

const messages: readonly Uint8Array[] = [
  joined(Uint8Array.of(0, 0, 0, 3, serviceName.length), serviceName, Uint8Array.of(...portOctets), "data"),
  joined(Uint8Array.of(0, 0, 0, 1, 192, 0, 2, 1, ...portOctets), "data"),
  joined(Uint8Array.of(0, 0, 0, 4, 0x20, 1, 0xd, 0xb8, ...new Uint8Array(12), ...portOctets), "data"),
];

/** What well-behaved clients send, SOCKS ones above all. */
export const exchanges: Material = { originals: streams, pieces: [], whole: 0.05 };
/** Datagrams as clients send them to their association. */
export const datagrams: Material = { originals: messages, pieces: [], whole: 0.05 };

function joined(...parts: (Uint8Array | string)[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts.map((part) => Buffer.from(part as string))));
}
