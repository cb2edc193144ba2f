import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { type StartedBed, startConformanceBed } from "./bed.ts";
import { serverNames } from "./row.ts";
import { judgeRow, rows } from "./suite.ts";

/** The rows must be ones a server can meet, and not ones that ours alone meets: hence two other servers, with what is known of them. */
describe.each(serverNames)("%s", (name) => {
  let started: StartedBed;

  beforeAll(async () => {
    started = await startConformanceBed(name);
  });

  afterAll(() => started.close());

  test.each(rows.map((row) => [`${row.section}: ${row.says}`, row] as const))("%s", async (_title, row) => {
    const verdict = await judgeRow(row, started);
    expect(verdict).toEqual(
      row.differs?.[name] === undefined
        ? { kind: "met" }
        : { kind: "differs", because: row.differs[name].because },
    );
  });
});

test("berth differs in nothing but what its decisions say", () => {
  const differing = rows.filter(({ differs }) => differs?.berth !== undefined);
  expect(differing.map(({ says }) => says)).toEqual([
    expect.stringContaining("GSSAPI"),
    expect.stringMatching(/^BIND/),
  ]);
});
