import { type ClientRequestArgs, Agent as HttpAgent, type AgentOptions as HttpAgentOptions } from "node:http";
import { Agent as HttpsAgent, type AgentOptions as HttpsAgentOptions } from "node:https";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";

import type { OpenSocket } from "./service-socket.ts";

const never = new AbortController().signal;

type Done = (fault: Error | null, socket: Duplex) => void;

/** An agent for `http.request` whose connections go where names lead. Connections are kept for further requests unless said otherwise. */
export function createHttpAgent(open: OpenSocket, options: HttpAgentOptions): HttpAgent {
  const agent = new HttpAgent({ keepAlive: true, ...options });
  const usual = agent.createConnection.bind(agent);
  agent.createConnection = (target, done) => {
    // A Unix socket has no name to resolve.
    if (target.socketPath) return usual(target, done);
    if (done !== undefined) openFor(open, target, 80).then((socket) => done(null, socket), failing(done));
    return undefined;
  };
  return agent;
}

/** The same for `https.request`: TLS with the name asked for, which the certificate has to be for. */
export function createHttpsAgent(open: OpenSocket, options: HttpsAgentOptions): HttpsAgent {
  const agent = new HttpsAgent({ keepAlive: true, ...options });
  // Node's own does TLS, and keeps sessions, over whatever socket it is given.
  const secure = agent.createConnection.bind(agent);
  agent.createConnection = (target, done) => {
    if (target.socketPath) return secure(target, done);
    if (done === undefined) return undefined;
    openFor(open, target, 443).then((socket) => {
      const over: ClientRequestArgs & { socket: Socket } = { ...target, socket };
      const connection = secure(over);
      if (connection) done(null, connection);
    }, failing(done));
    return undefined;
  };
  return agent;
}

function openFor(open: OpenSocket, asked: ClientRequestArgs, usualPort: number): Promise<Socket> {
  const { host, port } = asked;
  const target = { host: host ?? "localhost", port: Number(port ?? usualPort) };
  // Node keeps the request's signal to itself. An idle connection that the server ends has to close, or the next request would be sent into it.
  return open(target, { allowHalfOpen: false, signal: never });
}

/** As a socket that fails: Node's agents go on with the requests that wait for one when a socket closes, not when they are told of a fault. */
function failing(done: Done): (fault: Error) => void {
  return (fault) => {
    const failed = new Socket();
    // Else what is written to it would fail before it does, for another reason.
    failed.cork();
    done(null, failed);
    // Once the request has it and listens, or has left it because it was called off.
    process.nextTick(() => failed.destroy(fault));
  };
}
