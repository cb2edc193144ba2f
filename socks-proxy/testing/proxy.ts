import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { startResolver, type TestResolver } from "../../client/testing/doh-server.ts";
import { readConfig } from "../../shared/config.ts";
import type { RR } from "../../shared/dns/message.ts";
import { createLog } from "../../shared/log.ts";
import { type ProxyConfig, proxyOptions } from "../config.ts";
import { type ProxyPorts, type RunningProxy, startProxy } from "../main.ts";

/** A proxy, its resolver and upstream servers, all on loopback, all closed together. */
export interface ProxyBed {
  port: number;
  proxy: RunningProxy;
  resolver: TestResolver;
  lines: string[];
  /** Starts a TCP server that gives each connection to `serve`; resolves to its port. */
  upstream(serve: (socket: Socket) => void, host?: string): Promise<number>;
  close(): Promise<void>;
}

export async function startBed(
  records: RR[] = [],
  config: Partial<{ -readonly [K in keyof ProxyConfig]: ProxyConfig[K] }> = {},
  ports: Partial<ProxyPorts> = {},
): Promise<ProxyBed> {
  const resolver = await startResolver(records);
  const lines: string[] = [];
  const log = createLog("socks-proxy", "debug", (line) => lines.push(line));
  const proxy = await startProxy({ ...bedConfig(resolver.url), ...config }, { fetch, log, ...ports });
  const closers: (() => void)[] = [resolver.close];
  return {
    port: proxy.address.port,
    proxy,
    resolver,
    lines,
    async upstream(serve, host = "127.0.0.1") {
      const sockets = new Set<Socket>();
      const server = createServer({ allowHalfOpen: true }, (socket) => {
        sockets.add(socket);
        socket.on("error", () => {}).once("close", () => sockets.delete(socket));
        serve(socket);
      });
      server.listen(0, host);
      await once(server, "listening");
      closers.push(() => {
        server.close();
        for (const socket of sockets) socket.destroy();
      });
      return (server.address() as AddressInfo).port;
    },
    async close() {
      await proxy.close();
      for (const close of closers) close();
    },
  };
}

/** What a proxy is started with when nothing is set, but for what would reach beyond the test. */
function bedConfig(resolverUrl: string): ProxyConfig {
  return {
    ...readConfig(proxyOptions, { listen: "127.0.0.1:0", zone: "berth.internal", page: "off" }, {}),
    resolver: [resolverUrl],
    idleTimeout: 60,
    // A refusal is to come at once; the tests of the patience ask for it.
    restartPatience: 0,
    drainTimeout: 0,
  };
}
