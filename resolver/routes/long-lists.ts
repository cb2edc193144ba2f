import { bindingSchema } from "../../shared/binding.ts";
import { type BodyFault, invalidBody } from "./body.ts";

/** Shorter lists are for the schema alone. */
const short = 200;
/** Wrong bindings after which the rest is not worth a look. */
const enough = 10;

/**
 * Throws `invalid-body` for a long list with many wrong bindings in it, to be asked before the whole body's schema: that one makes a
 * fault, with its text, of every wrong value, and 20,000 bindings have room for a million of them, which is seconds and a gigabyte.
 */
export function refuseWrongBindings(list: unknown, path: string): void {
  if (!Array.isArray(list) || list.length <= short) return;
  const faults: BodyFault[] = [];
  let wrong = 0;
  for (const [index, binding] of list.entries()) {
    const parsed = bindingSchema.safeParse(binding);
    if (parsed.success) continue;
    for (const issue of parsed.error.issues) {
      faults.push({ path: [path, index, ...issue.path].join("."), message: issue.message });
    }
    if (++wrong === enough) throw invalidBody(faults);
  }
}
