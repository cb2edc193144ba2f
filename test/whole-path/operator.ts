import { join } from "node:path";
import { runBerth } from "./parts.ts";
import type { World } from "./world.ts";

/** What an operator does with the admin's token, on the resolver's machine. */
export type Operator = {
  /** Runs `berth ...args` against the resolver; a failing command is a result. */
  run(...args: string[]): ReturnType<typeof runBerth>;
  /** `berth token create --kind agent`, with further flags; where the token is, and its id. */
  agentToken(owner: string, ...flags: string[]): Promise<{ file: string; id: string }>;
};

export function operatorOf({ resolver, client, dir }: World): Operator {
  let made = 0;
  const run = (...args: string[]) => {
    const { url, caFile, adminTokenFile } = resolver;
    const access = ["--resolver", url, "--ca", caFile, "--token-file", adminTokenFile];
    return runBerth([...args, ...access], { netns: client.netns });
  };
  return {
    run,
    async agentToken(owner, ...flags) {
      const file = join(dir, `${owner}-${++made}.token`);
      const wish = ["--kind", "agent", "--owner", owner, "--out", file, ...flags];
      const { code, stderr } = await run("token", "create", ...wish);
      const id = /token ([a-z2-7]{10}) for/.exec(stderr)?.[1];
      if (code !== 0 || id === undefined) throw new Error(`no token was made: ${stderr}`);
      return { file, id };
    },
  };
}
