/** So many marks are remembered: who wrote one asks as soon as the mirror has it. */
const maxMarks = 100;

/**
 * Hosts that etcd's own lease ended, each told under the first mark after it: of all resolvers that see a host go, the one that wrote that
 * mark. A host that was removed goes with a mark at the same revision, and is none of them.
 */
export class Lapses {
  readonly #unmarked = new Map<string, { hostLabel: string; at: number }>();
  readonly #byMark = new Map<number, Map<string, string>>();
  #markedAt = 0;

  /** The host's head went at that revision. Events of one revision may come in any order. */
  hostGone(hostId: string, hostLabel: string, at: number): void {
    if (at > this.#markedAt) this.#unmarked.set(hostId, { hostLabel, at });
  }

  markedAt(revision: number): void {
    this.#markedAt = revision;
    const before = [...this.#unmarked].filter(([, { at }]) => at < revision);
    this.#unmarked.clear();
    if (before.length === 0) return;
    this.#byMark.set(revision, new Map(before.map(([hostId, { hostLabel }]) => [hostId, hostLabel])));
    for (const oldest of [...this.#byMark.keys()].slice(0, -maxMarks)) this.#byMark.delete(oldest);
  }

  /** Labels by host id; each is told once. */
  takeAt(revision: number): Map<string, string> {
    const taken = this.#byMark.get(revision) ?? new Map<string, string>();
    this.#byMark.delete(revision);
    return taken;
  }

  /** Everything was read anew: who removed the hosts that went meanwhile is not known, and they are not told. */
  restart(markedAt: number): void {
    this.#unmarked.clear();
    this.#byMark.clear();
    this.#markedAt = markedAt;
  }
}
