import { expect, test } from "vitest";

import type { Address } from "../../shared/address.ts";
import { noticeVanishing } from "./keep-alive.ts";

class FakeSocket {
  connecting: boolean;
  readonly kept: unknown[][] = [];
  #connected: () => void = () => {};

  constructor(connecting = false) {
    this.connecting = connecting;
  }

  once(_event: "connect", heard: () => void): void {
    this.#connected = heard;
  }

  setKeepAlive(...how: unknown[]): void {
    this.kept.push(how);
  }

  connect(): void {
    this.connecting = false;
    this.#connected();
  }
}

const everyQuarterMinute = [[true, 60_000, 15_000, 8]];

test.each(["192.0.2.1", "10.0.0.5", "2001:db8::1"])("a peer at %s is asked for when it is silent", (peer) => {
  const socket = new FakeSocket();
  noticeVanishing(socket, peer as Address);
  expect(socket.kept).toEqual(everyQuarterMinute);
});

test("one that is being connected to is asked for from then on: before, Node would take its own times instead", () => {
  const socket = new FakeSocket(true);
  noticeVanishing(socket, "192.0.2.1" as Address);
  expect(socket.kept).toEqual([]);
  socket.connect();
  expect(socket.kept).toEqual(everyQuarterMinute);
});

test.each(["127.0.0.1", "127.64.0.9", "::1"])("a peer at %s cannot vanish, and costs nothing", (peer) => {
  const socket = new FakeSocket(true);
  noticeVanishing(socket, peer as Address);
  socket.connect();
  expect(socket.kept).toEqual([]);
});
