import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";

import { createLog } from "../../shared/log.ts";
import { listenHttp } from "./listen.ts";

const silent = createLog("resolver", "error", () => undefined);
afterEach(() => vi.useRealTimers());

/** A reply that has begun, and goes on when the test says so. Only timers of the transport are the test's: sockets have their own. */
async function beginReply(path: string) {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const source = Promise.withResolvers<ReadableStreamDefaultController<string>>();
  const body = () => new ReadableStream<string>({ start: (controller) => source.resolve(controller) });
  const fetch = () => new Response(body().pipeThrough(new TextEncoderStream()));
  const uses = { mayLast: (at: string) => at === "/feed" };
  const transport = await listenHttp(fetch, { host: "127.0.0.1", port: 0 }, silent, uses);
  onTestFinished(transport.close);
  const request = get({ host: "127.0.0.1", port: transport.address.port, path, agent: false });
  const controller = await source.promise;
  controller.enqueue("begun");
  const [response] = (await once(request, "response")) as [IncomingMessage];
  await once(response, "data");
  return { controller, response };
}

test("an exchange is ended when it takes a minute", async () => {
  const { response } = await beginReply("/");
  const broken = once(response, "error");
  vi.advanceTimersByTime(60_000);
  expect((await broken)[0]).toMatchObject({ code: "ECONNRESET" });
});

test.each(["/feed", "/feed?last-event-id=1"])(
  "one at %s goes on for as long as octets flow",
  async (path) => {
    const { controller, response } = await beginReply(path);
    vi.advanceTimersByTime(3_600_000);
    const more = once(response, "data");
    controller.enqueue("more");
    expect(String((await more)[0])).toBe("more");
  },
);
