import { oneLine } from "../../shared/log.ts";
import { refusalText } from "../log-line.ts";
import type { Refusal } from "../socks/reply.ts";

/** What the proxy itself answers a client: a status, and a sentence that says what is wrong and what would be right. */
export interface HttpPage {
  status: number;
  phrase: string;
  text: string;
  fields: readonly [string, string][];
}

const phrases: Readonly<Record<number, string>> = {
  200: "OK",
  400: "Bad Request",
  403: "Forbidden",
  405: "Method Not Allowed",
  407: "Proxy Authentication Required",
  408: "Request Timeout",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  508: "Loop Detected",
};

export function httpPage(status: number, text: string, fields: readonly [string, string][] = []): HttpPage {
  return { status, phrase: phrases[status] ?? "", text: `${oneLine(text)}\n`, fields };
}

/** The one table from refusal to status (RFC 9110 §15). `shown` is the destination as the client wrote it. */
export function refusalPage(shown: string, refusal: Refusal): HttpPage {
  const text = `berth: ${shown}: ${refusalText(refusal)}`;
  switch (refusal.kind) {
    case "not-allowed":
      return httpPage(403, text);
    case "bad-name":
      return httpPage(400, text);
    case "no-answer":
      return httpPage(503, text, [["Retry-After", "1"]]);
    case "too-many":
      return httpPage(429, text, [["Retry-After", "1"]]);
    case "connect-failed":
      return httpPage(isTimeOut(refusal) ? 504 : 502, text);
    case "own-fault":
      return httpPage(500, text);
    default:
      return httpPage(502, text);
  }
}

/** RFC 7617, with its charset: user names and passwords are UTF-8 here. */
export function authenticationPage(): HttpPage {
  const text = "berth: this proxy is for its users; set a user name and a password for it";
  return httpPage(407, text, [["Proxy-Authenticate", 'Basic realm="berth", charset="UTF-8"']]);
}

/** For a request that may go no further (RFC 9110 §7.6.2): whoever counts hops learns which proxy is here. */
export function lastHopPage(method: string, via: string): HttpPage {
  const isAnswered = method === "OPTIONS";
  const text = `berth: Max-Forwards lets this request go no further than the proxy ${via}`;
  return httpPage(isAnswered ? 200 : 405, text, [["Allow", "OPTIONS"]]);
}

/** Header fields of a page, its body's included. It is about this moment, and its text has words of a client's in it. */
export function pageFields({ text, fields }: HttpPage): string[] {
  return [
    ...["Content-Type", "text/plain; charset=utf-8"],
    ...["Content-Length", String(new TextEncoder().encode(text).length)],
    ...["Cache-Control", "no-store"],
    ...["X-Content-Type-Options", "nosniff"],
    ...fields.flat(),
  ];
}

/** A whole response that ends its connection, for where there is no HTTP server any more. */
export function pageMessage(page: HttpPage, method = "GET"): string {
  const fields = [...pageFields(page), "Connection", "close"];
  return messageHead(`HTTP/1.1 ${page.status} ${page.phrase}`, fields) + (method === "HEAD" ? "" : page.text);
}

/** A start line and fields that came from a parser, or are our own. */
export function messageHead(startLine: string, fields: readonly string[]): string {
  const lines = fields.flatMap((name, index) =>
    index % 2 === 0 ? `${name}: ${fields[index + 1] ?? ""}\r\n` : [],
  );
  return `${startLine}\r\n${lines.join("")}\r\n`;
}

/** Somebody who refuses says more than somebody who is silent. */
function isTimeOut({ failures }: Extract<Refusal, { kind: "connect-failed" }>): boolean {
  return failures.length > 0 && failures.every(({ errno }) => errno === "ETIMEDOUT");
}
