/** Runs every undo, the latest first, whatever becomes of the others, and empties the list; then throws the first fault. */
export async function undoAll(undos: (() => Promise<void> | void)[]): Promise<void> {
  const faults: unknown[] = [];
  for (const undo of undos.splice(0).toReversed()) {
    try {
      await undo();
    } catch (fault) {
      faults.push(fault);
    }
  }
  if (faults.length > 0) throw faults[0];
}
