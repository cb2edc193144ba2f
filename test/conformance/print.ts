import { startConformanceBed } from "./bed.ts";
import { type Row, type ServerName, serverNames } from "./row.ts";
import { judgeRow, rows, tableOf, type Verdict } from "./suite.ts";

/** `node test/conformance/print.ts`: runs the suite against every server and prints the table. */
const verdicts = new Map<Row, Map<ServerName, Verdict>>(rows.map((row) => [row, new Map()]));
for (const name of serverNames) {
  const started = await startConformanceBed(name);
  for (const row of rows) verdicts.get(row)?.set(name, await judgeRow(row, started));
  await started.close();
}
console.log(tableOf(verdicts));
const isWrong = [...verdicts.values()].some((byServer) =>
  [...byServer.values()].some(({ kind }) => kind === "wrong"),
);
process.exitCode = isWrong ? 1 : 0;
