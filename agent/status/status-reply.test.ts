import { describe, expect, test } from "vitest";

import { statusWith } from "../testing/agent-status.ts";
import { RecordedLog } from "../testing/recorded-log.ts";
import { agentStatusSchema } from "./agent-status.ts";
import { replyTo, type StatusRequest, type StatusSource } from "./status-reply.ts";

const source: StatusSource = {
  status: () => statusWith(),
  explain: (what) => (what === "web" ? ["web runs", "its label says \u001b[2J\nforged"] : undefined),
};

function ask(
  given: Partial<StatusRequest> = {},
  means: { source?: StatusSource; isOpenToOthers?: boolean; mayExplain?: () => boolean } = {},
) {
  const request = { method: "GET", target: "/status", host: "127.0.0.1:9853", hasBody: false, ...given };
  const log = new RecordedLog();
  const usual = { source, log, isOpenToOthers: false, ownNames: ["nas", "nas.lan"], mayExplain: () => true };
  return { ...replyTo(request, { ...usual, ...means }), log };
}

describe("the pages", () => {
  test("/status is the status as its schema has it", () => {
    const reply = ask();
    expect(reply).toMatchObject({ status: 200, type: "application/json" });
    expect(agentStatusSchema.parse(JSON.parse(reply.text))).toEqual(statusWith());
  });

  test("/metrics is Prometheus' text, by its media type", () => {
    const reply = ask({ target: "/metrics" });
    expect(reply).toMatchObject({ status: 200, type: "text/plain; version=0.0.4; charset=utf-8" });
    expect(reply.text).toMatch(/^# HELP berth_agent_info /);
  });

  test("/explain has a line for each fact, and no line or escape of a label's own", () => {
    const reply = ask({ target: "/explain?of=web" });
    expect(reply).toMatchObject({ status: 200, text: "web runs\nits label says  [2J forged\n" });
  });

  test("/explain is put off when too many are asked for, and nothing else is", () => {
    const explain = () => expect.fail("it was explained");
    const means = { source: { ...source, explain }, mayExplain: () => false };
    const reply = ask({ target: "/explain?of=web" }, means);
    expect(reply).toMatchObject({ status: 429, headers: { "retry-after": "1" } });
    expect(reply.text).toContain("ask again in a second");
    expect(ask({ target: "/status" }, means).status).toBe(200);
    expect(ask({ target: "/metrics" }, means).status).toBe(200);
  });

  test("/explain of what nobody knows is not found, in words that cannot be forged", () => {
    const reply = ask({ target: `/explain?of=${encodeURIComponent("x\ny\u001b[2J")}` });
    expect(reply.status).toBe(404);
    expect(reply.text).toBe('the agent knows no container, service or name "x y [2J"\n');
  });

  test.each(["/explain", "/explain?of=", `/explain?of=${"x".repeat(301)}`, "/explain?what=web"])(
    "%.40s asks for nothing",
    (target) => expect(ask({ target }).status).toBe(400),
  );

  test.each([
    "/",
    "",
    "*",
    "//evil/metrics",
    "http://127.0.0.1/metrics",
    "/metrics/",
    "/%6detrics",
    "/status/../metrics",
  ])("%j is no page", (target) => expect(ask({ target }).status).toBe(404));

  test("a source that fails costs that request only, and tells the log alone why", () => {
    const fail = (): never => {
      throw new Error("secret path /x");
    };
    for (const target of ["/status", "/metrics", "/explain?of=web"]) {
      const reply = ask({ target }, { source: { status: fail, explain: fail } });
      expect(reply.status).toBe(500);
      expect(reply.text).not.toContain("secret");
      expect(reply.log.matching(/^error .*secret path/)).toHaveLength(1);
    }
  });
});

describe("a request", () => {
  test.each([
    "127.0.0.1",
    "127.0.0.1:9853",
    "127.9.9.9:1",
    "localhost",
    "LOCALHOST:80",
    "[::1]:9853",
    "[::1]",
  ])("for %s is answered", (host) => expect(ask({ host }).status).toBe(200));

  test.each([
    "",
    "evil.example",
    "evil.example:9853",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "127.0.0.1@evil.example",
    "evil.example@127.0.0.1",
    "127.0.0.1:9853:1",
    "127.0.0.1:port",
    "127.1",
    "0x7f000001",
    "::1",
    "[::1",
    "[evil.example]",
    "10.0.0.5",
    "[fd00::5]:9853",
    "0.0.0.0",
    " 127.0.0.1",
  ])("for %j is another's: a browser may have been led here", (host) => {
    const reply = ask({ host });
    expect(reply.status).toBe(421);
    expect(reply.text).not.toContain("hostId");
  });

  test("where other machines may ask, any address will do and this one's own names, and still no other name", () => {
    for (const host of ["10.0.0.5:9853", "[fd00::5]:9853", "localhost", "nas:9853", "NAS.lan:9853"])
      expect(ask({ host }, { isOpenToOthers: true }).status).toBe(200);
    for (const host of ["nas:9853", "nas.lan"]) expect(ask({ host }).status).toBe(421);
    for (const host of ["nas.example:9853", "10.0.0.5.evil.example", "nas.", ""])
      expect(ask({ host }, { isOpenToOthers: true }).status).toBe(421);
  });

  test.each(["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", ""])("by %s is refused", (method) => {
    expect(ask({ method })).toMatchObject({ status: 405, headers: { allow: "GET, HEAD" } });
  });

  test("with a body is refused", () => {
    expect(ask({ hasBody: true }).status).toBe(413);
  });
});
