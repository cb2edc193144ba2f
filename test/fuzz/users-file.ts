import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** The user that some of the exchanges are of. */
export function writeUsersFile(folder: string): string {
  const path = join(folder, "users");
  writeFileSync(path, "me:secret\n", { mode: 0o600 });
  return path;
}
