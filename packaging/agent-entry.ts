import { runCommandLine } from "../cli/command-line.ts";
import { agentCommand } from "../cli/parts.ts";

// The agent runs on every host, all the time. Bundled without what resolver and proxy need it takes a tenth less memory.
void runCommandLine({ agent: agentCommand }, process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});

/** Once all containers were looked at for the first time, and from then on. */
const collections = { firstMs: 5_000, everyMs: 30_000 };

// V8 lets what is no longer used lie until there is much more of it, 8 MiB after the start alone. One takes some 20 ms. (--expose-gc is in
// tree.ts.)
const collect = (): void => globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
setTimeout(collect, collections.firstMs).unref();
setInterval(collect, collections.everyMs).unref();
