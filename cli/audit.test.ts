import { expect, test } from "vitest";

import { auditLines } from "./audit.ts";

const entry = {
  id: 1,
  at: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  actor: { tokenId: "abcdefgh23", kind: "agent" as const, owner: "team-a" },
  action: "push" as const,
  target: "host",
  outcome: "done" as const,
  code: null,
  detail: "nas: +1 -0 names, 0 changed",
  count: 1,
};

test("each entry says when, who, what, to what, and how often", () => {
  const refused = { outcome: "refused" as const, code: "token-not-allowed", detail: "", count: 3 };
  const entries = [
    entry,
    { ...entry, actor: null, action: "request" as const, target: "GET /v1/tokens", ...refused },
  ];
  expect(auditLines({ entries })).toEqual([
    "TIME                      WHO                  WHAT                                TO              DETAIL",
    "2026-01-02T03:04:05.006Z  team-a (abcdefgh23)  push                                host            nas: +1 -0 names, 0 changed",
    "2026-01-02T03:04:05.006Z  -                    request refused: token-not-allowed  GET /v1/tokens  (3 times)",
  ]);
});

test("without entries there is a sentence", () => {
  expect(auditLines({ entries: [] })).toEqual(["nothing has been written down yet"]);
});
