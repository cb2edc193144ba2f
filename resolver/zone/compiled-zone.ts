import { isInZone, type Name } from "../../shared/name.ts";
import { hostsApex } from "../../shared/reserved.ts";
import type { ZoneEntry } from "../records.ts";
import type { Tables } from "../tables.ts";
import { type CompileRules, compileHost, compileName } from "./compile.ts";
import { createSourceCache } from "./source-cache.ts";
import type { Source, Zone } from "./zone.ts";

/** What a zone reads of the tables. */
export type ZoneTables = Pick<Tables, "host" | "hosts" | "hostOfLabel" | "claimsOfName" | "hasNameBelow">;

/**
 * The zone as it follows from the tables, compiled when it is asked for: an owner name says by its labels what it follows from.
 *
 *   _80._tcp.web.shop.<zone>, _tcp.web.shop.<zone>, web.shop.<zone>   the name web.shop.<zone>
 *   nas.host.<zone>, v4.addr.nas.host.<zone>                          the host labelled nas
 *
 * What was compiled is kept for a bounded number of names. Whoever changes the tables has to say what to forget.
 */
export function createZone(tables: ZoneTables, rules: CompileRules): Zone {
  const apex = hostsApex(rules.zone);
  const cache = createSourceCache();

  function entriesOf(source: Source): ReadonlyMap<string, ZoneEntry> {
    const key = keyOf(source);
    return cache.get(key) ?? cache.put(key, compile(source));
  }

  function compile(source: Source): ZoneEntry[] {
    if ("name" in source) return compileGranted(tables, source.name, rules);
    const host = tables.hostOfLabel(source.hostLabel);
    return host === undefined ? [] : compileHost(host, rules);
  }

  /** Of the hosts' own subtree: their labels, and `addr` above the parts of their addresses. */
  function hasHostNamesBelow(owner: string): boolean {
    if (isInZone(apex, owner as Name)) return tables.hosts().length > 0;
    const [first, label, ...more] = labelsBelow(owner, apex) ?? [];
    if (first !== "addr" || label === undefined || more.length > 0) return false;
    return (tables.hostOfLabel(label)?.parts.length ?? 0) > 0;
  }

  return {
    entry: (owner) => entriesOf(sourceOf(owner, apex)).get(owner),
    hasBelow(owner) {
      const below = `.${owner}`;
      const siblings = [...entriesOf(sourceOf(owner, apex)).keys()];
      if (siblings.some((sibling) => sibling.endsWith(below))) return true;
      return hasHostNamesBelow(owner) || tables.hasNameBelow(owner);
    },
    entriesOf: (source) => [...entriesOf(source).values()],
    forget(sources) {
      for (const source of sources) cache.delete(keyOf(source));
    },
    forgetAll: () => cache.clear(),
  };
}

function compileGranted(tables: ZoneTables, name: Name, rules: CompileRules): ZoneEntry[] {
  const grants = tables.claimsOfName(name).flatMap((claim) => {
    const host = claim.refusal === undefined ? tables.host(claim.hostId) : undefined;
    return host === undefined ? [] : [{ claim, host }];
  });
  return compileName(name, grants, rules);
}

/** A name that is nobody's leads to a source that has no entries. */
function sourceOf(owner: string, apex: Name): Source {
  // Labels with an underscore are never part of a granted name: they stand for its ports.
  const name = /^(?:_[^.]+\.){0,2}(.*)$/.exec(owner)?.[1] ?? owner;
  const [first, second, third, ...more] = labelsBelow(owner, apex) ?? [];
  if (first !== undefined && second === undefined) return { hostLabel: first };
  if (second === "addr" && third !== undefined && more.length === 0) return { hostLabel: third };
  return { name: name as Name };
}

/** The labels of `owner` in front of `apex`; undefined when it is not below it. */
function labelsBelow(owner: string, apex: Name): string[] | undefined {
  return owner.endsWith(`.${apex}`) ? owner.slice(0, -apex.length - 1).split(".") : undefined;
}

function keyOf(source: Source): string {
  return "name" in source ? source.name : `host ${source.hostLabel}`;
}
