import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";

import type { Address } from "../../shared/address.ts";
import type { ListenAddress } from "../../shared/config.ts";
import { Rcode, RRType } from "../../shared/dns/constants.ts";
import { decodeQuery, encodeResponse, type Query, type RR } from "../../shared/dns/message.ts";
import { type Name, parseName } from "../../shared/name.ts";
import { probeName } from "../../shared/reserved.ts";

const host = "127.0.0.1";

/** A DNS server at 127.0.0.1 that gives `address` for the probe of each zone it knows; without one it knows nothing. */
export class FakeDnsListener {
  readonly #socket: Socket;
  readonly #address: Address | undefined;
  readonly #zones: readonly Name[];

  private constructor(address: Address | undefined, zones: readonly Name[]) {
    this.#address = address;
    this.#zones = zones;
    this.#socket = createSocket("udp4");
    this.#socket.on("message", (bytes, { port }) => {
      const query = decodeQuery(bytes);
      const answer = this.#answerTo(query);
      const rcode = answer.length === 0 ? Rcode.NXDomain : Rcode.NoError;
      const parts = { rcode, authoritative: false, answer, authority: [], additional: [] };
      this.#socket.send(encodeResponse(query, parts), port, host);
    });
  }

  static async start(address: Address | undefined, zones: readonly Name[]): Promise<FakeDnsListener> {
    const listener = new FakeDnsListener(address, zones);
    listener.#socket.bind(0, host);
    await once(listener.#socket, "listening");
    return listener;
  }

  get at(): ListenAddress {
    return { host, port: this.#socket.address().port };
  }

  close(): void {
    this.#socket.close();
  }

  #answerTo({ question }: Query): RR[] {
    const address = this.#address;
    if (question === undefined || address === undefined) return [];
    const { type } = question;
    const name = parseName(question.name);
    if (name === "1.0.0.127.in-addr.arpa." && type === RRType.PTR) {
      return this.#zones.map((zone) => ({ name, ttl: 1, rdata: { type, target: probeName(zone) } }));
    }
    const isProbe = type === RRType.A && this.#zones.some((zone) => probeName(zone) === name);
    return isProbe ? [{ name, ttl: 1, rdata: { type, address } }] : [];
  }
}
