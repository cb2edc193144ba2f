import { BerthError } from "../../shared/errors.ts";

const mebibyte = 1024 * 1024;

/**
 * How much of an answer is read, in bytes. A container is some 2 KB in the list and 10 KB when it is inspected, so this is room for tens of
 * thousands, and for one with absurd labels; whatever sends more is broken, or no engine, and must not take the agent's memory with it.
 */
export const maxAnswer = { list: 64 * mebibyte, other: 8 * mebibyte } as const;

/** An answer that says no: `statusCode` is why. */
class EngineRefusal extends Error {
  readonly statusCode: number;

  constructor(statusCode: number, message: string) {
    super(`HTTP ${statusCode}: ${message}`);
    this.statusCode = statusCode;
  }
}

/** What is read of an answer to whoever asks an engine something. */
export interface EngineAnswer extends AsyncIterable<Uint8Array> {
  statusCode?: number | undefined;
}

/**
 * The whole of an answer: what its JSON says, or its text when it is none. Throws an EngineRefusal for any status but 200, a BerthError
 * `engine-fault` when there are more than `maxBytes` of it, and what the connection ends with.
 */
export async function readAnswer(answer: EngineAnswer, maxBytes: number): Promise<unknown> {
  const { statusCode = 0 } = answer;
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop early ends the connection.
  for await (const chunk of answer) {
    length += chunk.length;
    if (length > maxBytes) throw tooLong(maxBytes);
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString();
  const said = parsed(text);
  if (statusCode === 200) return said;
  throw new EngineRefusal(statusCode, messageIn(said));
}

function tooLong(maxBytes: number): BerthError {
  const message = `the engine's answer is longer than ${maxBytes / mebibyte} MiB, which no engine's is; is --engine right, and what is in front of it?`;
  return new BerthError("engine-fault", message, { retryable: true });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function messageIn(said: unknown): string {
  const message = typeof said === "object" && said !== null && "message" in said ? said.message : said;
  return String(message).slice(0, 500).trim();
}
