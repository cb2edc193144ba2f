import { describe, expect, test } from "vitest";

import { type EngineTarget, parseEngineTargets } from "./target.ts";

const one = (text: string, env: Record<string, string> = {}): EngineTarget => {
  const [target, second] = parseEngineTargets(text, env);
  if (target === undefined || second !== undefined) throw new Error(`${text} is not one engine`);
  return target;
};

const right: [string, Record<string, unknown>][] = [
  ["unix:///run/docker.sock", { kind: "unix", path: "/run/docker.sock", label: "docker", advertise: [] }],
  ["/run/docker.sock", { kind: "unix", path: "/run/docker.sock", where: "unix:///run/docker.sock" }],
  ["/run/podman/podman.sock", { label: "podman" }],
  ["unix:///x?name=build", { path: "/x", label: "build", where: "unix:///x" }],
  ["tcp://127.0.0.1:2375", { kind: "tcp", host: "127.0.0.1", port: 2375, tls: undefined }],
  ["tcp://[::1]:2375", { host: "::1", where: "tcp://[::1]:2375" }],
  ["tcp://localhost:2375", { host: "localhost" }],
  [
    "tcp://10.0.0.7:2376?tls=/etc/berth/docker&advertise=10.0.0.7+fd00::7",
    { tls: "/etc/berth/docker", advertise: ["10.0.0.7", "fd00::7"], label: "10.0.0.7" },
  ],
  ["tcp://build:2376?tls=/a%20b", { tls: "/a b" }],
  [
    "ssh://build",
    { kind: "ssh", host: "build", user: undefined, port: undefined, socket: undefined, label: "build" },
  ],
  ["ssh://ci@build.lab:2222/run/docker.sock", { user: "ci", port: 2222, socket: "/run/docker.sock" }],
  ["ssh://ci@[fd00::7]", { host: "fd00::7" }],
];

test.each(right)("%s", (text, expected) => {
  expect(one(text)).toMatchObject(expected);
});

const wrong: [string, RegExp][] = [
  ["docker.sock", /is not an engine; it is named unix:\/\/\//],
  ["npipe:////./pipe/docker", /is not an engine/],
  ["http://10.0.0.7:2375", /is not an engine/],
  ["tcp://10.0.0.7", /tcp:\/\/host:port is right/],
  ["tcp://10.0.0.7:2375", /without TLS is root on its machine/],
  ["tcp://10.0.0.7:70000?tls=/x", /is not an engine/],
  ["tcp://10.0.0.7:2376?tls=certs", /by its whole path/],
  ["tcp://me@10.0.0.7:2376?tls=/x", /tcp:\/\/host:port is right/],
  ["/run/docker.sock?tls=/x", /tls is for tcp/],
  ["ssh://-oProxyCommand=x", /is not an engine/],
  ["ssh://-oProxyCommand=x@build", /is not an engine/],
  ["ssh://ci@-build", /is not an engine/],
  ["ssh://ci:secret@build", /is not an engine/],
  ["ssh://build/run/a$(id)", /may have letters, digits/],
  ["/x?advertise=build", /"build" is not an IP address others can connect to/],
  ["/x?advertise=0.0.0.0", /is not an IP address/],
  ["/x?nmae=a", /there is no setting "nmae"; there are tls, advertise and name/],
  ["/x?name=a&name=b", /says name twice/],
  ["/x?name=a%20b", /a name has 1 to 40 letters/],
  ["/x?name=%", /is not percent-encoded/],
  ["/x,/x", /names unix:\/\/\/x twice/],
  ["/x?name=a,/y?name=a", /names two engines a/],
  [Array.from({ length: 17 }, (_, index) => `/x${index}`).join(), /at most 16/],
];

test.each(wrong)("%s is refused", (text, message) => {
  expect(() => parseEngineTargets(text, {})).toThrow(message);
  expect(() => parseEngineTargets(text, {})).toThrow(expect.objectContaining({ code: "bad-config" }));
});

test("several stand behind commas or spaces, and each has a name of its own", () => {
  const labels = (text: string) => parseEngineTargets(text, {}).map(({ label }) => label);
  expect(labels("/run/docker.sock,/run/podman/podman.sock /run/2.sock\n")).toEqual([
    "docker",
    "podman",
    "docker-2",
  ]);
  expect(labels("/a,/b?name=docker")).toEqual(["docker-2", "docker"]);
});

describe("when none is named, the engine is that of Docker's other tools", () => {
  const tls = { DOCKER_HOST: "tcp://10.0.0.7:2376", DOCKER_TLS_VERIFY: "1" };

  test.each<[string, Record<string, string>, Record<string, unknown>]>([
    ["nothing set", {}, { path: "/var/run/docker.sock" }],
    ["set and empty", { DOCKER_HOST: "" }, { path: "/var/run/docker.sock" }],
    ["a socket", { DOCKER_HOST: "unix:///run/user/1000/podman/podman.sock" }, { label: "podman" }],
    ["ssh", { DOCKER_HOST: "ssh://ci@build" }, { kind: "ssh", user: "ci" }],
    ["TLS", { ...tls, DOCKER_CERT_PATH: "/certs dir" }, { host: "10.0.0.7", tls: "/certs dir" }],
    ["TLS, with certificates where Docker looks", { ...tls, HOME: "/root" }, { tls: "/root/.docker" }],
  ])("%s", (_, env, expected) => {
    expect(one("", env)).toMatchObject(expected);
  });

  test("and never one by plain TCP elsewhere", () => {
    expect(() => parseEngineTargets("", { DOCKER_HOST: "tcp://10.0.0.7:2375" })).toThrow(/without TLS/);
    expect(() => parseEngineTargets("", tls)).toThrow(/DOCKER_TLS_VERIFY needs DOCKER_CERT_PATH/);
  });

  test("nor does it count when one is named", () => {
    expect(one("/x", { DOCKER_HOST: "ssh://build" })).toMatchObject({ path: "/x" });
  });
});
