import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";

import { anotherHttpBed, type HttpBed, startHttpBed } from "../testing/http-bed.ts";
import { echoSite, get, web } from "../testing/http-echo.ts";

let bed: HttpBed;
beforeEach(async () => {
  bed = await startHttpBed();
});
afterEach(() => bed.close());

describe("time limits", () => {
  test("a head that takes longer than the hand-shake's limit, octet by octet, gets no further", async () => {
    bed = await anotherHttpBed(bed, { handshakeTimeout: 1 });
    const client = await bed.client();
    client.socket.write(`GET http://${web}/`);
    const drip = setInterval(() => client.socket.write("x"), 50);
    onTestFinished(() => clearInterval(drip));
    await client.closed;
    expect(client.text()).not.toMatch(/200/);
  });

  test("a client that does not end after the last answer is ended", async () => {
    await echoSite(bed);
    const socket = connect({ host: "127.0.0.1", port: bed.port, allowHalfOpen: true });
    onTestFinished(() => void socket.destroy());
    socket.write(get(`http://${web}/`));
    socket.resume();
    await once(socket, "end");
    // Ours is the only end that there can be: the other direction stays open until it is reset.
    const drip = setInterval(() => socket.write("x"), 50);
    onTestFinished(() => clearInterval(drip));
    await once(socket, "error").catch((fault: unknown) => fault);
  });

  test("a kept connection ends when nothing more is asked", async () => {
    bed = await anotherHttpBed(bed, { idleTimeout: 1 });
    await echoSite(bed);
    const client = await bed.client();
    client.socket.write(get(`http://${web}/`, ""));
    await client.until("200 OK");
    await client.closed;
  });

  test("without an idle time-out requests and kept connections go on as ever", async () => {
    bed = await anotherHttpBed(bed, { idleTimeout: 0 });
    const site = await echoSite(bed);
    const client = await bed.client();
    for (const url of ["/1", "/2"]) {
      client.socket.write(get(`http://${web}${url}`, ""));
      await client.until(`"url":"${url}"`);
      // Longer than a limit of Infinity ms, which a timer takes for one of a millisecond.
      await sleep(50);
    }
    expect(site.connections).toHaveLength(1);
  });

  test("a server that is silent for the idle time-out is 504", async () => {
    bed = await anotherHttpBed(bed, { idleTimeout: 1 });
    await bed.rawSite(web, () => {});
    expect(await bed.sent(get(`http://${web}/`))).toMatch(
      /^HTTP\/1\.1 504 .*the server was silent too long/s,
    );
  });
});
