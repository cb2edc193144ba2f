import { expect, test } from "vitest";
import { type InspectParts, inspectOf } from "../testing/builders.ts";
import { factsFromInspect } from "./facts.ts";

const wildcard = (port: string) => [
  { HostIp: "0.0.0.0", HostPort: port },
  { HostIp: "::", HostPort: port },
];

// The shapes Docker 20.10 and Podman 4.3 were seen to answer with.
const shapes: { desc: string; parts: InspectParts; ports: string[] }[] = [
  { desc: "-p 80", parts: {}, ports: ["tcp 80 0.0.0.0:32768", "tcp 80 :::32768"] },
  {
    desc: "-P asks for no binding",
    parts: { asked: {} },
    ports: ["tcp 80 0.0.0.0:32768", "tcp 80 :::32768"],
  },
  {
    desc: "-p 8080:80 is fixed",
    parts: { asked: { "80/tcp": [{ HostIp: "", HostPort: "8080" }] }, ports: { "80/tcp": wildcard("8080") } },
    ports: ["tcp 80 0.0.0.0:8080 fixed", "tcp 80 :::8080 fixed"],
  },
  {
    desc: "-p 9000-9010:80 is a range, so Docker chose",
    parts: {
      asked: { "80/tcp": [{ HostIp: "", HostPort: "9000-9010" }] },
      ports: { "80/tcp": wildcard("9000") },
    },
    ports: ["tcp 80 0.0.0.0:9000", "tcp 80 :::9000"],
  },
  {
    desc: "-p 0:80 leaves the choice to Docker",
    parts: { asked: { "80/tcp": [{ HostIp: "", HostPort: "0" }] } },
    ports: ["tcp 80 0.0.0.0:32768", "tcp 80 :::32768"],
  },
  {
    desc: "-p 80 -p 8080:80: one of the two was chosen by a person",
    parts: {
      asked: { "80/tcp": [{ HostPort: "" }, { HostPort: "8080" }] },
      ports: {
        "80/tcp": [
          { HostIp: "0.0.0.0", HostPort: "32768" },
          { HostIp: "0.0.0.0", HostPort: "8080" },
        ],
      },
    },
    ports: ["tcp 80 0.0.0.0:32768", "tcp 80 0.0.0.0:8080 fixed"],
  },
  {
    desc: "-p 80 -p 443 -p 53/udp",
    parts: {
      ports: { "443/tcp": wildcard("32769"), "53/udp": wildcard("32768"), "80/tcp": wildcard("32768") },
    },
    ports: [
      "tcp 443 0.0.0.0:32769",
      "tcp 443 :::32769",
      "udp 53 0.0.0.0:32768",
      "udp 53 :::32768",
      "tcp 80 0.0.0.0:32768",
      "tcp 80 :::32768",
    ],
  },
  {
    desc: "-p 127.0.0.1::80",
    parts: { ports: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "32768" }] } },
    ports: ["tcp 80 127.0.0.1:32768"],
  },
  {
    desc: "IPv4 and IPv6 host ports differ",
    parts: {
      ports: {
        "80/tcp": [
          { HostIp: "0.0.0.0", HostPort: "32799" },
          { HostIp: "::", HostPort: "32800" },
        ],
      },
    },
    ports: ["tcp 80 0.0.0.0:32799", "tcp 80 :::32800"],
  },
  {
    desc: "Podman: one entry, HostIp empty",
    parts: { ports: { "80/tcp": [{ HostIp: "", HostPort: "40000" }] } },
    ports: ["tcp 80 :40000"],
  },
  { desc: "EXPOSE without -p", parts: { ports: { "80/tcp": null } }, ports: [] },
  { desc: "--network host", parts: { ports: {}, networkMode: "host" }, ports: [] },
  { desc: "exited, with its old ports still there", parts: { state: { Running: false } }, ports: [] },
  { desc: "paused", parts: { state: { Paused: true } }, ports: [] },
  { desc: "between two restarts", parts: { state: { Restarting: true } }, ports: [] },
];

test.each(shapes)("ports: $desc", ({ parts, ports }) => {
  const facts = factsFromInspect(inspectOf("web", parts));
  const shown = facts.ports.map(
    ({ protocol, containerPort, hostIp, hostPort, fixed }) =>
      `${protocol} ${containerPort} ${hostIp}:${hostPort}${fixed ? " fixed" : ""}`,
  );
  expect(shown).toEqual(ports);
});

test("names lose Docker's slash; labels and health may be missing or null", () => {
  const facts = factsFromInspect(inspectOf("web", { labels: null, state: { Health: null } }));
  expect(facts).toMatchObject({ name: "web", labels: {}, health: "none", compose: undefined });
});

test("health is told as Docker tells it", () => {
  const facts = factsFromInspect(inspectOf("web", { state: { Health: { Status: "unhealthy" } } }));
  expect(facts.health).toBe("unhealthy");
});

test("Compose's labels name project and service, and its one-off containers", () => {
  const labels = {
    "com.docker.compose.project": "shop",
    "com.docker.compose.service": "web",
    "com.docker.compose.oneoff": "True",
  };
  expect(factsFromInspect(inspectOf("shop_web_run_1", { labels })).compose).toEqual({
    project: "shop",
    service: "web",
    oneoff: true,
  });
});

test("an answer that is no container's description is a fault that says where it differs", () => {
  const { State: _, ...rest } = inspectOf("web");
  expect(() => factsFromInspect(rest)).toThrow(/State/);
});
