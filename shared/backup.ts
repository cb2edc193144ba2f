import { z } from "zod";

/** What a copy of the registry is sent as. */
export const backupType = "application/vnd.sqlite3";
/** Octets of the largest copy that is taken back. */
export const maxBackupLength = 4 * 1024 ** 3;

export const backupPath = "/v1/backup";

/** The reply to `PUT /v1/backup`: how much of each there is now. */
export const restoreReportSchema = z.object({
  hosts: z.number(),
  bindings: z.number(),
  names: z.number(),
  tokens: z.number(),
});
export type RestoreReport = z.infer<typeof restoreReportSchema>;
