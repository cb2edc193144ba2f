/**
 * JSON that a terminal can be shown: what JSON itself leaves as it is, though it would command a terminal or reorder its text, is written as
 * an escape. Whoever parses it gets the same value.
 */
export function printableJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, undefined, indent).replace(/[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu, escaped);
}

/** Some of these characters are two UTF-16 units, and so two escapes. */
function escaped(character: string): string {
  const units = Array.from({ length: character.length }, (_, index) => character.charCodeAt(index));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
}
