import { z } from "zod";

import { listAudit } from "../shared/admin-client.ts";
import type { AuditEntry, AuditList } from "../shared/audit.ts";
import { adminOptions, askResolver, jsonOption, printJson, printLines, readAdminConfig } from "./admin.ts";
import type { Command } from "./command.ts";
import { parseFlags } from "./flags.ts";
import { tableLines } from "./table.ts";

const fault = "a whole number from 1 to 1000";
const options = {
  limit: {
    schema: z.coerce.number({ error: fault }).int(fault).min(1, fault).max(1000, fault).default(100),
    value: "NUMBER",
    help: "how many entries, the newest last (100)",
  },
  ...jsonOption,
  ...adminOptions,
};

/** `berth audit`: who changed what, and who was turned away. */
export const auditCommand: Command = {
  summary: "list who changed the registry, and who was turned away",
  options,
  async run(argv) {
    const config = readAdminConfig(options, parseFlags(options, argv));
    const list = await askResolver(config, (access) => listAudit(access, config.limit));
    return config.json ? printJson(list) : printLines(auditLines(list));
  },
};

export function auditLines({ entries }: AuditList): string[] {
  if (entries.length === 0) return ["nothing has been written down yet"];
  const rows = entries.map((entry) => [
    new Date(entry.at).toISOString(),
    entry.actor === null ? "-" : `${entry.actor.owner} (${entry.actor.tokenId})`,
    actionText(entry),
    entry.target,
    entry.count === 1 ? entry.detail : `${entry.detail} (${entry.count} times)`.trim(),
  ]);
  return tableLines(["TIME", "WHO", "WHAT", "TO", "DETAIL"], rows);
}

function actionText({ action, outcome, code }: AuditEntry): string {
  return outcome === "done" ? action : `${action} refused: ${code ?? "no reason"}`;
}
