import { formatEndpoint } from "../shared/address.ts";
import type { ListenAddress } from "../shared/config.ts";
import { describeFault } from "../shared/errors.ts";
import { displayName, isInZone, type Name, parseName } from "../shared/name.ts";
import { detectNameService, nameServices } from "./dns-detect.ts";
import type { NameMachine } from "./dns-machine.ts";
import { probeListener, reachesListener, zonesOfListener } from "./dns-probe.ts";
import type { NameService } from "./dns-setting.ts";

/** What `status` reports: its lines, and whether every name of the zones arrives. */
export interface DnsState {
  lines: string[];
  isWhole: boolean;
}

/**
 * How the machine is set, whether the proxy answers, and whether programs' questions reach it; with what to do where not. `wanted.zones`
 * are the ones that have to arrive, where undefined those the proxy knows now; `wanted.server` counts where nothing is set. `reaches`
 * asks as the programs of this machine do.
 */
export async function dnsState(
  wanted: { zones: readonly Name[] | undefined; server: ListenAddress },
  machine: NameMachine,
  reaches = reachesListener,
): Promise<DnsState> {
  const set = nameServices.flatMap((service) => {
    const found = service.installed(machine);
    return found === undefined ? [] : [{ service, ...found }];
  });
  const [first] = set;
  const server = first?.server ?? wanted.server;
  const lines = set.map(({ service, zones: own, server: to }) => settingLine(service, own, to));
  if (first === undefined) lines.push("nothing is set: berth dns install does it");
  lines.push(...(await mismatchLines(first?.service, machine)));
  const installed = [...new Set(set.flatMap((each) => each.zones ?? []))].map(parseName);
  const { asked, missing } = compareZones(installed, wanted.zones ?? (await zonesOfListener(server)));
  lines.push(...missing.map(missingLine));
  let isWhole = first !== undefined && missing.length === 0;
  for (const zone of asked) {
    const found = await zoneLines(zone, server, first?.service, reaches);
    lines.push(...found.lines);
    isWhole &&= found.isWhole;
  }
  return { lines, isWhole };
}

/** Which zones are to be asked about, and which of the wanted ones nobody was told of, as a resolver may get one at any time. */
function compareZones(
  installed: Name[],
  wanted: readonly Name[],
): { asked: readonly Name[]; missing: Name[] } {
  if (installed.length === 0) {
    return { asked: wanted.length === 0 ? [parseName("berth.internal")] : wanted, missing: [] };
  }
  const isSet = (zone: Name) => installed.some((each) => isInZone(zone, each));
  return { asked: installed, missing: wanted.filter((zone) => !isSet(zone)) };
}

function missingLine(zone: Name): string {
  const shown = displayName(zone);
  return `names of the zone ${shown} are not asked of the proxy: this machine was not told of it; berth dns install tells it`;
}

function settingLine({ title }: NameService, zones: string[] | undefined, to: ListenAddress): string {
  const what = zones === undefined ? "every name" : zones.join(", ");
  return `set in ${title}: ${what} ${zones?.length === 1 || zones === undefined ? "is" : "are"} asked of ${textOf(to)}`;
}

/** What resolves names here may have become another since. */
async function mismatchLines(set: NameService | undefined, machine: NameMachine): Promise<string[]> {
  try {
    const now = await detectNameService(machine);
    if (set === undefined) return [`programs' questions are answered by ${now.title}`];
    if (now.name === set.name) return [];
    return [`programs' questions are answered by ${now.title} now: berth dns remove, then berth dns install`];
  } catch (fault) {
    return [describeFault(fault)];
  }
}

async function zoneLines(
  zone: Name,
  server: ListenAddress,
  set: NameService | undefined,
  reaches: typeof reachesListener,
): Promise<DnsState> {
  const shown = displayName(zone);
  const at = textOf(server);
  const listener = await probeListener(server, zone);
  if (listener.kind === "silent") {
    const start = "start it: berth proxy --transparent, or systemctl enable --now berth-transparent";
    return { lines: [`the proxy does not answer at ${at} (${listener.what}); ${start}`], isWhole: false };
  }
  if (listener.kind === "stranger") {
    const mend = `it is another program, or a proxy that does not know ${shown} for a zone (--zone, --resolver)`;
    return { lines: [`what answers at ${at} says ${listener.what} about ${shown}: ${mend}`], isWhole: false };
  }
  const answers = `the proxy answers for ${shown} at ${at}`;
  if (await reaches(server, zone)) {
    return { lines: [answers, `what programs ask about ${shown} arrives there`], isWhole: true };
  }
  const vpn = "a VPN or a hosts line of /etc/nsswitch.conf without dns or resolve does this";
  const again = (set?.applyAgain().length ?? 0) > 0 ? `berth dns install sets it again; ${vpn} as well` : vpn;
  const mend = set === undefined ? "berth dns install" : again;
  return {
    lines: [answers, `what programs ask about ${shown} does not arrive there: ${mend}`],
    isWhole: false,
  };
}

function textOf({ host, port }: ListenAddress): string {
  return formatEndpoint({ address: host, port });
}
