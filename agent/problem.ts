import type { Problem } from "../shared/binding.ts";

/** Cut to the lengths a push may carry: a container's name and labels are as long as their writer likes. */
export function problemOf(container: string, code: string, message: string): Problem {
  return { container: cut(container, 255), code, message: cut(message, 500) };
}

function cut(text: string, length: number): string {
  // Half a character, cut or given, is no text that every store and terminal takes.
  const whole = text.toWellFormed();
  return whole.length <= length ? whole : `${whole.slice(0, length - 3).toWellFormed()}...`;
}
