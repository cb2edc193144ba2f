import { once } from "node:events";
import { createInterface } from "node:readline/promises";

/** Asks at the terminal; `standard` is what Enter means. Ctrl-C, Ctrl-D and an interruption are no. The caller sees that there is a terminal. */
export async function confirm(
  question: string,
  standard: boolean,
  interrupted: AbortSignal,
): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // At a terminal Ctrl-C comes as this event and not as a signal; Ctrl-D ends the input. Neither is an answer, and so a no.
  terminal.once("SIGINT", () => {
    process.stderr.write("\n");
    terminal.close();
  });
  const noAnswer = once(terminal, "close").then(() => "no");
  const choices = standard ? "[Y/n]" : "[y/N]";
  const asked = terminal.question(`${question} ${choices} `, { signal: interrupted }).catch(() => "no");
  const answer = (await Promise.race([asked, noAnswer])).trim();
  terminal.close();
  return answer === "" ? standard : /^y/i.test(answer);
}
