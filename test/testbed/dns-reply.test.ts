import { expect, test } from "vitest";
import { parseDnsReply } from "./dns-reply.ts";

const fromDig = `
; <<>> DiG 9.18 <<>> @127.0.0.1 SRV web.test
;; Got answer:
;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 4711
;; flags: qr aa rd; QUERY: 1, ANSWER: 2, AUTHORITY: 1, ADDITIONAL: 2

;; OPT PSEUDOSECTION:
; EDNS: version: 0, flags:; udp: 1232
;; QUESTION SECTION:
;web.test.			IN	SRV

;; ANSWER SECTION:
web.test.		30	IN	SRV	0 0 32768 h1.test.
web.test.		30	IN	TXT	"two words" "a \\"quote\\""

;; AUTHORITY SECTION:
test.			60	IN	NS	ns.test.

;; ADDITIONAL SECTION:
h1.test.		30	IN	A	10.77.0.1

;; Query time: 4 msec
`;

const fromKdig = `;; TLS session (TLS1.3)-(ECDHE-SECP256R1)
;; HTTP session (HTTP/2-POST)-(doh.test/dns-query)-(status: 200)
;; ->>HEADER<<- opcode: QUERY; status: NXDOMAIN; id: 0
;; Flags: qr aa; QUERY: 1; ANSWER: 0; AUTHORITY: 1; ADDITIONAL: 1

;; QUESTION SECTION:
;; no.test.            		IN	A

;; AUTHORITY SECTION:
test.               	60	IN	SOA	ns.test. root.test. 7 3600 600 86400 60

;; Received 78 B
`;

test("dig's sections become fields, a quoted string being one", () => {
  const reply = parseDnsReply(0, fromDig);
  expect(reply).toMatchObject({ code: 0, status: "NOERROR", flags: ["qr", "aa", "rd"] });
  expect(reply.answer).toEqual([
    ["web.test.", "30", "IN", "SRV", "0", "0", "32768", "h1.test."],
    ["web.test.", "30", "IN", "TXT", '"two words"', '"a \\"quote\\""'],
  ]);
  expect(reply.authority).toEqual([["test.", "60", "IN", "NS", "ns.test."]]);
  expect(reply.additional).toEqual([["h1.test.", "30", "IN", "A", "10.77.0.1"]]);
});

test("kdig's other punctuation is read the same", () => {
  const reply = parseDnsReply(0, fromKdig);
  expect(reply).toMatchObject({ status: "NXDOMAIN", flags: ["qr", "aa"], answer: [], additional: [] });
  expect(reply.authority[0]?.slice(2, 5)).toEqual(["IN", "SOA", "ns.test."]);
});

test("no reply has no status", () => {
  expect(parseDnsReply(9, ";; communications error: timed out")).toMatchObject({
    status: undefined,
    flags: [],
    answer: [],
  });
});
