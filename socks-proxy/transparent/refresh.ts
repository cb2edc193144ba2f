import type { StubResolver } from "../../client/stub-resolver.ts";
import type { Name } from "../../shared/name.ts";
import type { Clock } from "./clock.ts";
import type { ServedNames } from "./served-names.ts";

/** While somebody asked for a name, or connected to it, within this time, its ports are kept true. */
const wantedMs = 5 * 60_000;
/** Without the change feed: the time for which a program may have the address from its own cache. */
const askAgainMs = 5_000;
/** With it, in case something was not heard. */
const checkMs = 60_000;
/** The longest between two looks at a name in use, but for the time that a look takes. */
export const unseenMs = checkMs + askAgainMs;
/** Names asked for at a time. */
const atATime = 16;

/** Keeps the ports of the names in use what the resolver says, by the change feed and by asking again. Returns its end. */
export function keepPortsTrue(
  stub: Pick<StubResolver, "onChange" | "status">,
  served: Pick<ServedNames, "noteChange" | "usedWithin" | "lookAgain" | "sweep">,
  clock: Clock,
): () => void {
  const due = new Set<Name>();
  let running = 0;
  let isEnded = false;
  let cancel = clock.after(askAgainMs, turn);
  let checkedAt = clock.now();

  const endListening = stub.onChange((names) => {
    if (names === "all") refreshAll(served.usedWithin(wantedMs));
    else refreshAll([...names].filter((name) => served.noteChange(name)));
  });

  function turn(): void {
    cancel = clock.after(askAgainMs, turn);
    served.sweep();
    const isFollowing = stub.status().feed === "following";
    if (isFollowing && clock.now() - checkedAt < checkMs) return;
    checkedAt = clock.now();
    refreshAll(served.usedWithin(wantedMs));
  }

  function refreshAll(names: Iterable<Name>): void {
    for (const name of names) due.add(name);
    while (running < atATime && !isEnded) {
      const [name] = due;
      if (name === undefined) return;
      due.delete(name);
      running++;
      void served.lookAgain(name).then(() => {
        running--;
        refreshAll([]);
      });
    }
  }

  return () => {
    isEnded = true;
    cancel();
    endListening();
  };
}
