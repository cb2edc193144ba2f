/** By their Linux numbers (signal(7), x86 and ARM): engines tell one signal as "15", 15, "TERM" or "SIGTERM". */
const names = [
  "",
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGILL",
  "SIGTRAP",
  "SIGABRT",
  "SIGBUS",
  "SIGFPE",
  "SIGKILL",
  "SIGUSR1",
  "SIGSEGV",
  "SIGUSR2",
  "SIGPIPE",
  "SIGALRM",
  "SIGTERM",
  "SIGSTKFLT",
  "SIGCHLD",
  "SIGCONT",
  "SIGSTOP",
  "SIGTSTP",
  "SIGTTIN",
  "SIGTTOU",
  "SIGURG",
  "SIGXCPU",
  "SIGXFSZ",
  "SIGVTALRM",
  "SIGPROF",
  "SIGWINCH",
  "SIGIO",
  "SIGPWR",
  "SIGSYS",
];
/** What the C library leaves of the real-time signals, which are told by number or as RTMIN+n and RTMAX-n. */
const realTime = { first: 34, last: 64 };

/** One name for a signal, such as SIGTERM or SIGRTMIN+3; undefined when it is none. */
export function signalName(signal: string | number | null | undefined): string | undefined {
  const text = String(signal ?? "")
    .trim()
    .toUpperCase()
    .replace(/^SIG/, "");
  const number = /^\d{1,2}$/.test(text) ? Number(text) : realTimeNumber(text);
  if (number === undefined) return names.includes(`SIG${text}`) ? `SIG${text}` : undefined;
  if (number >= realTime.first && number <= realTime.last) return `SIGRTMIN+${number - realTime.first}`;
  return names[number] || undefined;
}

function realTimeNumber(text: string): number | undefined {
  const [, end, offset = "0"] = /^(RTMIN|RTMAX)(?:[+-](\d{1,2}))?$/.exec(text) ?? [];
  if (end === undefined) return undefined;
  return end === "RTMIN" ? realTime.first + Number(offset) : realTime.last - Number(offset);
}
