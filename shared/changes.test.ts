import { describe, expect, test } from "vitest";

import { EventParser, type ServerSentEvent } from "./changes.ts";

function parseWhole(text: string): ServerSentEvent[] {
  return new EventParser().push(text);
}

function parseInPieces(text: string, length: number): ServerSentEvent[] {
  const parser = new EventParser();
  const pieces = text.match(new RegExp(`[\\s\\S]{1,${length}}`, "g")) ?? [];
  return pieces.flatMap((piece) => parser.push(piece));
}

const first = { id: "g.1", event: "snapshot", data: '{"revision":1}' };
const second = { id: "g.2", event: "change", data: '{"revision":2}' };
const textOf = (...events: ServerSentEvent[]) =>
  events.map(({ id, event, data }) => `id: ${id}\nevent: ${event}\ndata: ${data}\n\n`).join("");

describe("server-sent events", () => {
  test.each(["\n", "\r\n", "\r"])(
    "are read whatever ends their lines (%j) and however they are cut",
    (end) => {
      const text = `:\n\n${textOf(first)}:\n\n${textOf(second)}`.replaceAll("\n", end);
      expect(parseWhole(text)).toEqual([first, second]);
      for (let length = 1; length < 40; length++) {
        expect(parseInPieces(text, length), `in pieces of ${length}`).toEqual([first, second]);
      }
    },
  );

  test("take data of several lines, and one space after the colon away", () => {
    expect(parseWhole("data:  a\ndata:b\ndata\ndata: c:d\n\n")).toEqual([
      { id: "", event: "message", data: " a\nb\n\nc:d" },
    ]);
  });

  test("keep the last id until another comes, and refuse one with NUL", () => {
    expect(parseWhole("id: 1\ndata: a\n\ndata: b\n\nid: 2\0\ndata: c\n\nid\ndata: d\n\n")).toEqual([
      { id: "1", event: "message", data: "a" },
      { id: "1", event: "message", data: "b" },
      { id: "1", event: "message", data: "c" },
      { id: "", event: "message", data: "d" },
    ]);
  });

  test("without data are none, and leave their name to nobody", () => {
    expect(parseWhole("event: change\nid: 7\n\ndata: a\n\n")).toEqual([
      { id: "7", event: "message", data: "a" },
    ]);
  });

  test("begin after a byte order mark, which is only one at the start", () => {
    expect(parseWhole("\u{feff}data: a\n\n\u{feff}data: b\n\n")).toMatchObject([{ data: "a" }]);
    const pieces = parseInPieces("\u{feff}data: a\n\n\u{feff}data: b\n\n", 1);
    expect(pieces).toMatchObject([{ data: "a" }]);
    expect(pieces).toHaveLength(1);
  });

  test("pass over comments and fields nobody knows", () => {
    expect(parseWhole(": hello\nretry: 5\ncolour: red\ndata: a\n\n")).toMatchObject([{ data: "a" }]);
  });

  test("that are not finished are not given out, and their length is known", () => {
    const parser = new EventParser();
    expect(parser.push("data: abc")).toEqual([]);
    expect(parser.unfinished).toBe(10);
    expect(parser.push("\ndata: d\n")).toEqual([]);
    expect(parser.unfinished).toBe(6);
    expect(parser.push("\nda")).toHaveLength(1);
    expect(parser.unfinished).toBe(3);
  });
});
