import { homedir } from "node:os";
import { join } from "node:path";

/** Where this machine's parts keep their files, and so where they find each other's. */
export interface StatePaths {
  resolver: string;
  agent: string;
  proxy: string;
  caFile: string;
  agentTokenFile: string;
  readerTokenFile: string;
  adminTokenFile: string;
}

/**
 * Below `base`; without one below BERTH_STATE_DIR, systemd's STATE_DIRECTORY, /var/lib/berth for root, or the user's own state directory.
 */
export function statePaths(base = standardBase()): StatePaths {
  const resolver = join(base, "resolver");
  return {
    resolver,
    agent: join(base, "agent"),
    proxy: join(base, "proxy"),
    caFile: join(resolver, "tls", "ca.pem"),
    agentTokenFile: join(resolver, "agent.token"),
    readerTokenFile: join(resolver, "reader.token"),
    adminTokenFile: join(resolver, "admin.token"),
  };
}

function standardBase(): string {
  const { BERTH_STATE_DIR, STATE_DIRECTORY, XDG_STATE_HOME } = process.env;
  if (BERTH_STATE_DIR) return BERTH_STATE_DIR;
  if (STATE_DIRECTORY) return STATE_DIRECTORY;
  if (process.getuid?.() === 0) return "/var/lib/berth";
  return join(XDG_STATE_HOME || join(homedir(), ".local", "state"), "berth");
}

/**
 * The environment as the options of one part may read it. Theirs is --state-dir, one part's own directory; BERTH_STATE_DIR is the base of
 * all parts', so that each command finds what another keeps there.
 */
export function partEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, BERTH_STATE_DIR: undefined };
}
