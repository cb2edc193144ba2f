import type { Problem } from "../../shared/binding.ts";
import { problemOf } from "../problem.ts";
import { sortedBy } from "../sorted.ts";
import type { Offer } from "./offers.ts";

const MiB = 1 << 20;

/**
 * The host's numbers are the push's: past them, and past 16 MiB in all, the resolver refuses the whole set. A container's own numbers keep one of them
 * from using up the host's. What is over a limit is left out where a person finds it: as whole containers, named one by one.
 */
const most = {
  host: { bindings: 20_000, octets: 12 * MiB, problems: 1_000 },
  container: { bindings: 2_000, octets: MiB, problems: 20 },
};

const mend = "publish fewer ports, or give fewer names in berth.name";

/**
 * The offers that can be declared together, in the order given: none over a container's limit, and of the others the largest left out
 * until the rest fits the host's (of equal ones the later), so that small ones stay whoever else comes. Before names are settled: one that is
 * left out takes no name from another.
 */
export function offersWithinLimits(offers: readonly Offer[]): { offers: Offer[]; problems: Problem[] } {
  const problems: Problem[] = [];
  const leaveOut = ({ shown, place }: Offer, why: string): void => {
    problems.push(problemOf(shown, "too-many", `${place}it is not declared: ${why}`));
  };
  const total = { size: 0, octets: 0 };
  const kept = new Set<Offer>();
  for (const offer of offers.toSorted((left, right) => shareOf(left) - shareOf(right))) {
    const { size, octets, names, portCount } = offer;
    if (size > most.container.bindings) {
      const asked = `its ${names.length} names at ${portCount} ports are ${size} bindings`;
      leaveOut(offer, `${asked}, and a container may have ${most.container.bindings}; ${mend}`);
    } else if (octets > most.container.octets) {
      const asked = `its ${size} bindings take ${megabytes(octets)} MB, and a container's may take ${megabytes(most.container.octets)}`;
      leaveOut(offer, `${asked}; ${mend}, or shorter berth.txt labels`);
    } else if (total.size + size > most.host.bindings || total.octets + octets > most.host.octets) {
      const full = `this host's containers have more than ${most.host.bindings} bindings, or ${megabytes(most.host.octets)} MB of them, together, so the largest are left out`;
      leaveOut(offer, `${full}, and this one has ${size} in ${megabytes(octets)} MB; ${mend}`);
    } else {
      total.size += size;
      total.octets += octets;
      kept.add(offer);
    }
  }
  return { offers: offers.filter((offer) => kept.has(offer)), problems };
}

/** Of what the host may have, by whichever of the two numbers is the greater part. */
function shareOf({ size, octets }: Offer): number {
  return Math.max(size / most.host.bindings, octets / most.host.octets);
}

function megabytes(octets: number): string {
  return (octets / MiB).toFixed(1);
}

/**
 * The problems a push has room for, sorted: of each container the first few and one that counts the others. When even these are too many,
 * every container's first comes before any container's second, and one problem of the host's counts the others.
 */
export function problemsWithinLimits(problems: readonly Problem[]): Problem[] {
  const shown = [...Map.groupBy(problems, ({ container }) => container)].map(([container, own]) =>
    firstOf(container, sortedBy(own, problemText)),
  );
  const total = shown.reduce((sum, own) => sum + own.length, 0);
  if (total <= most.host.problems) return sortedBy(shown.flat(), problemText);
  const ranked = shown.flatMap((own) => own.map((problem, rank) => ({ problem, rank })));
  const byRank = sortedBy(
    ranked,
    ({ problem, rank }) => `${String(rank).padStart(2, "0")} ${problemText(problem)}`,
  );
  const kept = byRank.slice(0, most.host.problems - 1).map(({ problem }) => problem);
  const message = `this host has ${problems.length} problems, and ${kept.length} are shown; mend some to see the others`;
  return sortedBy([...kept, problemOf("", "too-many", message)], problemText);
}

function firstOf(container: string, sorted: readonly Problem[]): Problem[] {
  if (sorted.length <= most.container.problems) return [...sorted];
  // What tells that the container is left out must not itself be left out.
  const first = [...sorted.filter(isOfWhole), ...sorted.filter((problem) => !isOfWhole(problem))];
  const left = sorted.length - most.container.problems;
  const message = `${left} more problems of it are not shown; mend some to see the others`;
  return [...first.slice(0, most.container.problems), problemOf(container, "too-many", message)];
}

function isOfWhole({ code }: Problem): boolean {
  return code === "too-many" || code === "unreadable";
}

function problemText({ container, code, message }: Problem): string {
  return JSON.stringify([container, code, message]);
}
