import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";

import { type HttpBed, startHttpBed } from "../testing/http-bed.ts";
import { echoIn, echoSite, fieldsOf, get, web } from "../testing/http-echo.ts";

let bed: HttpBed;
beforeEach(async () => {
  const dir = mkdtempSync(join(tmpdir(), "berth-http-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const usersFile = join(dir, "users");
  writeFileSync(usersFile, "ann:pass:word\nbob:grüße\n");
  chmodSync(usersFile, 0o600);
  bed = await startHttpBed({ usersFile, connectionsPerClient: 100 });
  await echoSite(bed);
});
afterEach(() => bed.close());

describe("users", () => {
  const basic = (credentials: string) =>
    `Proxy-Authorization: Basic ${Buffer.from(credentials).toString("base64")}\r\nConnection: close\r\n`;

  test.each(["ann:pass:word", "bob:grüße"])(
    "%s may ask, and the server does not hear of the password",
    async (credentials) => {
      const reply = await bed.sent(get(`http://${web}/`, basic(credentials)));
      expect(reply).toMatch(/^HTTP\/1\.1 200 /);
      expect(fieldsOf(echoIn(reply), "proxy-authorization")).toEqual([]);
    },
  );

  test("anybody else is asked who they are", async () => {
    const strangers = [
      "Connection: close\r\n",
      basic("ann:wrong"),
      basic("eve:pass:word"),
      basic("ann"),
      `Proxy-Authorization: Bearer x\r\nConnection: close\r\n`,
      basic("ann:pass:word") + basic("eve:x"),
    ];
    for (const fields of strangers) {
      expect(await bed.sent(get(`http://${web}/`, fields))).toMatch(
        /^HTTP\/1\.1 407 Proxy Authentication Required\r\n.*Proxy-Authenticate: Basic realm="berth", charset="UTF-8"\r\n/s,
      );
      expect(await bed.sent(`CONNECT ${web}:80 HTTP/1.1\r\nHost: x\r\n${fields}\r\n`)).toMatch(
        /^HTTP\/1\.1 407 /,
      );
    }
    expect(bed.lines.join("\n")).not.toMatch(/pass:word|wrong/);
  });

  test("a client may prove it on the connection it was asked on", async () => {
    const client = await bed.client();
    client.socket.write(get(`http://${web}/`, ""));
    await client.until("407");
    client.socket.write(get(`http://${web}/`, basic("ann:pass:word")));
    await client.until("HTTP/1.1 200 OK");
  });

  test("whoever is none is told so, however much they send behind CONNECT", async () => {
    const client = await bed.client();
    client.socket.write(`CONNECT ${web}:80 HTTP/1.1\r\nHost: x\r\n\r\n${"x".repeat(16_000_000)}`);
    expect(await client.closed).toBeUndefined();
    expect(client.text()).toMatch(/^HTTP\/1\.1 407 .*set a user name/s);
  });
});
