/** What the texts demand of somebody else than the server, or of what no server here has: named, so that nothing is left out unsaid. */
export const notDemandedHere: readonly { section: string; says: string; because: string }[] = [
  {
    section: "1928 §3",
    says: "If the selected METHOD is X'FF' the client MUST close the connection",
    because:
      "of the client; a server that waited for it for ever would be held by it, so berth ends it as well",
  },
  {
    section: "1928 §4",
    says: "Requests MUST be encapsulated in the method-dependent encapsulation",
    because: "neither X'00' nor X'02' has one",
  },
  {
    section: "1928 §6",
    says: "If the client is not in possession of the information, it MUST use a port number and address of all zeros",
    because: "of the client; that the server takes them is a row",
  },
  {
    section: "1928 §6",
    says: "The server MUST encapsulate the data as appropriate for the authentication method in use",
    because: "neither X'00' nor X'02' has an encapsulation",
  },
  {
    section: "1928 §7",
    says: "A UDP-based client MUST send its datagrams to the relay at BND.PORT, encapsulated where the method says so",
    because: "of the client",
  },
  {
    section: "1928 §7",
    says: "The reassembly timer MUST be no less than 5 seconds",
    because: "of those who put fragments together, which is optional; that they are dropped is a row",
  },
  {
    section: "1928 §7",
    says: "The programming interface for a SOCKS-aware UDP MUST report a buffer space smaller than the system's",
    because: "of the client's library",
  },
];
