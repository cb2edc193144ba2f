export type DnsReply = {
  /** The client program's exit status. */
  code: number;
  /** NOERROR, NXDOMAIN, …; undefined when no reply came. */
  status: string | undefined;
  /** In lower case: "qr", "aa", "rd", … */
  flags: string[];
  /** One array of fields per RR: owner name, TTL, class, type, then RDATA. */
  answer: string[][];
  authority: string[][];
  additional: string[][];
  /** All the program printed, for a failing test's message. */
  text: string;
};

/** Reads what dig and kdig print; the two differ in punctuation and case only. */
export function parseDnsReply(code: number, text: string): DnsReply {
  return {
    code,
    status: /^;; ->>HEADER<<-.* status: (\w+)/m.exec(text)?.[1],
    flags: /^;; flags:([^;]*)/im.exec(text)?.[1]?.trim().toLowerCase().split(/\s+/).filter(Boolean) ?? [],
    answer: section(text, "ANSWER"),
    authority: section(text, "AUTHORITY"),
    additional: section(text, "ADDITIONAL"),
    text,
  };
}

function section(text: string, title: string): string[][] {
  const lines = text.split("\n");
  const start = lines.indexOf(`;; ${title} SECTION:`);
  if (start < 0) return [];
  const rest = lines.slice(start + 1);
  const end = rest.findIndex((line) => line.trim() === "" || line.startsWith(";"));
  return rest.slice(0, end < 0 ? rest.length : end).map(fieldsOf);
}

// A character-string in quotation marks is one field, blanks and all.
function fieldsOf(line: string): string[] {
  return line.match(/"(?:\\.|[^"\\])*"|[^\s"]+(?:"(?:\\.|[^"\\])*")?/g) ?? [];
}
