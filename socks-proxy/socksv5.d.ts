/** The part of the foreign client that the tests use; the package has no types of its own. */
declare module "socksv5" {
  import type { EventEmitter } from "node:events";
  import type { Socket } from "node:net";

  interface ConnectOptions {
    host: string;
    port: number;
    proxyHost: string;
    proxyPort: number;
    localDNS: boolean;
    auths: unknown[];
  }

  const socks: {
    connect(options: ConnectOptions, onConnect: (socket: Socket) => void): EventEmitter;
    auth: { None(): unknown };
  };
  export = socks;
}
