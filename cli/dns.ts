import { z } from "zod";

import { type ConfigOf, type Options, readConfig, switchSchema, urlListOption } from "../shared/config.ts";
import { BerthError, describeFault } from "../shared/errors.ts";
import { oneLine } from "../shared/log.ts";
import { displayName, type Name, parseName } from "../shared/name.ts";
import { listZones } from "../shared/resolver-client.ts";
import { proxyOptions } from "../socks-proxy/config.ts";
import { note, printLines } from "./admin.ts";
import { type Command, type CommandGroup, caOption } from "./command.ts";
import { applyChanges, type DnsChange, linesOfChange } from "./dns-change.ts";
import { detectNameService, nameServiceBy, nameServices } from "./dns-detect.ts";
import { type NameMachine, thisMachine, unfinished } from "./dns-machine.ts";
import { planInstallation } from "./dns-plan.ts";
import { probeListener, reachesListener, untilReaching, zonesOfListener } from "./dns-probe.ts";
import { type ServiceName, serviceNames } from "./dns-setting.ts";
import { dnsState } from "./dns-status.ts";
import { parseFlags } from "./flags.ts";
import { readToken } from "./resolver-access.ts";
import { statePaths } from "./state.ts";
import { fetchTrusting } from "./trust.ts";

const dryRunOption = {
  dryRun: { schema: switchSchema, help: "say what would be done, and do nothing" },
} satisfies Options;

const whereOptions = {
  zone: {
    ...proxyOptions.zone,
    help: "the zones, by comma (default: what the resolver, or else the running proxy, says)",
  },
  dnsListen: { ...proxyOptions.dnsListen, help: "where the transparent proxy answers DNS (127.64.0.1:53)" },
} satisfies Options;

const installOptions = {
  manager: {
    schema: z.enum(serviceNames, { error: `one of ${serviceNames.join(", ")}` }).optional() as z.ZodType<
      ServiceName | undefined
    >,
    value: "WHICH",
    help: `what resolves names on this machine: ${serviceNames.join(", ")} (default: what is found)`,
  },
  ...whereOptions,
  resolver: {
    schema: urlListOption("https://127.0.0.1:8053"),
    value: "URLS",
    help: "where the zones are learnt from, before the running proxy is asked",
  },
  tokenFile: proxyOptions.tokenFile,
  ...caOption,
  ...dryRunOption,
} satisfies Options;

const installCommand: Command = {
  summary: "have this machine ask the transparent proxy for names of the zones",
  options: installOptions,
  async run(argv) {
    const config = readConfig(installOptions, parseFlags(installOptions, argv), process.env);
    const machine = thisMachine();
    const zones = checkZones(config.zone ?? (await learnZones(config)));
    const service =
      config.manager === undefined ? await detectNameService(machine) : nameServiceBy(config.manager);
    const setting = { zones, server: config.dnsListen };
    // Where the proxy itself does not answer, nothing says that somebody has undone anything.
    const arrives = async (zone: Name) =>
      (await probeListener(setting.server, zone)).kind !== "answers" || reachesListener(setting.server, zone);
    const changes = await planInstallation(service, setting, machine, arrives);
    const shown = zones.map(displayName).join(", ");
    if (changes.length === 0) note(`${service.title} is set for ${shown} already`);
    if (config.dryRun) return printLines(changes.flatMap(linesOfChange));
    await carryOut(changes);
    if (changes.length > 0) await Promise.all(zones.map((zone) => untilReaching(setting.server, zone)));
    if (changes.length > 0) note(`${service.title} is set for ${shown}; berth dns remove takes it back`);
    const { lines } = await dnsState(setting, machine);
    return printLines(lines.map(oneLine));
  },
};

const removeCommand: Command = {
  summary: "take back what install did, and nothing else",
  options: dryRunOption,
  async run(argv) {
    const { dryRun } = readConfig(dryRunOption, parseFlags(dryRunOption, argv), process.env);
    const machine = thisMachine();
    const changes = [...leftovers(machine), ...nameServices.flatMap((service) => service.remove(machine))];
    if (dryRun) return printLines(changes.flatMap(linesOfChange));
    await carryOut(changes);
    note(changes.length === 0 ? "nothing of berth's was set" : "this machine resolves names as before");
    return 0;
  },
};

const statusCommand: Command = {
  summary: "say what is set, and whether names of the zones arrive; exit code 1 when not",
  options: whereOptions,
  async run(argv) {
    const { zone, dnsListen } = readConfig(whereOptions, parseFlags(whereOptions, argv), process.env);
    const { lines, isWhole } = await dnsState({ zones: zone, server: dnsListen }, thisMachine());
    await printLines(lines.map(oneLine));
    return isWhole ? 0 : 1;
  },
};

export const dnsCommands: CommandGroup = {
  summary: "have this machine's own name resolution find the names (for berth proxy --transparent)",
  commands: { install: installCommand, remove: removeCommand, status: statusCommand },
  standard: "status",
};

async function carryOut(changes: readonly DnsChange[]): Promise<void> {
  if (changes.length > 0 && process.getuid?.() !== 0) {
    throw new BerthError(
      "cannot-set-dns",
      "this machine's name resolution is root's to set: sudo berth dns ...",
    );
  }
  await applyChanges(changes, thisMachine());
}

/** Of a write that was cut short. */
function leftovers(machine: NameMachine): DnsChange[] {
  const paths = nameServices.flatMap(({ files }) => files).map(unfinished);
  return paths.flatMap((path) => {
    const was = machine.read(path);
    return was === undefined ? [] : [{ kind: "delete", path, was } as const];
  });
}

/** Then this machine would have no other DNS at all. */
function checkZones(zones: readonly Name[]): readonly Name[] {
  if (!zones.includes(parseName("."))) return zones;
  const message = "the zone . is every name there is; berth's zone lies below it, such as berth.internal";
  throw new BerthError("bad-config", message, { who: "--zone" });
}

/** Of the resolver; else of the proxy, which has learnt them of its own resolver with its own token. */
async function learnZones(config: ConfigOf<typeof installOptions>): Promise<Name[]> {
  const { resolver, tokenFile, ca, dnsListen } = config;
  const { caFile, readerTokenFile } = statePaths();
  const fetch = fetchTrusting(ca ?? caFile, ca !== undefined);
  const token = tokenFile === undefined ? {} : { token: readToken(tokenFile, readerTokenFile) };
  const faults: unknown[] = [];
  for (const url of resolver) {
    try {
      return await listZones({ fetch, url, timeoutMs: 5_000, ...token });
    } catch (fault) {
      faults.push(fault);
    }
  }
  const known = await zonesOfListener(dnsListen);
  if (known.length > 0) return known;
  const message = `the zones could not be learnt: ${describeFault(faults[0])}; start the proxy first, name them with --zone, or another resolver with --resolver`;
  throw new BerthError("cannot-set-dns", message, { cause: undefined });
}
