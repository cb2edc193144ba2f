/** The file of those who may use the proxy: text in, users and problems out. */

export interface ParsedUsers {
  /** Passwords by name, as octets: what comes over the wire need not be text. */
  passwords: ReadonlyMap<string, Uint8Array>;
  /** What is wrong, by line number alone: a line may hold a password. */
  problems: string[];
}

/** RFC 1929 §2: ULEN and PLEN are 1 to 255. */
const longest = 255;
const utf8 = new TextEncoder();

/**
 * Lines `name:password`; the first colon divides them, spaces belong to both, empty lines and those that start with # say nothing. A
 * line that is none of these is a problem and gives nobody a way in; so is a name that comes again, of which the first line counts.
 */
export function parseUsers(text: string): ParsedUsers {
  const passwords = new Map<string, Uint8Array>();
  const problems: string[] = [];
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  for (const [index, line] of lines.entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const problem = addUser(line, passwords);
    if (problem !== undefined) problems.push(`line ${index + 1}: ${problem}`);
  }
  return { passwords, problems };
}

function addUser(line: string, passwords: Map<string, Uint8Array>): string | undefined {
  const colon = line.indexOf(":");
  if (colon === -1) return "a user is written name:password";
  const name = line.slice(0, colon);
  const password = utf8.encode(line.slice(colon + 1));
  if (!hasAllowedLength(utf8.encode(name))) return "the name must have 1 to 255 octets";
  if (!hasAllowedLength(password)) return "the password must have 1 to 255 octets";
  if (passwords.has(name)) return "this name has a line above already";
  passwords.set(name, password);
  return undefined;
}

function hasAllowedLength(octets: Uint8Array): boolean {
  return octets.length >= 1 && octets.length <= longest;
}
