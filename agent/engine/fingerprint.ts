import { hash } from "node:crypto";

/**
 * One short text for everything a list entry says but its age: `Status` ("Up 3 seconds (healthy)") grows old by itself, and only what
 * stands in its brackets is a fact. Keys and lists are put in order, because Docker walks Go maps when it lists ports and mounts. A hash
 * (SHA-256, base64), because a container's labels are as long as their writer likes and the fingerprint is kept.
 */
export function fingerprintOf(entry: Readonly<Record<string, unknown>>): string {
  const { Status: status, ...rest } = entry;
  const facts = typeof status === "string" ? (status.match(/\([^()]*\)/g) ?? []) : [];
  const lasting = facts.filter((fact) => /[a-z]/i.test(fact));
  return hash("sha256", canonical({ ...rest, facts: lasting }), "base64");
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).toSorted().join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const fields = Object.entries(value).map(([key, field]) => `${JSON.stringify(key)}:${canonical(field)}`);
  return `{${fields.toSorted().join()}}`;
}
