import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest, Agent as TlsAgent } from "node:https";
import type { Socket } from "node:net";
import { MemberFault } from "./faults.ts";

/**
 * PEM text. `cert` and `key` only where etcd asks clients for a certificate; while its authentication is on as well, etcd's gateway refuses a
 * client certificate with a common name.
 */
export interface TlsFiles {
  ca?: string;
  cert?: string;
  key?: string;
}

export interface Posted {
  path: string;
  body: object;
  headers: Record<string, string>;
  timeoutMs: number;
}

export interface Reply {
  status: number;
  text: string;
}

export interface Stream {
  status: number;
  /** Ends when the member ends the reply; throws when the connection breaks, or with what `stop` was given. */
  lines: AsyncIterable<string>;
  stop(fault: Error): void;
}

/** HTTP to etcd's members. Rejects with a MemberFault only, which says whether the member can have seen the request. */
export interface Transport {
  /** One request and its whole reply within the time. */
  exchange(url: string, posted: Posted): Promise<Reply>;
  /** As `exchange`, but the time is for the reply's beginning, and the rest comes as lines. */
  stream(url: string, posted: Posted): Promise<Stream>;
  close(): void;
}

/** More is no reply of a registry's, but something gone wrong. */
const maxReplyBytes = 64 * 1024 * 1024;
/** A firewall that forgets a connection, or a host that lost its power, answers no probe: the kernel gives up within about 20 s. */
const tcpKeepAliveMs = 10_000;
/** etcd answers each in about a millisecond; more connections only queue there. */
const maxSockets = 16;

export function createTransport(tls: TlsFiles): Transport {
  const pooled = { keepAlive: true, keepAliveMsecs: tcpKeepAliveMs, maxSockets, scheduling: "lifo" } as const;
  const agents = { plain: new Agent(pooled), secure: new TlsAgent({ ...pooled, ...tls }) };
  const streaming = { plain: new Agent(), secure: new TlsAgent(tls) };
  const all = [agents.plain, agents.secure, streaming.plain, streaming.secure];
  return {
    async exchange(url, posted) {
      const sending = send(url, posted, agents);
      try {
        const response = await sending.response;
        return { status: response.statusCode ?? 0, text: await wholeText(response) };
      } catch (cause) {
        throw sending.fault(cause);
      } finally {
        sending.stopClock();
      }
    },
    async stream(url, posted) {
      const sending = send(url, posted, streaming);
      try {
        const response = await sending.response;
        response.socket.setKeepAlive(true, tcpKeepAliveMs);
        return streamOf(response, sending);
      } catch (cause) {
        throw sending.fault(cause);
      } finally {
        sending.stopClock();
      }
    },
    close() {
      for (const agent of all) agent.destroy();
    },
  };
}

function streamOf(response: IncomingMessage, sending: Sending): Stream {
  let stoppedBy: Error | undefined;
  // A break before the first line is read has nobody to tell but the reader to come.
  response.on("error", () => {});
  async function* lines() {
    try {
      yield* linesOf(response);
    } catch (cause) {
      throw stoppedBy ?? sending.fault(cause);
    }
  }
  return {
    status: response.statusCode ?? 0,
    lines: lines(),
    stop(fault) {
      stoppedBy ??= fault;
      response.destroy(fault);
    },
  };
}

interface Sending {
  response: Promise<IncomingMessage>;
  fault(cause: unknown): MemberFault;
  stopClock(): void;
}

function send(url: string, posted: Posted, agents: { plain: Agent; secure: TlsAgent }): Sending {
  const isSecure = url.startsWith("https:");
  const text = JSON.stringify(posted.body);
  const options = {
    method: "POST",
    headers: {
      ...posted.headers,
      "content-type": "application/json",
      "content-length": Buffer.byteLength(text),
    },
  };
  const target = new URL(posted.path, url);
  const request = isSecure
    ? httpsRequest(target, { ...options, agent: agents.secure })
    : httpRequest(target, { ...options, agent: agents.plain });
  const wasSent = noteSent(request, isSecure);
  const response = new Promise<IncomingMessage>((resolve, reject) => {
    request.once("response", resolve);
    // Stays for good: what comes after the response is told by the response.
    request.on("error", reject);
  });
  const timer = setTimeout(
    () => request.destroy(new Error(`no reply within ${posted.timeoutMs} ms`)),
    posted.timeoutMs,
  );
  request.end(text);
  return {
    response,
    fault: (cause) => faultFrom(url, cause, wasSent()),
    stopClock: () => clearTimeout(timer),
  };
}

/** Nothing of a request leaves before its connection, and its handshake, stand. */
function noteSent(request: ClientRequest, isSecure: boolean): () => boolean {
  let isSent = false;
  request.once("socket", (socket: Socket) => {
    if (request.reusedSocket || (!isSecure && !socket.connecting)) isSent = true;
    else
      socket.once(isSecure ? "secureConnect" : "connect", () => {
        isSent = true;
      });
  });
  return () => isSent;
}

function faultFrom(url: string, cause: unknown, isSent: boolean): MemberFault {
  const message = cause instanceof Error ? cause.message : String(cause);
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  // In TLS 1.3 a server refuses the client's certificate after the client took the handshake for done.
  const untrusted = isSent ? /^ERR_SSL_.*ALERT/.test(code) : certificateCodes.test(code);
  return new MemberFault(url, message || code, { unapplied: !isSent || untrusted, untrusted });
}

/** OpenSSL's verdicts, and Node's own, on a certificate or a handshake. */
const certificateCodes = /^(ERR_SSL_|ERR_TLS_|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|INVALID_CA)/;

async function wholeText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    size += chunk.length;
    if (size > maxReplyBytes) throw new Error(`a reply of more than ${maxReplyBytes} octets`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Lines as they come. Only new octets are searched: a line can be megabytes long and come in many pieces. */
async function* linesOf(response: IncomingMessage): AsyncGenerator<string> {
  let pieces: Buffer[] = [];
  for await (const chunk of response) {
    let from = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      pieces.push(chunk.subarray(from, end));
      yield Buffer.concat(pieces).toString("utf8");
      pieces = [];
      from = end + 1;
    }
    pieces.push(chunk.subarray(from));
  }
  // The gateway ends every line but that of a fault.
  const last = Buffer.concat(pieces).toString("utf8");
  if (last !== "") yield last;
}
