/** By code units, as the digest sorts: the same on every machine, whatever its locale. Each text is made once, not at each comparison. */
export function sortedBy<T>(values: readonly T[], textOf: (value: T) => string): T[] {
  const keyed = values.map((value) => ({ value, text: textOf(value) }));
  keyed.sort((left, right) => (left.text < right.text ? -1 : left.text > right.text ? 1 : 0));
  return keyed.map(({ value }) => value);
}
