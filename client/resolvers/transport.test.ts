import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { copyFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";

import { openAuthority } from "../../resolver/serve/authority.ts";
import type { Address } from "../../shared/address.ts";
import { RRType } from "../../shared/dns/constants.ts";
import { decodeQuery, encodeResponse } from "../../shared/dns/message.ts";
import {
  addressOf,
  addressRecord,
  serviceRecords,
  startResolver,
  type TestResolver,
} from "../testing/doh-server.ts";
import { fileWith, soon, startStubBed, stubBedOf } from "../testing/stub-bed.ts";
import { createTransport } from "./transport.ts";

const name = "web.berth.internal";
const host = "resolver.berth.internal";
const records = serviceRecords(name, 80, [{ address: "10.0.0.5", port: 32768 }]);
const found = { kind: "endpoints", endpoints: [{ port: 32768 }] };
const loopback = addressOf("127.0.0.1");

async function certificates(names: string[]) {
  const authority = await openAuthority(dirname(fileWith("")));
  return { caFile: authority.caFile, tls: await authority.serverCertificate(names, Date.now()) };
}

async function start(options: Parameters<typeof startResolver>[1] = {}): Promise<TestResolver> {
  const resolver = await startResolver(records, options);
  onTestFinished(() => resolver.close());
  return resolver;
}

function at(hostname: string, { url }: TestResolver): string {
  const named = new URL(url);
  named.hostname = hostname;
  return named.href;
}

describe("trust", { timeout: 30_000 }, () => {
  test("is in the certificate authority given, for these questions only", async () => {
    const { caFile, tls } = await certificates(["127.0.0.1"]);
    const resolver = await start({ tls });
    const settings = { ca: { file: caFile, required: true } };
    expect(await stubBedOf(resolver, { settings }).resolve(name, 80)).toMatchObject(found);
    const untrusting = await stubBedOf(resolver).resolve(name, 80);
    expect(untrusting).toMatchObject({ kind: "no-answer", reason: expect.stringContaining("ca.pem") });
    await expect(fetch(resolver.url)).rejects.toThrow("fetch failed");
  });

  test("follows the file: one that comes later, and one that is replaced while it is used", async () => {
    const [old, renewed] = [await certificates(["127.0.0.1"]), await certificates(["127.0.0.1"])];
    const first = await start({ tls: old.tls });
    const file = join(dirname(fileWith("")), "ca.pem");
    const bed = stubBedOf(first, { settings: { ca: { file, required: false } } });
    expect(await bed.resolve(name, 80)).toMatchObject({ kind: "no-answer" });
    copyFileSync(old.caFile, file);
    expect(await bed.resolve(name, 80)).toMatchObject(found);

    const port = Number(new URL(first.url).port);
    first.close();
    await start({ tls: renewed.tls, port });
    expect(await bed.resolve(name, 80, { fresh: true })).toMatchObject({ kind: "no-answer" });
    copyFileSync(renewed.caFile, file);
    expect(await bed.resolve(name, 80, { fresh: true })).toMatchObject(found);
  });

  test("that is required has to be there, and to be one", () => {
    const addressesOf = async () => [];
    const [missing, empty] = [join(dirname(fileWith("")), "ca.pem"), fileWith("no certificate")];
    for (const [file, what] of [
      [missing, "there is no such file"],
      [empty, "holds no certificate"],
    ] as const) {
      expect(() => createTransport({ ca: { file, required: true }, addressesOf })).toThrow(
        `--ca ${file}: ${what}`,
      );
    }
  });
});

describe("a resolver named by a hostname", { timeout: 30_000 }, () => {
  test("is found at the address given, and must be the one it is called", async () => {
    const { caFile, tls } = await certificates([host]);
    const resolver = await start({ tls });
    const settings = { ca: { file: caFile, required: true }, resolverAddress: [loopback] };
    const named = stubBedOf(resolver, { settings: { ...settings, resolver: [at(host, resolver)] } });
    expect(await named.resolve(name, 80)).toMatchObject(found);
    expect(resolver.serverNames).toEqual([host]);
    const other = stubBedOf(resolver, { settings: { ...settings, resolver: [at("other.test", resolver)] } });
    expect(await other.resolve(name, 80)).toMatchObject({
      kind: "no-answer",
      reason: expect.stringContaining("altnames"),
    });
  });

  test("of its own zone is found at the upstream servers, without waiting for itself", async () => {
    const upstream = await startUpstream({ [host]: loopback });
    const resolver = await start();
    const bed = stubBedOf(resolver, {
      settings: { resolver: [at(host, resolver)] },
      ports: { upstreams: async () => [upstream.address] },
    });
    expect(await bed.resolve(name, 80)).toMatchObject(found);
    expect(upstream.asked).toContain(host);
    expect(resolver.queries).toEqual([`SRV _80._tcp.${name}`]);
    expect(bed.lookedUp).toEqual([]);
  });

  test("is found where it was last when no upstream server answers, also after a new start", async () => {
    const upstream = await startUpstream({ [host]: loopback });
    const resolver = await start();
    const stateDir = dirname(fileWith(""));
    const options = {
      settings: { resolver: [at(host, resolver)], stateDir, resolveTimeoutMs: 20_000 },
      ports: { upstreams: async () => [upstream.address] },
    };
    const first = stubBedOf(resolver, options);
    expect(await first.resolve(name, 80)).toMatchObject(found);
    upstream.isSilent = true;
    const second = stubBedOf(resolver, options);
    const answer = second.resolve(name, 80);
    await soon(() => expect(upstream.unanswered).toBeGreaterThan(0));
    await second.clock.advance(1_000);
    expect(await answer).toMatchObject(found);
  });
});

describe("connections", { timeout: 30_000 }, () => {
  test("are kept, and few", async () => {
    const bed = await startStubBed({ records });
    for (let time = 0; time < 20; time++) await bed.resolve(name, 80, { fresh: true });
    expect(bed.resolver.connections()).toBeLessThanOrEqual(2);
    const names = Array.from({ length: 24 }, (_, index) => bed.resolve(`n${index}.berth.internal`, 80));
    await Promise.all(names);
    expect(bed.resolver.connections()).toBeLessThanOrEqual(8);
  });

  test("that a resolver closed with its end are made anew, and no question fails for it", async () => {
    let resolver = await start();
    const bed = stubBedOf(resolver);
    const port = Number(new URL(resolver.url).port);
    for (let life = 0; life < 3; life++) {
      expect(await bed.resolve(name, 80, { fresh: true })).toMatchObject(found);
      resolver.close();
      resolver = await start({ port });
    }
    await bed.resolve(name, 80, { fresh: true });
    resolver.dropNext = true;
    expect(await bed.resolve(name, 80, { fresh: true })).toMatchObject(found);
  });
});

interface Upstream {
  /** IP:port. */
  address: string;
  asked: string[];
  isSilent: boolean;
  unanswered: number;
}

/** A DNS server over UDP that knows these addresses and no others. */
async function startUpstream(addresses: Record<string, Address>): Promise<Upstream> {
  const socket: Socket = createSocket("udp4").bind(0, "127.0.0.1");
  await once(socket, "listening");
  onTestFinished(() => void socket.close());
  const address = `127.0.0.1:${socket.address().port}`;
  const upstream: Upstream = { address, asked: [], isSilent: false, unanswered: 0 };
  socket.on("message", (message, from) => {
    if (upstream.isSilent) return void upstream.unanswered++;
    const query = decodeQuery(message);
    const shown = query.question?.name.replace(/\.$/, "") ?? "";
    upstream.asked.push(shown);
    const known = query.question?.type === RRType.A ? addresses[shown] : undefined;
    const answer = known === undefined ? [] : [addressRecord(shown, known)];
    const sections = { answer, authority: [], additional: [] };
    socket.send(
      encodeResponse(query, { rcode: 0, authoritative: true, ...sections }),
      from.port,
      from.address,
    );
  });
  return upstream;
}
