import { WebSocket } from "ws";

import type { Link, LinkEvents, LinkRequest } from "./renewal-link.ts";

const protocol = "berth.link.1";
/** For a polite end; the agent's own end waits for it. */
const closeTimeout = 1_000;
/** A resolver may refuse every name of a set, each with its reason. */
const maxPayload = 16 * 1024 * 1024;

/** Opens a link to a resolver. Trusts the certificates every other connection of this process trusts, and follows no redirect. */
export function openLink({ url, headers }: LinkRequest, events: LinkEvents): Link {
  const options = { headers, closeTimeout, maxPayload, perMessageDeflate: false, followRedirects: false };
  const socket = new WebSocket(url, [protocol], options);
  let isOver = false;
  let fault: Error | undefined;
  const end = (report: () => void): void => {
    if (isOver) return;
    isOver = true;
    report();
  };
  socket.on("open", () => events.onOpen());
  socket.on("message", (data, isBinary) => {
    if (!isOver && !isBinary) events.onMessage(data.toString());
  });
  socket.on("unexpected-response", (request, response) => {
    request.destroy();
    end(() => events.onEnd({ kind: "refused", status: response.statusCode ?? 0 }));
    socket.terminate();
  });
  // Always followed by "close".
  socket.on("error", (error) => {
    fault = error;
  });
  socket.on("close", (code) => {
    end(() => events.onEnd(fault === undefined ? { kind: "closed", code } : { kind: "failed", fault }));
  });
  return {
    send: (text) => socket.send(text, () => {}),
    close: () => end(() => socket.close(1000)),
    drop: () => end(() => socket.terminate()),
  };
}
