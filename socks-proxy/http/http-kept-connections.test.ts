import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { serviceRecords } from "../../client/testing/doh-server.ts";
import { type HttpBed, startHttpBed } from "../testing/http-bed.ts";
import { echoSite, get, web } from "../testing/http-echo.ts";

let bed: HttpBed;
beforeEach(async () => {
  bed = await startHttpBed();
});
afterEach(() => bed.close());

describe("a request in absolute-form", () => {
  test("keeps the client's connection for the next one, and the server's", async () => {
    const site = await echoSite(bed);
    const client = await bed.client();
    for (let count = 1; count <= 3; count++) {
      client.socket.write(get(`http://${web}/${count}`, ""));
      await client.until(`"url":"/${count}"`);
    }
    expect(site.connections).toHaveLength(1);
  });

  test("requests sent at once are asked and answered one after the other", async () => {
    let [open, most] = [0, 0];
    await bed.site(web, (request, response) => {
      most = Math.max(most, ++open);
      setImmediate(() => {
        open--;
        response.end(`<${request.url}>`);
      });
    });
    const reply = await bed.sent(
      get(`http://${web}/1`, "") + get(`http://${web}/2`, "") + get(`http://${web}/3`),
    );
    expect(reply.match(/<[^>]*>/g)).toEqual(["</1>", "</2>", "</3>"]);
    expect(most).toBe(1);
  });

  test("what comes behind the last one is asked of nobody", async () => {
    const asked: (string | undefined)[] = [];
    await bed.site(web, (request, response) => {
      asked.push(request.url);
      response.end("last");
    });
    const reply = await bed.sent(get(`http://${web}/1`) + get(`http://${web}/2`));
    expect(reply.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(asked).toEqual(["/1"]);
    // Of our own accord as well: what is behind a request that was not understood is none.
    expect((await bed.sent(get("/", "") + get(`http://${web}/3`, ""))).match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(asked).toEqual(["/1"]);
  });

  test("more of them than any program sends at once end the connection", async () => {
    await bed.rawSite(web, () => {});
    const client = await bed.client();
    client.socket.write(get(`http://${web}/`, "").repeat(100));
    await client.closed;
  });

  test("of which a kept connection has gone is asked again over a new one", async () => {
    const site = await echoSite(bed);
    site.server.keepAliveTimeout = 0;
    const client = await bed.client();
    client.socket.write(get(`http://${web}/1`, ""));
    await client.until(`"url":"/1"`);
    site.connections[0]?.once("data", () => site.connections[0]?.resetAndDestroy());
    client.socket.write(get(`http://${web}/2`, ""));
    await client.until(`"url":"/2"`);
    expect(site.connections).toHaveLength(2);
  });

  test("of another client never goes over it: it may be open to that client alone", async () => {
    const site = await echoSite(bed);
    for (const url of ["/1", "/2"]) {
      const client = await bed.client();
      client.socket.write(get(`http://${web}${url}`, ""));
      await client.until(`"url":"${url}"`);
    }
    expect(site.connections).toHaveLength(2);
  });

  test("finds no more than 32 of the server's connections kept, to whatever names", async () => {
    const site = await echoSite(bed);
    const names = Array.from({ length: 40 }, (_, index) => `n${index}.berth.internal`);
    for (const name of names) {
      bed.resolver.records.push(...serviceRecords(name, 80, [{ address: "127.0.0.1", port: site.port }]));
    }
    const client = await bed.client();
    for (const round of ["first", "second"]) {
      for (const name of names) {
        client.socket.write(get(`http://${name}/${round}-${name}`, ""));
        await client.until(`"url":"/${round}-${name}"`);
      }
    }
    expect(site.connections).toHaveLength(40 + 8);
  });

  test("that changes something never goes over a kept connection", async () => {
    const site = await echoSite(bed);
    const client = await bed.client();
    client.socket.write(get(`http://${web}/1`, ""));
    await client.until(`"url":"/1"`);
    client.socket.write(`POST http://${web}/2 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`);
    await client.until(`"url":"/2"`);
    expect(site.connections).toHaveLength(2);
  });
});

test("closing the proxy ends connections that are kept, and leaves none to servers", async () => {
  const site = await echoSite(bed);
  const client = await bed.client();
  client.socket.write(get(`http://${web}/`, ""));
  await client.until(`"body"`);
  const atServer = new Promise((resolve) => site.connections[0]?.once("close", resolve));
  await bed.proxy.close();
  await Promise.all([client.closed, atServer]);
});
