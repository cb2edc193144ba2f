import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";

const bridge = "docker0";
const forwarding = "/proc/sys/net/ipv4/ip_forward";
const tables = ["iptables", "ip6tables"].flatMap((program) =>
  ["filter", "nat", "raw"].map((table) => ({ program, table })),
);

/**
 * Notes how the machine's network is before an engine of berth's own starts: a Docker engine leaves its bridge, its chains and a FORWARD
 * policy of DROP behind. `restore` takes back what came since, and returns one line for each step that failed. Where the bridge was there
 * before, another engine made it and may still use it: then nothing is touched.
 */
export function rememberNetwork(): { restore(): string[] } {
  if (isBridgeThere()) return { restore: () => [] };
  const before = tables.map(({ program, table }) => rulesOf(program, table));
  const wasForwarding = existsSync(forwarding) ? readFileSync(forwarding, "utf8") : undefined;
  return {
    restore() {
      // One that came since uses the same bridge and chains: they are its own now.
      if (isAnotherEngineThere()) return [];
      const steps = tables.flatMap(({ program, table }, index) =>
        undoing(before[index] ?? [], rulesOf(program, table)).map((args) => [program, "-t", table, ...args]),
      );
      if (isBridgeThere()) steps.push(["ip", "link", "delete", bridge]);
      const failures = steps.flatMap(([program = "", ...args]) => run(program, args));
      return wasForwarding === undefined ? failures : [...failures, ...restoreForwarding(wasForwarding)];
    },
  };
}

/**
 * What to tell iptables so that a table is again as `before`, given both as `iptables -S` prints them; only Docker's own rules are undone,
 * for others may have added theirs meanwhile. A chain can go once no rule leads to it.
 */
export function undoing(before: string[], after: string[]): string[][] {
  const known = new Set(before);
  const added = after.filter((line) => !known.has(line)).map((line) => line.split(" "));
  const chains = added.flatMap(([verb, chain = ""]) => (verb === "-N" && isDockers(chain) ? [chain] : []));
  const rules = added.filter(
    ([verb, chain = "", ...rest]) => verb === "-A" && !chains.includes(chain) && isDockersRule(rest),
  );
  const policy = before.find((line) => line.startsWith("-P FORWARD ") && !after.includes(line));
  return [
    ...rules.map(([, ...rest]) => ["-D", ...rest]),
    ...chains.map((chain) => ["-F", chain]),
    ...chains.map((chain) => ["-X", chain]),
    ...(policy === undefined ? [] : [policy.split(" ")]),
  ];
}

function isDockers(chain: string): boolean {
  return chain === "DOCKER" || chain.startsWith("DOCKER-");
}

function isDockersRule(words: string[]): boolean {
  const after = (flag: string) => words[words.indexOf(flag) + 1];
  const leadsToItself = words.includes("-s") && words.includes("-d") && after("-s") === after("-d");
  // A container that reaches itself through its published port; killed, the engine leaves this rule.
  const isHairpin = leadsToItself && after("-j") === "MASQUERADE";
  return isHairpin || words.some((word) => word === bridge || isDockers(word));
}

/** By the program's name, in this network namespace: berth's own engine has ended by then. */
function isAnotherEngineThere(): boolean {
  const here = readlinkSync("/proc/self/ns/net");
  return readdirSync("/proc").some((pid) => {
    try {
      return (
        readFileSync(`/proc/${pid}/comm`, "utf8") === "dockerd\n" &&
        readlinkSync(`/proc/${pid}/ns/net`) === here
      );
    } catch {
      // No process, or one that ended while we looked.
      return false;
    }
  });
}

/** Not by /sys, which shows the network it was mounted in. */
function isBridgeThere(): boolean {
  const lines = readFileSync("/proc/net/dev", "utf8").split("\n");
  return lines.some((line) => line.trimStart().startsWith(`${bridge}:`));
}

/** Empty where there is no such program or table: then the engine uses neither. */
function rulesOf(program: string, table: string): string[] {
  const { status, stdout } = spawnSync(program, ["-w", "-t", table, "-S"], { encoding: "utf8" });
  return status === 0 ? stdout.split("\n").filter((line) => line !== "") : [];
}

function run(program: string, args: string[]): string[] {
  const { status, stderr, error } = spawnSync(program, args, { encoding: "utf8" });
  if (status === 0) return [];
  const why = error?.message ?? stderr.trim();
  return [`the engine's end left something behind; "${program} ${args.join(" ")}" failed: ${why}`];
}

/** Docker switches forwarding on, and the FORWARD policy with it. */
function restoreForwarding(was: string): string[] {
  try {
    if (readFileSync(forwarding, "utf8") !== was) writeFileSync(forwarding, was);
    return [];
  } catch (fault) {
    return [`the engine's end left ${forwarding} changed: ${fault instanceof Error ? fault.message : fault}`];
  }
}
