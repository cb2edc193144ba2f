import { Agent, buildConnector } from "undici";

import type { OpenSocket } from "./service-socket.ts";

export interface DispatcherOptions extends Omit<Agent.Options, "connect" | "factory"> {
  /** As undici has it, for https: such as `ca`, or a client's `cert` and `key`. */
  connect?: buildConnector.BuildOptions;
}

/** An undici Agent, which `fetch` takes as its `dispatcher`, whose connections go where names lead. */
export function createDispatcher(open: OpenSocket, { connect: tls, ...options }: DispatcherOptions): Agent {
  const secure = buildConnector(tls ?? {});
  return new Agent({
    ...options,
    connect(target, done) {
      const isTls = target.protocol === "https:";
      const { hostname } = target;
      const host = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
      const port = Number(target.port || (isTls ? 443 : 80));
      open({ host, port }, { allowHalfOpen: false, signal: new AbortController().signal }).then(
        // Over a socket that is there already undici's own connector does the TLS: name, sessions, ALPN.
        (socket) => (isTls ? secure({ ...target, httpSocket: socket }, done) : done(null, socket)),
        (fault: Error) => done(fault, null),
      );
    },
  });
}
