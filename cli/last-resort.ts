/**
 * Has `undo` run when the process ends without having undone it in order: at a second signal or a fault nobody caught. It must be
 * synchronous, for nothing else runs by then. The latest is undone first. Returns a function that calls it off.
 */
export function asLastResort(undo: () => void): () => void {
  if (undos.size === 0) process.on("exit", undoAll);
  undos.add(undo);
  return () => {
    undos.delete(undo);
    if (undos.size === 0) process.off("exit", undoAll);
  };
}

const undos = new Set<() => void>();

function undoAll(): void {
  for (const undo of [...undos].toReversed()) {
    try {
      undo();
    } catch (fault) {
      // The others still have to be undone.
      process.stderr.write(`berth: ${fault instanceof Error ? fault.message : fault}\n`);
    }
  }
}
