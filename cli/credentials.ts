import { readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * The files systemd hands a service by LoadCredential=, as defaults of --token-file and --ca. One that was not there to be loaded is left
 * out: the unit then gives its name with a word instead, because systemd starts nothing whose credential is missing.
 */
export function credentialDefaults(env: NodeJS.ProcessEnv): { tokenFile?: string; ca?: string } {
  const directory = env.CREDENTIALS_DIRECTORY;
  if (!directory) return {};
  const [token, ca] = ["token", "ca"].map((name) => join(directory, name)) as [string, string];
  return {
    ...(isLoaded(token) ? { tokenFile: token } : {}),
    ...(isLoaded(ca) ? { ca } : {}),
  };
}

function isLoaded(path: string): boolean {
  try {
    return readFileSync(path, "utf8").trim() !== "none";
  } catch {
    return false;
  }
}
