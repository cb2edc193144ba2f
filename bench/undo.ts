/**
 * Runs `work`. Every step it handed to `later` is taken afterwards, the last first and each awaited, whether `work` succeeded or threw
 * half way through its preparations.
 */
export async function withUndo<T>(work: (later: (undo: () => unknown) => void) => Promise<T>): Promise<T> {
  const steps: (() => unknown)[] = [];
  try {
    return await work((undo) => steps.push(undo));
  } finally {
    for (const step of steps.toReversed()) await step();
  }
}
