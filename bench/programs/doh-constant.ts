import { readFileSync } from "node:fs";
import { createSecureServer } from "node:http2";

import { dnsMessageType, dohPath } from "../../shared/dns/doh.ts";
import { takeOrders } from "./orders.ts";

/** The floor: what node:http2 itself costs. Reads a whole request, says the same bytes to every one, and knows nothing of DNS. */
const orders = {
  async listen({
    certificateAndKey,
    port,
    body,
  }: {
    certificateAndKey: string;
    port: number;
    body: Uint8Array;
  }) {
    const pem = readFileSync(certificateAndKey);
    const server = createSecureServer({ cert: pem, key: pem, minVersion: "TLSv1.2" });
    server.on("connection", (socket) => socket.setNoDelay(true));
    server.on("stream", (stream, headers) => {
      const isQuery = headers[":path"]?.startsWith(dohPath) ?? false;
      const answer = (): void => {
        stream.respond({
          ":status": isQuery ? 200 : 404,
          "content-type": dnsMessageType,
          "content-length": body.length,
          "cache-control": "max-age=1",
        });
        stream.end(body);
      };
      stream.on("error", () => undefined);
      if (headers[":method"] === "POST") stream.resume().once("end", answer);
      else answer();
    });
    server.on("session", (session) => session.on("error", () => undefined));
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  },
};

export type ConstantOrders = typeof orders;
takeOrders(orders);
