import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";

import { createLog } from "../../shared/log.ts";
import { type Access, bootstrapAccess } from "../access.ts";
import type { NewAuditEntry } from "../audit.ts";
import { hostId } from "../testing/app.ts";
import { accessOf } from "../testing/tokens.ts";
import { listenHttp } from "./listen.ts";
import { createNodeLinks } from "./node-links.ts";

const silent = createLog("resolver", "error", () => undefined);

/** What is noted when somebody with this access asks for a link at `path`, unsigned. */
async function notedFor(access: Access, path: string): Promise<NewAuditEntry[]> {
  const noted: NewAuditEntry[] = [];
  const unused = () => {
    throw new Error("nothing is signed, so nothing is asked of the registry");
  };
  const links = createNodeLinks({
    backend: { store: { renew: unused } as never, grantOf: unused, touch: unused, generation: () => "g" },
    tokens: { check: async () => access },
    refusals: { note: (entry) => noted.push(entry) },
    publicPath: "",
    now: () => 5.5,
    log: silent,
  });
  const served = () => new Response(null, { status: 404 });
  const transport = await listenHttp(served, { host: "127.0.0.1", port: 0 }, silent, { upgrades: links });
  onTestFinished(async () => {
    await links.close();
    await transport.close();
  });
  const headers = { authorization: "Bearer some-token-of-an-agent" };
  const url = `ws://127.0.0.1:${transport.address.port}${path}`;
  const socket = new WebSocket(url, "berth.link.1", { headers });
  socket.on("error", () => undefined);
  const [, response] = await once(socket, "unexpected-response");
  response.resume();
  return noted;
}

test("a link refused to a good token is written down with who asked, and for which host", async () => {
  const access = accessOf("agent", { tokenId: "abcdefghij", owner: "team-a" });
  expect(await notedFor(access, `/v1/hosts/${hostId}/link`)).toMatchObject([
    {
      at: 5,
      actor: { tokenId: "abcdefghij", kind: "agent", owner: "team-a" },
      target: `GET /v1/hosts/${hostId}/link`,
      code: "bad-signature",
    },
  ]);
});

test("so is one refused to a token of another kind", async () => {
  const noted = await notedFor(bootstrapAccess("reader"), `/v1/hosts/${hostId}/link`);
  expect(noted).toMatchObject([{ actor: { kind: "reader" }, code: "token-not-allowed" }]);
});
