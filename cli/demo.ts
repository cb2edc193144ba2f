import { readFileSync } from "node:fs";

import { readConfig, switchSchema } from "../shared/config.ts";
import { dohPath } from "../shared/dns/doh.ts";
import { describeFault } from "../shared/errors.ts";
import { displayName, nameBelow } from "../shared/name.ts";
import { type AllParts, allPartsOptions, readPartsConfig, startAll } from "./all-parts.ts";
import { type Command, logOptions, type Running } from "./command.ts";
import { parseFlags } from "./flags.ts";
import { howToUse } from "./how-to-use.ts";
import { interruption } from "./interruption.ts";
import { findEngine } from "./local-engine.ts";
import { fetchThroughProxy, untilAnswered } from "./proof.ts";
import { type Sample, Samples } from "./samples.ts";
import { statePaths } from "./state.ts";
import { makeTemporaryDirectory } from "./temporary-directory.ts";
import { undoAll } from "./undo.ts";

const options = {
  ...allPartsOptions,
  // What the parts have to say while all is well would bury the proof.
  ...logOptions("warn"),
  once: {
    schema: switchSchema,
    help: "end after the proof: exit code 0 if every fetch returned the right page",
  },
};

/** With two replicas behind a name, each chosen at random: missing one of them in so many fetches is one chance in a million. */
const fetchesPerName = 20;

/** `berth demo`: everything at once, on samples of its own, with the proof that it works; it leaves nothing behind. */
export const demoCommand: Command = {
  summary: "show it all on two sample services, then remove them",
  options,
  async run(argv) {
    const flags = parseFlags(options, argv);
    const { once, logLevel } = readConfig(options, flags, process.env);
    const started: (() => Promise<void> | void)[] = [];
    const close = () => undoAll(started);
    // A signal while it is still starting must undo as much as one later.
    const interrupted = interruption();
    try {
      const state = makeTemporaryDirectory("berth-demo-state-");
      started.push(() => state.remove());
      const config = readPartsConfig(
        // Another agent of this machine may have the port, and nobody looks at a demo's status.
        { ...flags, status: "off" },
        process.env,
        statePaths(state.path),
      );
      const { socketPath, isEngineChosen: isChosen, yes: agreed } = config;
      const wish = { socketPath, isChosen, packages: ["busybox-static"], agreed };
      const engine = await findEngine(wish, interrupted);
      started.push(() => engine.close());
      interrupted.throwIfAborted();
      const parts = await startAll(config, engine.socketPath, logLevel);
      started.push(() => parts.close());
      interrupted.throwIfAborted();
      const samples = new Samples(engine.socketPath);
      started.push(() => samples.remove());
      const running = await samples.start(interrupted);
      const names = namesOf(parts, running);
      console.log(`\nNames     ${names.join("  ")}${howToUse(parts, names)}`);
      const isProven = await prove(parts, running, interrupted);
      if (once) {
        await close();
        console.log("Everything it had started is removed again; without --once it stays up.");
        return isProven ? 0 : 1;
      }
      console.log("It stays up until Ctrl-C, then removes what it started.");
      return { close } satisfies Running;
    } catch (fault) {
      await close();
      throw fault;
    }
  },
};

function namesOf({ zone }: AllParts, samples: Sample[]): string[] {
  return [...new Set(samples.map(({ name }) => displayName(nameBelow(name, zone))))];
}

/** Fetches every name through the proxy, until each of its pages was seen; prints what came. */
async function prove(parts: AllParts, samples: Sample[], interrupted: AbortSignal): Promise<boolean> {
  const { fetch, readerTokenFile } = parts;
  const token = readFileSync(readerTokenFile, "utf8").trim();
  const doh = { fetch, url: `${parts.resolverUrl}${dohPath}`, timeoutMs: 5000, token };
  let isProven = true;
  for (const [name, behind] of Map.groupBy(samples, (sample) => sample.name)) {
    const whole = nameBelow(name, parts.zone);
    await untilAnswered(doh, whole, behind.length, interrupted);
    const pages = await fetchPages(parts, displayName(whole), behind, interrupted);
    for (const [page, count] of pages)
      console.log(`http://${displayName(whole)}/  ->  ${page}  (${count} times)`);
    const right = behind.map((sample) => sample.page);
    const isRight = pages.size === right.length && right.every((page) => pages.has(page));
    if (!isRight) console.log(`http://${displayName(whole)}/  WRONG: expected ${right.join(" and ")}`);
    isProven &&= isRight;
  }
  return isProven;
}

/** How often each page came, faults among them. */
async function fetchPages(
  parts: AllParts,
  host: string,
  behind: Sample[],
  interrupted: AbortSignal,
): Promise<Map<string, number>> {
  const pages = new Map<string, number>();
  for (let fetched = 0; fetched < fetchesPerName && pages.size < behind.length; fetched++) {
    interrupted.throwIfAborted();
    const page = await fetchThroughProxy(parts.proxy, host).catch(describeFault);
    pages.set(page, (pages.get(page) ?? 0) + 1);
  }
  return pages;
}
