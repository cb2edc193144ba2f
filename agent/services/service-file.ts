import { parse, TomlError } from "smol-toml";

import type { Problem } from "../../shared/binding.ts";
import { describeFault } from "../../shared/errors.ts";
import type { Name } from "../../shared/name.ts";
import type { DeclaredService } from "../declare/input.ts";
import { problemOf } from "../problem.ts";
import { readEntry } from "./service-entry.ts";

export interface ServiceReading {
  services: DeclaredService[];
  problems: Problem[];
}

/** `services` is undefined when the text as a whole says nothing: it may be half written, and does not tell that there are none. */
export interface FileReading {
  services: DeclaredService[] | undefined;
  problems: Problem[];
}

/**
 * The services that the text of one file declares. A wrong entry is a problem, and so is a file that is no TOML; what is right
 * stands. `file` is the file's own name, by which its services' ids and problems begin.
 */
export function servicesFromText(file: string, text: string, zone: Name): FileReading {
  const services: DeclaredService[] = [];
  const problems: Problem[] = [];
  let table: Record<string, unknown>;
  try {
    table = parse(text);
  } catch (fault) {
    problems.push(problemOf(file, "bad-service-file", notToml(fault)));
    return { services: undefined, problems };
  }
  for (const key of Object.keys(table)) {
    if (key === "service") continue;
    const message = `berth knows nothing called ${shownKey(key)} here; each service is a table of its own that begins with [[service]]`;
    problems.push(problemOf(file, "bad-service-file", message));
  }
  const entries = entriesOf(table.service);
  if (entries === undefined) {
    const message =
      "service is one table and not a list; write [[service]], in two pairs of brackets, before each";
    problems.push(problemOf(file, "bad-service-file", message));
    return { services: undefined, problems };
  }
  const lines = linesOfEntries(text, entries.length);
  for (const [index, entry] of entries.entries()) {
    const { service, faults } = readEntry(`${file}#${index + 1}`, entry, zone);
    if (service !== undefined) services.push(service);
    const line = lines[index];
    const place = line === undefined ? `service ${index + 1}` : `line ${line} (service ${index + 1})`;
    if (faults.length > 0) problems.push(problemOf(file, "bad-service", `${place}: ${faults.join("; ")}`));
  }
  return { services, problems };
}

function entriesOf(value: unknown): unknown[] | undefined {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : undefined;
}

/** Where each [[service]] begins. Not known when the text has more of them than there are entries: one stands inside a string. */
function linesOfEntries(text: string, count: number): number[] {
  const lines: number[] = [];
  for (const [index, line] of text.split("\n").entries())
    if (/^\s*\[\[\s*(service|"service"|'service')\s*\]\]/.test(line)) lines.push(index + 1);
  return lines.length === count ? lines : [];
}

function notToml(fault: unknown): string {
  if (!(fault instanceof TomlError)) return `it cannot be read as TOML: ${describeFault(fault)}`;
  // The parser's message goes on with a drawing of the place.
  const [reason = ""] = fault.message.replace(/^Invalid TOML document: /, "").split("\n");
  return `line ${fault.line}, column ${fault.column}: it is not TOML: ${reason}`;
}

function shownKey(key: string): string {
  return key.length <= 40 ? key : `${key.slice(0, 37)}...`;
}
