import type { StartedBed } from "./bed.ts";
import { notDemandedHere } from "./client-side.ts";
import { type Row, type ServerName, serverNames, Unmet } from "./row.ts";
import { socks4Rows } from "./rows-socks4.ts";
import { socks5Rows } from "./rows-socks5.ts";
import { udpRows } from "./rows-udp.ts";
import { userRows } from "./rows-users.ts";

/** Every row, in the order of the texts. */
export const rows: readonly Row[] = [...socks5Rows, ...udpRows, ...userRows, ...socks4Rows];

export type Verdict =
  | { kind: "met" }
  /** As the row says of this server. */
  | { kind: "differs"; because: string }
  /** Not as the row says: `seen` is what was seen. */
  | { kind: "wrong"; seen: string };

export async function judgeRow(row: Row, { bed, tidy }: StartedBed): Promise<Verdict> {
  const seen = await unmetBy(row, bed);
  tidy();
  const known = row.differs?.[bed.name];
  if (seen === undefined) {
    return known === undefined
      ? { kind: "met" }
      : { kind: "wrong", seen: `it does: known not to ("${known.because}")` };
  }
  if (known?.seen.test(seen)) return { kind: "differs", because: known.because };
  return { kind: "wrong", seen };
}

/** Rows by servers, as Markdown. */
export function tableOf(verdicts: ReadonlyMap<Row, ReadonlyMap<ServerName, Verdict>>): string {
  const head = ["section", "demand", ...serverNames];
  const lines = [...verdicts].map(([row, byServer]) => [
    row.section,
    row.says,
    ...serverNames.map((name) => verdictText(byServer.get(name))),
  ]);
  const others = notDemandedHere.map(({ section, says, because }) => `- ${section}: ${says} (${because}).`);
  return [
    ...[head, head.map(() => "---"), ...lines].map((cells) => `| ${cells.join(" | ")} |`),
    "",
    "Not put to a server:",
    "",
    ...others,
  ].join("\n");
}

function verdictText(verdict: Verdict | undefined): string {
  switch (verdict?.kind) {
    case undefined:
      return "not run";
    case "met":
      return "yes";
    case "differs":
      return `no: ${verdict.because}`;
    case "wrong":
      return `WRONG: ${verdict.seen}`;
  }
}

async function unmetBy(row: Row, bed: StartedBed["bed"]): Promise<string | undefined> {
  try {
    await row.run(bed);
    return undefined;
  } catch (fault) {
    if (fault instanceof Unmet) return fault.message;
    throw fault;
  }
}
