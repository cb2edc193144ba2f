import { readFileSync } from "node:fs";

/** Where the system does not say how many files a process may open. */
const fewFiles = 1_024;

/** How many files this process may open (proc(5)); Node has raised it as far as it may. */
export function filesAllowed(): number {
  try {
    const soft = Number(/^Max open files +(\d+) /m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1]);
    return Number.isSafeInteger(soft) ? soft : fewFiles;
  } catch {
    return fewFiles;
  }
}
