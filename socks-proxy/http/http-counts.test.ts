import { afterEach, beforeEach, describe, expect, test } from "vitest";

import type { ProxyStatus } from "../page/page-status.ts";
import { type HttpBed, startHttpBed } from "../testing/http-bed.ts";
import { echoSite, get, web } from "../testing/http-echo.ts";

let bed: HttpBed;
beforeEach(async () => {
  bed = await startHttpBed({ page: { host: "127.0.0.1", port: 0 } });
});
afterEach(() => bed.close());

describe("requests in absolute-form", () => {
  test("are counted each, with their octets, over whatever connection they went", async () => {
    const site = await echoSite(bed);
    const client = await bed.client();
    for (const count of [1, 2, 3]) {
      client.socket.write(get(`http://${web}/${count}`, ""));
      await client.until(`"url":"/${count}"`);
    }
    client.socket.write(`POST http://${web}/4 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello`);
    await client.until(`"url":"/4"`);
    const [kept, posted, ...more] = site.connections;
    expect(more).toEqual([]);
    const octets = {
      bytesUp: (kept?.bytesRead ?? 0) + (posted?.bytesRead ?? 0),
      bytesDown: (kept?.bytesWritten ?? 0) + (posted?.bytesWritten ?? 0),
    };
    // The last answer is here a moment before its request is over.
    await statusOnce(({ bytesUp, bytesDown }) => bytesUp >= octets.bytesUp && bytesDown >= octets.bytesDown);
    expect(await status()).toMatchObject({ granted: 4, ...octets });
  });

  test("have a line each in the log, of where and how it ended and nothing that was asked", async () => {
    await bed.site(web, (request, response) => {
      response.statusCode = request.url?.startsWith("/no") ? 404 : 200;
      response.end("the answer");
    });
    const client = await bed.client();
    client.socket.write(get(`http://${web}/yes?secret`, ""));
    await client.until(/200 .*the answer/s);
    client.socket.write(get(`http://${web}/no/secret`, "Connection: close\r\n"));
    await client.closed;
    expect(linesAbout(web)).toEqual([
      expect.stringMatching(/^debug .*web\.berth\.internal:80: status 200, answered$/),
      expect.stringMatching(/^debug .*web\.berth\.internal:80: status 404, answered$/),
    ]);
    expect(bed.lines.join()).not.toMatch(/secret|the answer/);
  });

  test("that a server does not answer are among them", async () => {
    await bed.rawSite(web, (socket) => socket.once("data", () => socket.destroy()));
    await bed.sent(get(`http://${web}/`));
    expect(linesAbout(web)).toEqual([
      expect.stringMatching(/web\.berth\.internal:80: status 502, no-response$/),
    ]);
    expect(await status()).toMatchObject({ granted: 1, bytesDown: 0 });
  });

  test("whose client leaves are among them as well", async () => {
    const asked = Promise.withResolvers<void>();
    await bed.rawSite(web, (socket) => socket.once("data", () => asked.resolve()));
    const client = await bed.client();
    client.socket.write(get(`http://${web}/`));
    await asked.promise;
    client.socket.destroy();
    await statusOnce(({ bytesUp }) => bytesUp > 0);
    expect(linesAbout(web)).toEqual([
      expect.stringMatching(/web\.berth\.internal:80: no status, client-gone$/),
    ]);
  });
});

test("a request for another protocol that is answered in HTTP is counted, and has its line", async () => {
  const site = await bed.site(web, (_, response) =>
    response.writeHead(401, { "Content-Length": 4 }).end("who?"),
  );
  await bed.sent(get(`http://${web}/secret`, "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
  expect(linesAbout(web)).toEqual([expect.stringMatching(/web\.berth\.internal:80: status 401, answered$/)]);
  const [{ bytesRead: bytesUp, bytesWritten: bytesDown } = expect.fail("nobody came")] = site.connections;
  expect(await status()).toMatchObject({ granted: 1, bytesUp, bytesDown });
});

function linesAbout(name: string): string[] {
  return bed.lines.filter((line) => line.includes(name));
}

async function status(): Promise<ProxyStatus> {
  const { port } = bed.proxy.page ?? expect.fail("it has no page");
  const reply = await fetch(`http://127.0.0.1:${port}/status`);
  return (await reply.json()) as ProxyStatus;
}

/** Ends with the test's own time limit when it never becomes so. */
async function statusOnce(isSo: (now: ProxyStatus) => boolean): Promise<void> {
  while (!isSo(await status()));
}
