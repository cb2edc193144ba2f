import { sortedBy } from "../sorted.ts";

/** More is nothing a person wrote; engines let a container have labels of megabytes, and every pass would read them. */
const most = { text: 4_096, together: 65_536, count: 500 };
/** As much of a label's name as a message needs. */
const longestShown = 80;

export interface KeptTexts {
  texts: Record<string, string>;
  /** What is left out that somebody may look for, in words that stand by themselves; undefined when nothing is. */
  leftOut: string | undefined;
}

/**
 * What is kept of a container's labels, or of its variables, called `what`: those for which `isRead` first, then the others, until there are
 * too many. Of an overlong one that nothing reads by itself the name alone stays, for selectors. Sorted, so that the same ones stay.
 */
export function keptTexts(
  given: Readonly<Record<string, string>>,
  what: "label" | "variable",
  isRead: (key: string) => boolean,
): KeptTexts {
  const kept: [string, string][] = [];
  const tooLong: string[] = [];
  let room = most.together;
  let without = 0;
  for (const [key, whole] of inOrder(given, isRead)) {
    const text = shortText(key, whole, isRead);
    if (key.length + whole.length > most.text && isRead(key)) tooLong.push(key);
    if (text === undefined) continue;
    const size = key.length + text.length;
    if (size > room || kept.length === most.count) without += 1;
    else {
      kept.push([key, text]);
      room -= size;
    }
  }
  const all = Object.keys(given).length;
  const said = [...longWords(what, tooLong), ...manyWords(what, without, all)];
  return { texts: Object.fromEntries(kept), leftOut: said.length === 0 ? undefined : said.join("; ") };
}

function inOrder(
  given: Readonly<Record<string, string>>,
  isRead: (key: string) => boolean,
): [string, string][] {
  const { read = [], others = [] } = Object.groupBy(Object.entries(given), ([key]) =>
    isRead(key) ? "read" : "others",
  );
  return [...sortedBy(read, ([key]) => key), ...sortedBy(others, ([key]) => key)];
}

/** Undefined when nothing of it is kept. */
function shortText(key: string, text: string, isRead: (key: string) => boolean): string | undefined {
  if (key.length + text.length <= most.text) return text;
  if (key.length > most.text) return undefined;
  // Whoever wrote one of these, however long, meant to hide something. V8 copies so few characters, and keeps the whole text for more.
  if (/ignore$/i.test(key)) return text.slice(0, 12);
  return isRead(key) ? undefined : "";
}

function longWords(what: string, tooLong: readonly string[]): string[] {
  const [first] = tooLong;
  if (first === undefined) return [];
  const shown = first.length <= longestShown ? first : `${first.slice(0, longestShown)}...`;
  const others = tooLong.length > 1 ? ` (and ${tooLong.length - 1} more)` : "";
  return [
    `${what} ${shown}${others} is not read: name and value are longer than ${most.text} characters together; shorten it`,
  ];
}

function manyWords(what: string, without: number, all: number): string[] {
  if (without === 0) return [];
  const limit = `${most.count} ${what}s, of ${most.together} characters together`;
  return [`${without} of its ${all} ${what}s are not read: berth reads at most ${limit}; remove some`];
}
