import { vi } from "vitest";

export interface CapturedOutput {
  stdout: string;
  stderr: string;
}

/** What a command writes from here on, instead of its being written; vi.restoreAllMocks ends it. */
export function captureOutput(): CapturedOutput {
  const captured: CapturedOutput = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    vi.spyOn(process[name], "write").mockImplementation((text, ...rest: unknown[]) => {
      captured[name] += String(text);
      const done = rest.find((each) => typeof each === "function");
      done?.(undefined);
      return true;
    });
  }
  return captured;
}
