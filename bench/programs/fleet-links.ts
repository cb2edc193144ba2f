import { once } from "node:events";
import { WebSocket } from "ws";

import type { SignedRequest } from "./signed-hosts.ts";

const protocol = "berth.link.1";
/** Source addresses of loopback: a resolver takes 512 connections from one peer, and no fleet comes from one. */
const peers = 8;

/** A host's link: pings are answered in their order. */
export interface OpenLink {
  /** Milliseconds until the pong. */
  ping(): Promise<number>;
  drop(): void;
}

export async function openLink(
  { path, headers }: SignedRequest,
  { origin, ca }: { origin: string; ca: Buffer },
  index: number,
): Promise<OpenLink> {
  const localAddress = `127.0.0.${2 + (index % peers)}`;
  const socket = new WebSocket(new URL(path, origin), [protocol], {
    headers,
    ca,
    localAddress,
    perMessageDeflate: false,
  });
  const waiting: PromiseWithResolvers<void>[] = [];
  const fail = (reason: string): void => {
    for (const { reject } of waiting.splice(0)) reject(new Error(`a link ${reason}`));
  };
  socket.on("message", (text) => {
    if (String(text) === "pong") waiting.shift()?.resolve();
  });
  socket.on("error", () => undefined);
  socket.once("close", (code) => fail(`closed with ${code}`));
  // Rejects with the fault when "error" comes first.
  await once(socket, "open");
  return {
    async ping() {
      const startedAt = performance.now();
      const pong = Promise.withResolvers<void>();
      waiting.push(pong);
      socket.send("ping");
      await pong.promise;
      return performance.now() - startedAt;
    },
    drop: () => socket.terminate(),
  };
}
