import { expect, test } from "vitest";

import { tokenScopeSchema } from "../shared/tokens.ts";
import { createdLine, tokenLines } from "./token.ts";

const createdAt = Date.UTC(2026, 0, 2, 3, 4);
const day = 86_400_000;
const token = {
  id: "abcdefgh23",
  kind: "agent" as const,
  owner: "team-a",
  scope: tokenScopeSchema.parse({}),
  createdAt,
  expiresAt: null,
  revokedAt: null,
};

test("each token has a line with what it may do and how long", () => {
  const scope = { names: ["*.shop", "web.blog"], hosts: ["nas"], maxBindings: 50, maxLease: 30 };
  const tokens = [
    token,
    { ...token, id: "b", scope, expiresAt: createdAt + day },
    { ...token, id: "c", kind: "reader" as const, expiresAt: createdAt + 3 * day },
    { ...token, id: "d", expiresAt: createdAt + day, revokedAt: createdAt },
  ];
  expect(tokenLines({ tokens }, createdAt + day)).toEqual([
    "ID          KIND    OWNER   SCOPE                                                      CREATED            VALID",
    "abcdefgh23  agent   team-a  everything                                                 2026-01-02 03:04Z  until revoked",
    "b           agent   team-a  names *.shop,web.blog; hosts nas; 50 bindings; lease 30 s  2026-01-02 03:04Z  expired 2026-01-03 03:04Z",
    "c           reader  team-a                                                             2026-01-02 03:04Z  until 2026-01-05 03:04Z",
    "d           agent   team-a  everything                                                 2026-01-02 03:04Z  revoked 2026-01-02 03:04Z",
  ]);
});

test("without tokens there is a sentence", () => {
  expect(tokenLines({ tokens: [] }, 0)).toEqual([expect.stringMatching(/^no tokens were made/)]);
});

test("what is said about a new token does not hold it", () => {
  const line = createdLine({ ...token, expiresAt: createdAt + day, token: "berth_abcdefgh23_secret" });
  expect(line).toBe("token abcdefgh23 for team-a (agent), valid until 2026-01-03 03:04Z");
});
