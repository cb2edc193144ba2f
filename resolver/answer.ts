import type { Address } from "../shared/address.ts";
import { ExtendedError, Opcode, Rcode, RRClass, RRType } from "../shared/dns/constants.ts";
import { addressRdata } from "../shared/dns/endpoints.ts";
import type { Query, Rdata, ResponseParts, RR, Soa } from "../shared/dns/message.ts";
import { displayName, isInZone, type Name, nameBelow } from "../shared/name.ts";
import type { RRset } from "./records.ts";
import type { ZoneView } from "./zone/zone.ts";

/** What the zone's apex says of itself. */
export interface Apex {
  zone: Name;
  nameServers: Name[];
  /** Of the name servers inside the zone; may be empty when nobody can know them. */
  nameServerAddresses: Address[];
  /** Seconds: of NS and SOA, and of negative answers (RFC 2308). */
  ttl: number;
  negativeTtl: number;
}

/** The parts of a response, and for how many seconds a cache may keep it. */
export interface Answer {
  parts: ResponseParts;
  maxAge: number;
}

/** The owner name whose view answers `query`, or the answer itself when no zone data is needed for it. */
export function startAnswer(apex: Apex, query: Query): { owner: Name } | Answer {
  const fault = rcodeFor(query);
  if (fault !== undefined) return bare(fault);
  const name = query.question?.name ?? "";
  if (isInZone(name as Name, apex.zone)) return { owner: name as Name };
  const text = `this server answers for ${displayName(apex.zone)} only`;
  return bare(Rcode.Refused, { code: ExtendedError.NotAuthoritative, text });
}

/** Answers from what stands at the owner name that startAnswer gave. */
export function completeAnswer(apex: Apex, query: Query, owner: Name, view: ZoneView): Answer {
  const here = withApex(apex, owner, view);
  const wanted = query.question?.type ?? 0;
  const found = rrsetsOf(here.rrsets, wanted);
  const stale = view.stale
    ? { extendedError: { code: ExtendedError.StaleAnswer, text: "the registry is out of reach" } }
    : {};
  if (found.length === 0) {
    const rcode = here.exists ? Rcode.NoError : Rcode.NXDomain;
    const soa: RR = { name: apex.zone, ttl: apex.negativeTtl, rdata: soaRdata(apex, view.serial) };
    const parts = { rcode, authoritative: true, answer: [], authority: [soa], additional: [], ...stale };
    return { parts, maxAge: apex.negativeTtl };
  }
  const answer = found.flatMap((rrset) => recordsOf(owner, rrset));
  const additional = additionalFor(apex, found, view);
  const parts = { rcode: Rcode.NoError, authoritative: true, answer, authority: [], additional, ...stale };
  return { parts, maxAge: Math.min(...answer.map((record) => record.ttl)) };
}

/** The zone could be neither read nor replaced by a copy. */
export function failedAnswer(): Answer {
  return bare(Rcode.ServFail);
}

function rcodeFor(query: Query): number | undefined {
  if (query.isResponse) return Rcode.FormErr;
  if (query.opcode !== Opcode.Query) return Rcode.NotImp;
  if (query.isFormErr || query.question === undefined) return Rcode.FormErr;
  // RFC 6891 §6.1.3.
  if (query.edns !== undefined && query.edns.version > 0) return Rcode.BadVers;
  const { type, class: qclass } = query.question;
  if (type === RRType.OPT) return Rcode.FormErr;
  if (type === RRType.AXFR || type === RRType.IXFR) return Rcode.Refused;
  return qclass === RRClass.IN || qclass === RRClass.ANY ? undefined : Rcode.Refused;
}

function withApex(apex: Apex, owner: Name, view: ZoneView): { exists: boolean; rrsets: RRset[] } {
  if (owner === apex.zone) {
    const ns = apex.nameServers.map((target): Rdata => ({ type: RRType.NS, target }));
    const rrsets = [
      { ttl: apex.ttl, rdata: [soaRdata(apex, view.serial)], hosts: [] },
      { ttl: apex.ttl, rdata: ns, hosts: [] },
    ];
    return { exists: true, rrsets };
  }
  // The NS target exists even when its address is nobody's to know: an NXDOMAIN would deny the server that says it.
  if (apex.nameServers.includes(owner)) return { exists: true, rrsets: nameServerRRsets(apex) };
  return view;
}

function nameServerRRsets(apex: Apex): RRset[] {
  const families = Map.groupBy(apex.nameServerAddresses.map(addressRdata), (rdata) => rdata.type);
  return [...families.values()].map((rdata) => ({ ttl: apex.ttl, rdata, hosts: [] }));
}

function rrsetsOf(rrsets: RRset[], type: number): RRset[] {
  // RFC 8482 §4.1: one RRset is answer enough to ANY.
  if (type === RRType.ANY) return rrsets.slice(0, 1);
  return rrsets.filter((rrset) => rrset.rdata[0]?.type === type);
}

function additionalFor(apex: Apex, found: RRset[], view: ZoneView): RR[] {
  const types = new Set(found.flatMap((rrset) => rrset.rdata.map((rdata) => rdata.type)));
  if (types.has(RRType.SRV)) return view.additional.flatMap(({ owner, rrset }) => recordsOf(owner, rrset));
  if (!types.has(RRType.NS)) return [];
  const inZone = apex.nameServers.filter((name) => isInZone(name, apex.zone));
  return inZone.flatMap((name) => nameServerRRsets(apex).flatMap((rrset) => recordsOf(name, rrset)));
}

function recordsOf(name: Name, rrset: RRset): RR[] {
  return rrset.rdata.map((rdata) => ({ name, ttl: rrset.ttl, rdata }));
}

function soaRdata(apex: Apex, serial: number): Rdata {
  const soa: Soa = {
    mname: apex.nameServers[0] ?? apex.zone,
    rname: nameBelow("hostmaster", apex.zone),
    serial,
    // There are no secondaries to obey these: any sane values do.
    refresh: 3600,
    retry: 600,
    expire: 86_400,
    minimum: apex.negativeTtl,
  };
  return { type: RRType.SOA, soa };
}

function bare(rcode: number, extendedError?: ResponseParts["extendedError"]): Answer {
  const parts = { rcode, authoritative: false, answer: [], authority: [], additional: [] };
  return { parts: extendedError === undefined ? parts : { ...parts, extendedError }, maxAge: 0 };
}
