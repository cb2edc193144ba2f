import type { Name } from "../../shared/name.ts";
import type { FamilyName, FamilyReading, FamilySubject, NamingFamily } from "./families.ts";
import { relativeName } from "./foreign-name.ts";
import { mostNames } from "./labels.ts";
import { registratorChecks } from "./registrator-checks.ts";
import { type PortSettings, settingsOf } from "./registrator-settings.ts";

const variable = /^SERVICE_(\d+_)?(NAME|IGNORE|CHECK_[A-Z_]+)$/i;

/**
 * registrator's SERVICE_* variables and labels. SERVICE_NAME=x gives x for every port that has no name of its own, and with more than one
 * port x-<port> as well, which is what registrator would have called each. SERVICE_<port>_NAME is for that port alone.
 */
export const registrator: NamingFamily = {
  family: "registrator",
  readsLabel: (key) => variable.test(key),
  readsVariable: (key) => variable.test(key),
  read,
};

const nothing: FamilyReading = { ignored: undefined, names: [], checks: [], notes: [] };

function read(subject: FamilySubject): FamilyReading {
  const settings = settingsOf(subject.container);
  if (settings.isEmpty) return nothing;
  // Any text ignores, "false" too: registrator has always read it so, and people's containers rely on it.
  if (settings.general.ignore) return { ...nothing, ignored: "SERVICE_IGNORE is set" };
  const ports = [...new Set(subject.ports.map(({ containerPort }) => containerPort))].toSorted(
    (a, b) => a - b,
  );
  const hidden = new Set(ports.filter((port) => settings.own(port).ignore));
  const shown = ports.filter((port) => !hidden.has(port));
  const notes = [...hidden].map((port) => `SERVICE_${port}_IGNORE is set`);
  const names = new Map<Name, Set<number>>();
  const add = (text: string, from: string, of: readonly number[]): void => {
    const { name, note } = relativeName(text, subject.zone);
    if (name === undefined) {
      notes.push(`${from}: ${text} ${note}`);
      return;
    }
    const known = names.get(name) ?? new Set();
    for (const port of of) known.add(port);
    names.set(name, known);
  };
  addNames(settings, shown, ports.length > 1, add);
  const checks = registratorChecks(settings, subject.ports, notes);
  const named = [...names].map(([name, of]): FamilyName => ({ name, ports: of, http: undefined }));
  return { ignored: undefined, names: named, checks, notes };
}

function addNames(
  settings: PortSettings,
  shown: readonly number[],
  isGroup: boolean,
  add: (text: string, from: string, of: readonly number[]) => void,
): void {
  const general = settings.general.name;
  const unnamed = shown.filter((port) => settings.own(port).name === undefined);
  if (general !== undefined && unnamed.length > 0) {
    add(general, "SERVICE_NAME", unnamed);
    if (isGroup && unnamed.length <= mostNames)
      for (const port of unnamed) add(`${general}-${port}`, "SERVICE_NAME", [port]);
  }
  for (const port of shown) {
    const name = settings.own(port).name;
    if (name !== undefined) add(name, `SERVICE_${port}_NAME`, [port]);
  }
}
