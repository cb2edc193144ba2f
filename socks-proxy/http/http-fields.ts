/** Header fields as they cross a proxy. A list is as Node gives and takes it: name, value, name, value. */
export type RawFields = readonly string[];

/** RFC 9110 §7.6.1: these end here, whether or not a Connection field names them. */
const hopByHop = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
]);

/** RFC 9110 §6.5.1: they decide how a message is framed, routed or handled, which must not change behind its body. */
const forbiddenTrailers = new Set([
  ...hopByHop,
  "authorization",
  "cache-control",
  "content-encoding",
  "content-length",
  "content-range",
  "content-type",
  "cookie",
  "expect",
  "host",
  "max-forwards",
  "set-cookie",
  "trailer",
  "via",
]);

/** A Connection field must not take these away, or the message would be another one. */
const endToEnd = new Set([
  "content-length",
  "host",
  "cookie",
  "authorization",
  "set-cookie",
  "expect",
  "max-forwards",
]);

export interface RequestHead {
  method: string;
  fields: RawFields;
  /** Of the absolute URI; the client's own Host field is nothing to go by (RFC 9112 §3.2.2). */
  authority: string;
  httpVersion: string;
}

/** The fields of a request for the server behind the proxy, with Host first and Via. `via` is the proxy's own pseudonym. */
export function requestFields(
  { method, fields, authority, httpVersion }: RequestHead,
  via: string,
): string[] {
  const isChunked = isChunkedMessage(fields);
  const announced = isChunked ? fields : withoutTrailerField(fields);
  const passed = oneHopLess(method, endToEndFields(announced, new Set(["host", "via"])));
  const te = valuesOf(fields, "te").some((value) => /(^|,)\s*trailers\s*(,|;|$)/i.test(value));
  return [
    ...["Host", authority],
    ...passed,
    ...(isChunked ? ["Transfer-Encoding", "chunked"] : []),
    ...(!isChunked && needsLength(method) && !has(fields, "content-length") ? ["Content-Length", "0"] : []),
    // The connection to the server is named anew for each request, and TE belongs to that one.
    ...(te ? ["TE", "trailers"] : []),
    ...["Via", [...valuesOf(fields, "via"), `${httpVersion} ${via}`].join(", ")],
  ];
}

/** The fields of a response for the client. How its body is framed is left to the connection it goes over. */
export function responseFields(fields: RawFields, httpVersion: string, via: string): string[] {
  return [
    ...endToEndFields(fields, new Set(["via"])),
    ...["Via", [...valuesOf(fields, "via"), `${httpVersion} ${via}`].join(", ")],
  ];
}

/** For messages that are not sent in chunks: they can have no trailers, and Node writes none that announces some. */
export function withoutTrailerField(fields: RawFields): string[] {
  return pairsOf(fields).flatMap(([name, value]) => (name.toLowerCase() === "trailer" ? [] : [name, value]));
}

/** Trailer fields that may follow a body from one connection to the other. */
export function trailerFields(fields: RawFields): [string, string][] {
  return pairsOf(fields).filter(([name]) => !forbiddenTrailers.has(name.toLowerCase()));
}

/** A request that came through this proxy before. */
export function isLoop(fields: RawFields, via: string): boolean {
  return valuesOf(fields, "via").some((value) =>
    value.split(",").some((hop) => hop.trim().split(/\s+/)[1] === via),
  );
}

/** Whether a request may go no further, so that whoever has it answers it (RFC 9110 §7.6.2). */
export function isLastHop(method: string, fields: RawFields): boolean {
  return countsHops(method) && valuesOf(fields, "max-forwards").some((value) => /^0+$/.test(value));
}

/** What is no number is no limit, and no concern of ours. */
function oneHopLess(method: string, fields: string[]): string[] {
  if (!countsHops(method)) return fields;
  return pairsOf(fields).flatMap(([name, value]) => {
    const isLimit = name.toLowerCase() === "max-forwards" && /^\d+$/.test(value);
    return [name, isLimit ? String(Math.min(Number(value) - 1, Number.MAX_SAFE_INTEGER)) : value];
  });
}

/** With other methods Max-Forwards means nothing. */
function countsHops(method: string): boolean {
  return method === "OPTIONS" || method === "TRACE";
}

export function isChunkedMessage(fields: RawFields): boolean {
  return has(fields, "transfer-encoding");
}

/** Whether a body follows the head. */
export function hasBody(fields: RawFields): boolean {
  return isChunkedMessage(fields) || valuesOf(fields, "content-length").some((value) => !/^0*$/.test(value));
}

/** Whether the message says itself where its body ends. */
export function isFramed(fields: RawFields): boolean {
  return isChunkedMessage(fields) || has(fields, "content-length");
}

/** What keeps a message from being understood in one way only (RFC 9112 §6.1, §6.3); undefined when nothing does. */
export function framingFault(fields: RawFields): string | undefined {
  const codings = valuesOf(fields, "transfer-encoding");
  const lengths = valuesOf(fields, "content-length");
  if (codings.length > 0 && lengths.length > 0) return "it has both a Content-Length and a Transfer-Encoding";
  if (codings.length > 1 || codings.some((value) => value.trim().toLowerCase() !== "chunked")) {
    return "its Transfer-Encoding is not just chunked";
  }
  if (lengths.length > 1) return "it has more than one Content-Length";
  // RFC 9112 §3.2.
  return valuesOf(fields, "host").length > 1 ? "it has more than one Host" : undefined;
}

export function valuesOf(fields: RawFields, wanted: string): string[] {
  return pairsOf(fields).flatMap(([name, value]) => (name.toLowerCase() === wanted ? [value] : []));
}

function endToEndFields(fields: RawFields, replaced: ReadonlySet<string>): string[] {
  const named = valuesOf(fields, "connection").flatMap((value) =>
    value.split(",").map((token) => token.trim().toLowerCase()),
  );
  const dropped = new Set([...named.filter((token) => !endToEnd.has(token)), ...hopByHop, ...replaced]);
  return pairsOf(fields).flatMap(([name, value]) => (dropped.has(name.toLowerCase()) ? [] : [name, value]));
}

function has(fields: RawFields, wanted: string): boolean {
  return valuesOf(fields, wanted).length > 0;
}

/** RFC 9110 §8.6: a method that means something with a body says that there is none. */
function needsLength(method: string): boolean {
  return !["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"].includes(method);
}

function pairsOf(fields: RawFields): [string, string][] {
  return fields.flatMap((name, index) =>
    index % 2 === 0 ? [[name, fields[index + 1] ?? ""] as [string, string]] : [],
  );
}
