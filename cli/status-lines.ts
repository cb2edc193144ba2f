import type { AgentStatus } from "../agent/status/agent-status.ts";
import { tableLines } from "./table.ts";

/** An agent's status for people. Containers, labels and engines wrote parts of it: no line can be forged, no terminal commanded. */
export function statusLines(status: AgentStatus): string[] {
  return [
    ...tableLines(["HOST", shownHost(status)], hostRows(status)),
    ...section(
      ["ENGINE", "STATE", "KIND", "CONTAINERS", "DRAINING", "LAST READ", "PASSES", "EVENTS", "AT"],
      engineRows(status),
    ),
    ...section(["RELAY", "CONTAINER", "STATE", "CONNECTIONS", "BYTES IN", "BYTES OUT"], relayRows(status)),
    ...section(["CHECK OF", "TARGET", "STATE"], checkRows(status)),
    ...section(["SERVICE", "NAMES", "STATE"], serviceRows(status)),
    ...section(["PROBLEM OF", "CODE", "WHAT"], problemRows(status)),
  ];
}

function shownHost({ hostLabel: { declared, granted } }: AgentStatus): string {
  if (granted === undefined) return `${declared} (not granted yet)`;
  return granted === declared ? declared : `${granted} (${declared} is another host's)`;
}

function hostRows(status: AgentStatus): string[][] {
  const { version, uptime, hostId, resolver, problems } = status;
  return [
    ["id", hostId],
    ["agent", `berth ${version}, up ${shownAge(uptime)}`],
    ["addresses", shownAddresses(status)],
    ["resolver", `${resolver.url}: ${shownResolver(resolver)}`],
    ["lease", shownLease(resolver)],
    [
      "declares",
      [
        counted(status.bindings, "binding"),
        counted(problems.length, "problem"),
        counted(status.notes, "note"),
      ].join(", "),
    ],
  ];
}

function shownAddresses({ addresses, addressFault }: AgentStatus): string {
  const known = addresses.length === 0 ? "NONE yet" : addresses.join(", ");
  return addressFault === undefined ? known : `${known}, and FAILING to tell them (${addressFault})`;
}

function shownResolver({ up, fault, pushes, renewals }: AgentStatus["resolver"]): string {
  const taken = `${counted(pushes, "push", "pushes")} and ${counted(renewals, "renewal")} taken`;
  return `${up ? "up" : `FAILING${fault === undefined ? "" : ` (${fault})`}`}, ${taken}`;
}

function shownLease({ lease, leaseRemaining, lastSyncAgo, link }: AgentStatus["resolver"]): string {
  if (leaseRemaining === undefined || lease === undefined) return "NONE yet";
  const synced = lastSyncAgo === undefined ? "" : `, last taken ${shownAge(lastSyncAgo)} ago`;
  if (leaseRemaining <= 0) return `LAPSED${synced}`;
  return `${Math.ceil(leaseRemaining)} of ${lease} s left${synced}${link ? ", renewed by a link" : ""}`;
}

function engineRows({ engines }: AgentStatus): string[][] {
  return engines.map((engine) => {
    const { label, up, kind, version, containers, draining, lastReadAgo, passes, events } = engine;
    return [
      label,
      up ? "up" : "DOWN",
      [kind === "" ? "unknown" : kind, version ?? ""].join(" ").trim(),
      String(containers),
      String(draining),
      lastReadAgo === undefined ? "never" : `${shownAge(lastReadAgo)} ago`,
      String(passes),
      String(events),
      shownPlace(engine),
    ];
  });
}

function shownPlace({ where, fault, addressFault }: AgentStatus["engines"][number]): string {
  const place = fault === undefined ? where : `${where}: ${fault}`;
  return addressFault === undefined ? place : `${place}, and FAILING to tell its addresses (${addressFault})`;
}

function relayRows({ relays }: AgentStatus): string[][] {
  return relays.map(({ protocol, port, container, state, fault, connections, bytesIn, bytesOut }) => [
    port === undefined ? `${protocol}/none` : `${protocol}/${port}`,
    container,
    fault === undefined ? state : `${state.toUpperCase()}: ${fault}`,
    String(connections),
    String(bytesIn),
    String(bytesOut),
  ]);
}

function checkRows({ checks, flapping }: AgentStatus): string[][] {
  return [
    ...checks.map(({ container, target = "", state, fault }) => [
      container,
      target,
      fault === undefined ? state : `${state}: ${fault}`,
    ]),
    ...flapping.map((container) => [container, "", "flapping: comes and goes too often to be relied on"]),
  ];
}

function serviceRows({ services }: AgentStatus): string[][] {
  const shown = {
    healthy: "healthy",
    unchecked: "declared, not checked",
    starting: "starting: not declared yet",
    unhealthy: "unhealthy: not declared",
  };
  return services.map(({ id, names, state }) => [id, names.join(", "), shown[state]]);
}

function problemRows({ problems, resolver }: AgentStatus): string[][] {
  return [
    ...problems.map(({ container, code, message }) => [
      container === "" ? "the host" : container,
      code,
      message,
    ]),
    ...resolver.refused.map(({ name, code, message }) => [name.replace(/\.$/, ""), code, message]),
  ];
}

/** Nothing to list is nothing to read. */
function section(headings: string[], rows: string[][]): string[] {
  return rows.length === 0 ? [] : ["", ...tableLines(headings, rows)];
}

function counted(count: number, one: string, several = `${one}s`): string {
  return `${count} ${count === 1 ? one : several}`;
}

/** Seconds as people say them, in their largest unit. */
export function shownAge(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}
