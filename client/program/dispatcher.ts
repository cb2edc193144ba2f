import { Agent, buildConnector } from "undici";

import type { DispatcherOptions, FetchDispatcher } from "./client-types.ts";
import type { OpenSocket } from "./service-socket.ts";

/** An undici Agent, which `fetch` takes as its `dispatcher`, whose connections go where names lead. */
export function createDispatcher(
  open: OpenSocket,
  { connect: tls, ...options }: DispatcherOptions,
): FetchDispatcher {
  const secure = buildConnector(tls ?? {});
  const ending = new AbortController();
  const agent = new Agent({
    ...options,
    connect(target, done) {
      const isTls = target.protocol === "https:";
      const { hostname } = target;
      const host = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
      const port = Number(target.port || (isTls ? 443 : 80));
      open({ host, port }, { allowHalfOpen: false, signal: ending.signal }).then(
        // Over a socket that is there already undici's own connector does the TLS: name, sessions, ALPN.
        (socket) => (isTls ? secure({ ...target, httpSocket: socket }, done) : done(null, socket)),
        (fault: Error) => done(fault, null),
      );
    },
  });
  // undici tells its connectors nothing of requests that have gone; its `close` calls this once all that were left are done.
  const { destroy } = agent;
  agent.destroy = (...given: unknown[]) => {
    const ended = Reflect.apply(destroy, agent, given);
    ending.abort();
    return ended;
  };
  return agent as FetchDispatcher;
}
