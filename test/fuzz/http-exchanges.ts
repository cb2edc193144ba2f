import type { Material } from "./cases.ts";
import { serviceName, servicePort } from "./exchanges.ts";

const host = `Host: ${serviceName}`;
const at = `http://${serviceName}`;
/** The user and the password of some of the exchanges. */
const proof = "Proxy-Authorization: Basic bWU6c2VjcmV0";

/** What well-behaved clients of an HTTP proxy send, and some that try how far they get. */
const requests = [
  head(`GET ${at}/ HTTP/1.1`, host, "Connection: close"),
  head(`GET ${at}/kept HTTP/1.1`, host) + head(`GET ${at}/next?a=b HTTP/1.1`, host, "Accept: */*"),
  head(`GET ${at}:8080/ HTTP/1.1`, `${host}:8080`, proof, "Cookie: a=b; c=d"),
  head(`GET http://192.0.2.1/ HTTP/1.0`, "Connection: keep-alive", "Keep-Alive: timeout=5"),
  head(`GET http://[2001:db8::1]:81/ HTTP/1.1`, "Host: [2001:db8::1]:81", "Via: 1.0 before"),
  head(`GET http://nobody.berth.internal/ HTTP/1.1`, "Host: nobody.berth.internal", proof),
  head(`GET http://127.0.0.1:1081/ HTTP/1.1`, "Host: 127.0.0.1:1081"),
  head(`HEAD ${at} HTTP/1.1`, host, "TE: trailers, deflate", "Connection: TE, X-Mine", "X-Mine: 1"),
  head(`OPTIONS ${at} HTTP/1.1`, host, "Max-Forwards: 1"),
  head(`OPTIONS ${at} HTTP/1.1`, host, "Max-Forwards: 0"),
  head(`TRACE ${at}/ HTTP/1.1`, host, "Max-Forwards: 7"),
  `${head(`POST ${at}/form HTTP/1.1`, host, "Content-Length: 11")}hello=world`,
  `${head(`PUT ${at}/large HTTP/1.1`, host, "Content-Length: 3000", proof)}${"x".repeat(3_000)}`,
  `${head(`POST ${at}/ HTTP/1.1`, host, "Expect: 100-continue", "Content-Length: 5")}hello`,
  head(`POST ${at}/ HTTP/1.1`, host, "Transfer-Encoding: chunked", "Trailer: X-Sum") +
    "5;ext=1\r\nhello\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nX-Sum: 1\r\n\r\n" +
    head(`GET ${at}/behind HTTP/1.1`, host),
  `${head(`POST ${at}/ HTTP/1.1`, host, "Transfer-Encoding: chunked", "Content-Length: 4")}0\r\n\r\n`,
  `${head(`DELETE ${at}/a%20b;c HTTP/1.1`, host, 'If-Match: "x"', "X-High: caf\u00e9")}`,
  `${head(`CONNECT ${serviceName}:${servicePort} HTTP/1.1`, `${host}:${servicePort}`)}data that came early`,
  `${head(`CONNECT 192.0.2.1:443 HTTP/1.1`, proof)}\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03`,
  head(`CONNECT nobody.berth.internal:443 HTTP/1.0`, "User-Agent: x"),
  `${head(
    `GET ${at}/socket HTTP/1.1`,
    host,
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
  )}frames`,
  head(
    `GET ${at}/ HTTP/1.1`,
    host,
    "Connection: Upgrade, HTTP2-Settings",
    "Upgrade: h2c",
    "HTTP2-Settings: AA",
  ),
  head("GET / HTTP/1.1", host) + head("GET /status HTTP/1.1", "Host: x"),
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
];

/** Where a request is read in another way with them than without. */
const pieces = [
  ..."\r\n|\r\n\r\n|\n|\r|\0| |\t|:|,|@|#|?|%00|//|http://|https://|[::1]|xn--|:0|:99999|0\r\n\r\n|ffffffff\r\n".split(
    "|",
  ),
  ...[
    "Content-Length: 5",
    "Content-Length: 0",
    "Content-Length: -1",
    "Content-Length: 5, 5",
    "Host: a",
    proof,
  ],
  ...["Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding : chunked"],
  ...["Connection: close", "Connection: Upgrade", "Upgrade: a/1", "Expect: 100-continue", "Max-Forwards: 0"],
  ...["X-Folded: a\r\n b", "Trailer: X-Sum", "Upgrade: h2c"],
].map((piece) => (/^[A-Z][\w-]+ ?: /.test(piece) ? `${piece}\r\n` : piece));
const more = [
  "HTTP/1.0",
  "HTTP/1.1",
  "HTTP/9.9",
  "GET ",
  "CONNECT ",
  "x".repeat(33_000),
  "X: y\r\n".repeat(300),
];

export const httpRequests = material(requests, [...pieces, ...more]);

/** What servers behind the proxy answer. */
const replies = [
  `${head("HTTP/1.1 200 OK", "Date: Mon, 01 Jan 2024 00:00:00 GMT", "Content-Length: 5")}hello`,
  head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Trailer: X-Sum") +
    "5\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 2\r\n\r\n",
  `${head("HTTP/1.1 200 OK", "Connection: close", "Content-Type: text/plain")}until the end`,
  `${head("HTTP/1.0 404 Not Found", "Server: old")}gone`,
  head("HTTP/1.1 204 No Content", "Keep-Alive: timeout=1", "Connection: keep-alive"),
  head("HTTP/1.1 304 Not Modified", 'ETag: "x"', "Content-Length: 100"),
  `${head("HTTP/1.1 100 Continue")}${head("HTTP/1.1 201 Created", "Content-Length: 0", "Location: /x")}`,
  `${head("HTTP/1.1 103 Early Hints", "Link: </a>")}${head("HTTP/1.1 200 OK", "Content-Length: 1")}a`,
  `${head("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket")}frames of the server`,
  `${head("HTTP/1.1 200 OK", `Content-Length: 3000`, "X-High: caf\u00e9")}${"y".repeat(3_000)}`,
  "SSH-2.0-server\r\n",
];

export const httpReplies = material(replies, [...pieces, "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 \r\n\r\n"]);

function head(...lines: string[]): string {
  return `${lines.join("\r\n")}\r\n\r\n`;
}

function material(originals: readonly string[], fragments: readonly string[]): Material {
  const octets = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));
  return { originals: originals.map(octets), pieces: fragments.map(octets), whole: 0.2 };
}
