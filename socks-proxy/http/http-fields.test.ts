import { describe, expect, test } from "vitest";

import {
  framingFault,
  hasBody,
  isLoop,
  requestFields,
  responseFields,
  trailerFields,
} from "./http-fields.ts";

const head = { method: "GET", fields: [], authority: "web.example", httpVersion: "1.1" };

function requested(fields: string[], method = "GET"): string[] {
  return requestFields({ ...head, method, fields }, "berth-1");
}

describe("the fields of a request", () => {
  test("have the Host of the URI, and Via behind those that are there", () => {
    expect(requested(["Host", "other", "host", "third", "Via", "1.0 a", "via", "1.1 b"])).toEqual([
      ...["Host", "web.example", "Via", "1.0 a, 1.1 b, 1.1 berth-1"],
    ]);
  });

  test("keep their letters, their order and those that come again", () => {
    const fields = ["X-B", "2", "Cookie", "a", "x-b", "1", "Cookie", "b"];
    expect(requested(fields).slice(2, -2)).toEqual(fields);
  });

  test.each([
    ["Connection", "X-A, x-b", ["X-A", "1", "X-B", "2", "X-C", "3"], ["X-C", "3"]],
    ["CONNECTION", " close ,,X-a", ["x-A", "1"], []],
    [
      "Connection",
      "Cookie, Host, Content-Length",
      ["Cookie", "c", "Content-Length", "0"],
      ["Cookie", "c", "Content-Length", "0"],
    ],
  ])("%s: %s", (name, value, fields, left) => {
    expect(requested([...fields, name, value]).slice(2, -2)).toEqual(left);
  });

  test.each([
    ["Proxy-Authorization", "Basic x"],
    ["proxy-connection", "keep-alive"],
    ["Keep-Alive", "timeout=5"],
    ["Upgrade", "h2c"],
    ["TE", "gzip"],
    ["TE", "x-trailers"],
  ])("%s: %s ends here", (name, value) => {
    expect(requested([name, value])).toEqual(["Host", "web.example", "Via", "1.1 berth-1"]);
  });

  test.each([
    ["OPTIONS", "10", "9"],
    ["TRACE", "1", "0"],
    ["TRACE", "9".repeat(30), String(Number.MAX_SAFE_INTEGER)],
    // None that could be counted.
    ["TRACE", "-1", "-1"],
    ["OPTIONS", "1, 2", "1, 2"],
    ["GET", "10", "10"],
  ])("%s, Max-Forwards: %s goes on as %s", (method, value, left) => {
    expect(requested(["Max-Forwards", value, "Connection", "max-forwards"], method).slice(2, 4)).toEqual([
      ...["Max-Forwards", left],
    ]);
  });

  test.each(["trailers", "gzip;q=0.5, trailers", "Trailers;q=1"])(
    "TE: %s says that trailers are welcome",
    (value) => {
      expect(requested(["TE", value]).slice(2, 4)).toEqual(["TE", "trailers"]);
    },
  );

  test("say that there is no body where the method means something with one", () => {
    expect(requested([], "POST").slice(2, 4)).toEqual(["Content-Length", "0"]);
    expect(requested(["Content-Length", "5"], "POST").slice(2, -2)).toEqual(["Content-Length", "5"]);
    expect(requested(["Transfer-Encoding", "chunked"], "POST").slice(2, -2)).toEqual([
      "Transfer-Encoding",
      "chunked",
    ]);
    for (const method of ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"])
      expect(requested([], method)).toHaveLength(4);
  });
});

test("the fields of a response have Via, and nothing about the connection it came over", () => {
  const fields = [
    "Connection",
    "close, X-Hop",
    "X-Hop",
    "1",
    "Transfer-Encoding",
    "chunked",
    "Set-Cookie",
    "a",
    "Set-Cookie",
    "b",
    "Content-Length",
    "3",
  ];
  expect(responseFields(fields, "1.0", "berth-1")).toEqual([
    ...["Set-Cookie", "a", "Set-Cookie", "b", "Content-Length", "3", "Via", "1.0 berth-1"],
  ]);
});

test("trailers that frame, route or handle a message end here", () => {
  const fields = [
    "X-Sum",
    "1",
    "Content-Length",
    "9",
    "Host",
    "x",
    "Transfer-Encoding",
    "chunked",
    "Set-Cookie",
    "y",
  ];
  expect(trailerFields(fields)).toEqual([["X-Sum", "1"]]);
});

test.each([
  [["Via", "1.1 berth-1"], true],
  [["Via", "1.0 fred", "via", "1.1 x,1.1 berth-1 (comment)"], true],
  [["Via", "1.1 berth-12"], false],
  [["Via", "1.1 xberth-1"], false],
  [["X-Via", "1.1 berth-1"], false],
])("%j came through this proxy before: %s", (fields, was) => {
  expect(isLoop(fields, "berth-1")).toBe(was);
});

test.each([
  [[], undefined],
  [["Content-Length", "5"], undefined],
  [["Transfer-Encoding", " Chunked "], undefined],
  [["Content-Length", "5", "Transfer-Encoding", "chunked"], /both/],
  [["Transfer-Encoding", "gzip, chunked"], /not just chunked/],
  [["Transfer-Encoding", "chunked", "Transfer-Encoding", "chunked"], /not just chunked/],
  [["Transfer-Encoding", ""], /not just chunked/],
  [["Content-Length", "5", "content-length", "5"], /more than one/],
])("the framing of %j", (fields, fault) => {
  if (fault === undefined) expect(framingFault(fields)).toBeUndefined();
  else expect(framingFault(fields)).toMatch(fault);
});

test.each([
  [["Content-Length", "0"], false],
  [["Content-Length", "000"], false],
  [["Content-Length", "5"], true],
  [["Transfer-Encoding", "chunked"], true],
  [["X", "1"], false],
])("a body follows %j: %s", (fields, follows) => {
  expect(hasBody(fields)).toBe(follows);
});
