import type { Destination } from "../../client/answers/destination.ts";
import { type Refusal, refused, type SocksProtocol } from "./reply.ts";
import {
  encodeMethodSelection,
  Method,
  type Parsed,
  parseMethods,
  parseRequest,
  socksVersion,
} from "./wire.ts";
import { encodeAuthenticationStatus, parseCredentials } from "./wire-authentication.ts";
import { parseSocks4Request, socks4Version } from "./wire-socks4.ts";

/** Who may use the proxy. */
export interface Users {
  /** Their name when the password is theirs. How long it takes says nothing about which of the two was wrong, or by how much. */
  verify(name: Uint8Array, password: Uint8Array): string | undefined;
}

export interface ClientRequest {
  protocol: SocksProtocol;
  command: number;
  destination: Destination;
  /** Who has proved to ask; undefined where nobody has to. */
  user: string | undefined;
}

/** What a client turned out to want. Every fault is already answered as its protocol has it; the connection is to be ended. */
export type HandshakeOutcome =
  /** `early` are octets that came behind the request: the first ones of what is to be relayed. */
  | { kind: "request"; request: ClientRequest; early: Uint8Array }
  /** A client that speaks HTTP; `early` is all that it sent. */
  | { kind: "http"; early: Uint8Array }
  | HandshakeFault;

export type HandshakeFault =
  | { kind: "unknown-protocol"; firstOctet: number }
  | { kind: "no-acceptable-method"; wanted: Method }
  /** `reason` may hold the name that was presented, which is hostile text; never a password. */
  | { kind: "not-authenticated"; reason: string }
  | { kind: "refused"; protocol: SocksProtocol; refusal: Refusal };

export interface HandshakeStep {
  /** To be sent now, before anything else; empty for nothing. */
  send: Uint8Array;
  /** Undefined while more has to be read. Nothing may be read after it. */
  outcome: HandshakeOutcome | undefined;
}

/** What one stage made of the octets: so many are used up, this is to be said, and then another stage or the end. */
interface Advance {
  used: number;
  send?: Uint8Array;
  next: Stage | HandshakeOutcome;
}

/** Undefined while more has to be read. */
type Stage = (bytes: Uint8Array) => Advance | undefined;

const nothing: Uint8Array = new Uint8Array(0);
const text = new TextDecoder();

/**
 * The server's side of a hand-shake, without a socket: told apart by its first octet, 5 is SOCKS5, 4 is SOCKS4 or 4a, a capital letter
 * is HTTP. What it holds is never longer than the longest message (521 octets) and one read.
 */
export class Handshake {
  readonly #users: Users | undefined;
  #stage: Stage = (bytes) => this.#first(bytes);
  #unread: Uint8Array = nothing;
  #user: string | undefined;

  /** With `users`, each client has to prove to be one of them. */
  constructor(users: Users | undefined) {
    this.#users = users;
  }

  /** `chunk` is not kept. A client may send its messages without waiting for our answers, so that one chunk can hold several. */
  read(chunk: Uint8Array): HandshakeStep {
    let bytes = joined(this.#unread, chunk);
    let send = nothing;
    for (;;) {
      const advance = this.#stage(bytes);
      if (advance === undefined) {
        this.#unread = new Uint8Array(bytes);
        return { send, outcome: undefined };
      }
      bytes = bytes.subarray(advance.used);
      if (advance.send !== undefined) send = joined(send, advance.send);
      if (typeof advance.next !== "function") return { send, outcome: withEarly(advance.next, bytes) };
      this.#stage = advance.next;
    }
  }

  #first(bytes: Uint8Array): Advance | undefined {
    const [firstOctet] = bytes;
    if (firstOctet === undefined) return undefined;
    if (firstOctet === socksVersion) return { used: 0, next: (rest) => this.#methods(rest) };
    if (firstOctet === socks4Version) return { used: 0, next: (rest) => this.#socks4(rest) };
    if (isCapital(firstOctet)) return { used: 0, next: { kind: "http", early: nothing } };
    return { used: 0, next: { kind: "unknown-protocol", firstOctet } };
  }

  #methods(bytes: Uint8Array): Advance | undefined {
    const methods = parseMethods(bytes);
    if (methods.kind !== "value") return refusalOf("socks5", methods);
    const wanted = this.#users === undefined ? Method.NoAuthentication : Method.UsernamePassword;
    const used = methods.length;
    if (!methods.value.includes(wanted)) {
      const send = encodeMethodSelection(Method.NoneAcceptable);
      return { used, send, next: { kind: "no-acceptable-method", wanted } };
    }
    const authenticates = wanted === Method.UsernamePassword;
    const next: Stage = (rest) => (authenticates ? this.#credentials(rest) : this.#request(rest));
    return { used, send: encodeMethodSelection(wanted), next };
  }

  #credentials(bytes: Uint8Array): Advance | undefined {
    const parsed = parseCredentials(bytes);
    if (parsed.kind === "incomplete") return undefined;
    if (parsed.kind === "fault") return notAuthenticated(parsed.reason);
    const { name, password } = parsed.value;
    this.#user = this.#users?.verify(name, password);
    if (this.#user === undefined)
      return notAuthenticated(`"${text.decode(name)}" with that password is no user`);
    const send = encodeAuthenticationStatus(true);
    return { used: parsed.length, send, next: (rest) => this.#request(rest) };
  }

  #request(bytes: Uint8Array): Advance | undefined {
    const parsed = parseRequest(bytes);
    if (parsed.kind !== "value") return refusalOf("socks5", parsed);
    const request: ClientRequest = { protocol: "socks5", ...parsed.value, user: this.#user };
    return { used: parsed.length, next: { kind: "request", request, early: nothing } };
  }

  #socks4(bytes: Uint8Array): Advance | undefined {
    const parsed = parseSocks4Request(bytes);
    if (parsed.kind !== "value") return refusalOf("socks4", parsed);
    if (this.#users !== undefined) return refusal("socks4", { kind: "authentication-required" });
    const request: ClientRequest = { protocol: "socks4", ...parsed.value, user: undefined };
    return { used: parsed.length, next: { kind: "request", request, early: nothing } };
  }
}

function refusalOf(
  protocol: SocksProtocol,
  parsed: Exclude<Parsed<never>, { kind: "value" }>,
): Advance | undefined {
  return parsed.kind === "fault" ? refusal(protocol, parsed.fault) : undefined;
}

function refusal(protocol: SocksProtocol, reason: Refusal): Advance {
  return { used: 0, send: refused(protocol, reason), next: { kind: "refused", protocol, refusal: reason } };
}

/** RFC 1929 §2: a status that is not success, and then the server MUST close the connection. */
function notAuthenticated(reason: string): Advance {
  return { used: 0, send: encodeAuthenticationStatus(false), next: { kind: "not-authenticated", reason } };
}

function isCapital(octet: number): boolean {
  return octet >= 0x41 && octet <= 0x5a;
}

/** A copy: what was read is only lent. */
function withEarly(outcome: HandshakeOutcome, rest: Uint8Array): HandshakeOutcome {
  return "early" in outcome && rest.length > 0 ? { ...outcome, early: new Uint8Array(rest) } : outcome;
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  if (first.length === 0) return second;
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
