import { expect, test, vi } from "vitest";

import { parseName } from "../../shared/name.ts";
import type { TokenKind } from "../../shared/tokens.ts";
import { bootstrapAccess } from "../access.ts";
import type { ReleaseOutcome } from "../store.ts";
import { faultOf } from "../testing/app.ts";
import { mountFor } from "../testing/mount.ts";
import { namesRoutes } from "./names.ts";

const name = parseName("web.shop.berth.internal");

function mount(kind: TokenKind, outcome: ReleaseOutcome = { kind: "released" }) {
  const list = { revision: 7, names: [] };
  const store = { names: async () => list, releaseName: vi.fn(async () => outcome) };
  return { store, list, app: mountFor(kind, "/v1/names", namesRoutes({ store })) };
}
const release = { method: "DELETE" };

test.each(["reader", "agent", "admin"] as const)(
  "a token of kind %s may read who holds what",
  async (kind) => {
    const { app, list } = mount(kind);
    expect(await (await app.request("/v1/names")).json()).toEqual(list);
  },
);

test.each(["reader", "agent"] as const)("a token of kind %s may free no name", async (kind) => {
  const { app, store } = mount(kind);
  const response = await app.request(`/v1/names/${name}/hold`, release);
  expect(await faultOf(response)).toMatchObject({ status: 403, code: "token-not-allowed" });
  expect(store.releaseName).not.toHaveBeenCalled();
});

test.each(["web.shop.berth.internal.", "Web.Shop.berth.internal"])("an admin frees %s", async (text) => {
  const { app, store } = mount("admin");
  const response = await app.request(`/v1/names/${text}/hold`, release);
  expect(response.status).toBe(204);
  expect(store.releaseName).toHaveBeenCalledWith(name, bootstrapAccess("admin"));
});

test("a name nobody holds is no hold", async () => {
  const response = await mount("admin", { kind: "not-held" }).app.request(`/v1/names/${name}/hold`, release);
  expect(await faultOf(response)).toMatchObject({ status: 404, code: "unknown-hold" });
});

test("a name that is served stays, and the reply says by whom", async () => {
  const hostLabels = ["a", "b", "c", "d", "e", "f"];
  const response = await mount("admin", { kind: "live", hostLabels }).app.request(
    `/v1/names/${name}/hold`,
    release,
  );
  const fault = await faultOf(response);
  expect(fault).toMatchObject({ status: 409, code: "name-live", hosts: hostLabels });
  expect(fault.message).toContain("is served by a, b, c, d, e and 1 more;");
});

test("what is no name is refused as such", async () => {
  const response = await mount("admin").app.request("/v1/names/web..shop/hold", release);
  expect(await faultOf(response)).toMatchObject({
    status: 422,
    code: "invalid-body",
    faults: [{ path: "name" }],
  });
});
