import type { Binding } from "../shared/binding.ts";
import { canonicalBinding } from "../shared/digest.ts";

const texts = new WeakMap<Binding, string>();

/**
 * The binding's canonical text, made once. A host's whole set is sorted, compared and digested at every change, and nearly all of it is the
 * same objects as before.
 */
export function bindingText(binding: Binding): string {
  const known = texts.get(binding);
  if (known !== undefined) return known;
  const text = canonicalBinding(binding);
  texts.set(binding, text);
  return text;
}
