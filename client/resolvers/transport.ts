import { X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from "node:net";
import { connect as connectTls, createSecureContext, getCACertificates, type SecureContext } from "node:tls";
import { Agent, type buildConnector, fetch as fetchWith } from "undici";

import { type Address, familyOf } from "../../shared/address.ts";
import { BerthError } from "../../shared/errors.ts";

export interface TransportSettings {
  /** A certificate authority to trust besides the system's; one that is `required` has to be there from the start. */
  ca?: { file: string; required: boolean };
  /** The addresses of a resolver's hostname, best first. */
  addressesOf: (hostname: string) => Promise<readonly Address[]>;
  /** Told when a connection to a resolver by its hostname has come about. */
  onReached?: (hostname: string) => void;
}

/** HTTP to resolvers, with its own trust and its own way to their addresses, whatever the process around it trusts. */
export interface Transport {
  /** For questions somebody waits for: they keep the process alive until they end. Sent once more when a kept connection broke. */
  fetch: typeof fetch;
  /** For what goes on in the background: it never keeps the process alive. */
  background: typeof fetch;
  /** Ends every connection. */
  close(): Promise<void>;
}

const connectTimeoutMs = 5_000;
/** Enough for many names at once, and few for a resolver with many users. */
const connections = 8;

/** Throws a BerthError `bad-config` when a required certificate authority is missing or is none. */
export function createTransport(settings: TransportSettings): Transport {
  const trust = settings.ca === undefined ? undefined : createTrust(settings.ca);
  const questions = createKeptAgent(settings, trust, true);
  const background = createKeptAgent(settings, trust, false);
  return {
    fetch: fetchBy(questions),
    background: fetchBy(background),
    close: async () => {
      await Promise.all([questions.close(), background.close()]);
    },
  };
}

interface KeptAgent {
  current(): Agent;
  close(): Promise<void>;
}

/** One agent for as long as the trust stays the same: a connection must not outlive what it was trusted for. */
function createKeptAgent(settings: TransportSettings, trust: Trust | undefined, isRef: boolean): KeptAgent {
  let agent: Agent | undefined;
  let context: SecureContext | undefined;
  return {
    current() {
      const trusted = trust?.();
      if (agent !== undefined && trusted === context) return agent;
      // Lets what is under way finish.
      void agent?.close();
      context = trusted;
      const connect = connectorOf(settings, trusted, isRef);
      agent = new Agent({ connections, pipelining: 1, keepAliveTimeout: 30_000, connect });
      return agent;
    },
    async close() {
      await agent?.destroy();
    },
  };
}

function fetchBy(agent: KeptAgent): typeof fetch {
  const send = async (input: string | URL, init: object): Promise<Response> => {
    const reply = await fetchWith(input, { ...init, dispatcher: agent.current() });
    // The same class in all but its name's owner: what the platform's fetch gives is undici's too.
    return reply as unknown as Response;
  };
  return async (input, init = {}) => {
    if (typeof input !== "string" && !(input instanceof URL)) throw new TypeError("a URL is wanted");
    try {
      return await send(input, init);
    } catch (fault) {
      if (init.signal?.aborted || !isBrokenConnection(fault)) throw fault;
      // A resolver that restarted has closed the connections we kept. What we send may be sent twice: they are questions.
      return send(input, init);
    }
  };
}

function isBrokenConnection(fault: unknown): boolean {
  const cause = fault instanceof Error ? fault.cause : undefined;
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return code === "UND_ERR_SOCKET" || code === "ECONNRESET" || code === "EPIPE";
}

function connectorOf(
  { addressesOf, onReached }: TransportSettings,
  secureContext: SecureContext | undefined,
  isRef: boolean,
): buildConnector.connector {
  const lookup: LookupFunction = (hostname, { all }, done) => {
    addressesOf(hostname).then(
      (addresses) => {
        const found = addresses.map((address) => ({ address, family: familyOf(address) }));
        const [first] = found;
        if (first === undefined) done(new Error(`no address of ${hostname} is known`), "");
        else if (all) done(null, found);
        else done(null, first.address, first.family);
      },
      (fault: NodeJS.ErrnoException) => done(fault, ""),
    );
  };
  return function connect({ hostname, port, protocol }, done) {
    const isTls = protocol === "https:";
    const where = { host: hostname, port: Number(port || (isTls ? 443 : 80)), lookup, noDelay: true };
    const name = isIP(hostname) === 0 ? { servername: hostname } : {};
    const trusted = secureContext === undefined ? {} : { secureContext };
    const socket = isTls
      ? connectTls({ ...where, ...name, ...trusted, ALPNProtocols: ["http/1.1"] })
      : connectTcp(where);
    if (!isRef) neverRef(socket);
    socket.setTimeout(connectTimeoutMs, () => socket.destroy(new Error("no connection in time")));
    const failed = (fault: Error): void => done(explained(fault, hostname), null);
    socket.once("error", failed);
    socket.once(isTls ? "secureConnect" : "connect", () => {
      socket.off("error", failed);
      socket.setTimeout(0);
      if (isIP(hostname) === 0) onReached?.(hostname);
      done(null, socket);
    });
  };
}

/** Node's own advice leads to trust for the whole process, which is not what is missing. */
function explained(fault: NodeJS.ErrnoException, hostname: string): Error {
  if (!/SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)/.test(fault.code ?? "")) return fault;
  const text = `no authority trusted here has signed its certificate (${fault.code}); give the resolver's tls/ca.pem with --ca or BERTH_CA`;
  return new BerthError("untrusted-resolver", text, { who: hostname });
}

/** The HTTP client holds a connection for as long as a reply is on its way, which the change feed's always is. */
function neverRef(socket: Socket): void {
  socket.unref();
  socket.ref = () => socket;
}

type Trust = () => SecureContext | undefined;

/** What is trusted now: read again when the file changes, because an agent may start before the resolver that makes it. */
function createTrust({ file, required }: { file: string; required: boolean }): Trust {
  let stamp = "";
  let context: SecureContext | undefined;
  function refresh(): SecureContext | undefined {
    const { mtimeMs, size, ino } = statSync(file, { throwIfNoEntry: false }) ?? {};
    if (mtimeMs === undefined || stamp === `${mtimeMs} ${size} ${ino}`) return context;
    context = contextTrusting(file);
    stamp = `${mtimeMs} ${size} ${ino}`;
    return context;
  }
  if (required && statSync(file, { throwIfNoEntry: false }) === undefined) {
    const message = `--ca ${file}: there is no such file; copy the resolver's tls/ca.pem from its state directory`;
    throw new BerthError("bad-config", message, { who: file });
  }
  if (required) refresh();
  return refresh;
}

function contextTrusting(file: string): SecureContext {
  try {
    const text = readFileSync(file, "utf8");
    // A file without a certificate would pass for one that trusts nothing more.
    new X509Certificate(text);
    return createSecureContext({ ca: [...getCACertificates("default"), text] });
  } catch (cause) {
    const message = `--ca ${file}: holds no certificate (PEM); copy the resolver's tls/ca.pem from its state directory`;
    throw new BerthError("bad-config", message, { who: file, cause });
  }
}
