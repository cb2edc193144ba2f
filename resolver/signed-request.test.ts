import { describe, expect, test } from "vitest";

import { renewalFromUpgrade } from "./signed-request.ts";
import { hostId, TestAgent } from "./testing/app.ts";

const path = `/v1/hosts/${hostId}/link`;
const own = { "berth-digest": "0".repeat(64), "berth-lease": "15" };

async function upgrade(headers: Record<string, string> = own, at = path): Promise<Request> {
  const agent = new TestAgent({ request: () => Promise.reject(new Error("nobody asks")) });
  return agent.sign("GET", at, undefined, { epoch: 2, sequence: 3, generation: "now", headers });
}

describe("the upgrade to a link", () => {
  test("is a renewal, signed as a whole", async () => {
    const renewal = { epoch: 2, sequence: 3, generation: "now", lease: 15, digest: own["berth-digest"] };
    expect(await renewalFromUpgrade(await upgrade(), hostId, "")).toEqual(renewal);
    const stripped = new Request(`http://localhost${path}`, await upgrade(own, `/berth${path}`));
    expect(await renewalFromUpgrade(stripped, hostId, "/berth")).toEqual(renewal);
  });

  test.each([
    ["its digest", "berth-digest", "1".repeat(64)],
    ["its lease", "berth-lease", "3600"],
    ["its token", "authorization", "Bearer other"],
  ])("is refused when somebody changed %s", async (_, field, value) => {
    const request = await upgrade();
    request.headers.set(field, value);
    await expect(renewalFromUpgrade(request, hostId, "")).rejects.toMatchObject({ code: "bad-signature" });
  });

  test.each(["berth-digest", "berth-lease"])("is refused when %s is not signed", async (field) => {
    const { [field]: value = "", ...rest } = { ...own } as Record<string, string>;
    const request = await upgrade(rest);
    request.headers.set(field, value);
    const message = expect.stringContaining(`does not cover ${field}`);
    await expect(renewalFromUpgrade(request, hostId, "")).rejects.toMatchObject({
      code: "bad-signature",
      message,
    });
  });

  test.each([
    ["berth-lease", "0"],
    ["berth-lease", "86401"],
    ["berth-lease", "1.5"],
    ["berth-lease", "soon"],
    ["berth-digest", "A".repeat(64)],
  ])("is refused for %s %j, well signed", async (field, value) => {
    const request = await upgrade({ ...own, [field]: value });
    await expect(renewalFromUpgrade(request, hostId, "")).rejects.toMatchObject({
      code: "invalid-body",
      facts: { faults: [{ path: field }] },
    });
  });
});
