import type { Binding } from "../../../shared/binding.ts";
import { canonicalBinding } from "../../../shared/digest.ts";
import type { Name } from "../../../shared/name.ts";

/** What one host declares for one name, and the revision since when: who waited longest must be the same for every resolver. */
export interface Declaration {
  name: Name;
  since: number;
  bindings: Binding[];
}

export interface Chunk {
  hash: string;
  text: string;
}

const chunkBytes = 60 * 1024;

/**
 * A declared set in chunks. Where a chunk ends follows from the names in it, so one change makes one other chunk and the rest keep their
 * hashes. `hashOf` is SHA-256 in hex.
 */
export function chunksOf(declarations: Declaration[], hashOf: (text: string) => string): Chunk[] {
  const chunks: Chunk[] = [];
  let entries: string[] = [];
  let bytes = 0;
  const cut = (): void => {
    if (entries.length === 0) return;
    const text = `[${entries.join(",")}]`;
    chunks.push({ hash: hashOf(text).slice(0, 32), text });
    entries = [];
    bytes = 0;
  };
  for (const { name, since, bindings } of declarations.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    for (const binding of sorted(bindings)) {
      const entry = JSON.stringify({ since, ...binding });
      // Names and labels are ASCII, but a container's name need not be.
      const size = new TextEncoder().encode(entry).length + 1;
      if (bytes + size > chunkBytes) cut();
      entries.push(entry);
      bytes += size;
    }
    if (endsChunk(name)) cut();
  }
  cut();
  return chunks;
}

/** Reverses chunksOf, given what parses one chunk; the declarations come in no order. */
export function declarationsOf(entries: Iterable<Binding & { since: number }>): Declaration[] {
  const declarations = new Map<Name, Declaration>();
  for (const { since, ...binding } of entries) {
    const known = declarations.get(binding.name);
    if (known === undefined)
      declarations.set(binding.name, { name: binding.name, since, bindings: [binding] });
    else known.bindings.push(binding);
  }
  return [...declarations.values()];
}

/** Resolvers write the same set alike, whatever order it came in. */
function sorted(bindings: Binding[]): Binding[] {
  if (bindings.length < 2) return bindings;
  return bindings.toSorted((a, b) => (canonicalBinding(a) < canonicalBinding(b) ? -1 : 1));
}

/** One name in 64, by a 32-bit FNV-1a of its text. */
function endsChunk(name: Name): boolean {
  let hash = 0x811c9dc5;
  for (let index = 0; index < name.length; index++) {
    hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 8) % 64 === 0;
}
