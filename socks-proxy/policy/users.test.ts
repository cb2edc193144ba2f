import { expect, test } from "vitest";

import { parseUsers } from "./users.ts";

function texts(file: string): [string, string][] {
  return [...parseUsers(file).passwords].map(([name, password]) => [name, `${Buffer.from(password)}`]);
}

test("a line is a user: the first colon divides, all else belongs to them", () => {
  expect(texts("me:secret\nyou: a:b #c \r\nÄ:ö\n")).toEqual([
    ["me", "secret"],
    ["you", " a:b #c "],
    ["Ä", "ö"],
  ]);
});

test("empty lines, comments and a byte order mark say nothing", () => {
  expect(parseUsers("\uFEFF# users\n\n  \nme:secret")).toMatchObject({ problems: [] });
  expect(texts("\uFEFFme:secret")).toEqual([["me", "secret"]]);
});

test("names and passwords have 1 to 255 octets", () => {
  expect(texts(`${"a".repeat(255)}:${"b".repeat(255)}`)).toHaveLength(1);
  const { passwords, problems } = parseUsers(
    [":secret", "me:", `${"ä".repeat(128)}:x`, `x:${"b".repeat(256)}`].join("\n"),
  );
  expect(passwords.size).toBe(0);
  expect(problems).toEqual([
    "line 1: the name must have 1 to 255 octets",
    "line 2: the password must have 1 to 255 octets",
    "line 3: the name must have 1 to 255 octets",
    "line 4: the password must have 1 to 255 octets",
  ]);
});

test("a bad line is a problem that repeats nothing of it, and the others stand", () => {
  const { passwords, problems } = parseUsers("hunter2\nme:secret\nme:other");
  expect([...passwords.keys()]).toEqual(["me"]);
  expect(problems).toEqual([
    "line 1: a user is written name:password",
    "line 3: this name has a line above already",
  ]);
  expect(texts("me:secret\nme:other")).toEqual([["me", "secret"]]);
});
