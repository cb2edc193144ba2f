import { namingFamilies } from "./families.ts";

const ofCompose = /^com\.docker\.compose\.(project|service|oneoff|container-number)$/;

/** Whether some rule that berth has by itself reads the label; an operator's selectors and template may read any other. */
export function isReadLabel(key: string): boolean {
  return (
    key.startsWith("berth.") ||
    ofCompose.test(key) ||
    namingFamilies.some(({ readsLabel }) => readsLabel(key))
  );
}

/** The same of a variable. */
export function isReadVariable(key: string): boolean {
  return namingFamilies.some(({ readsVariable }) => readsVariable(key));
}
