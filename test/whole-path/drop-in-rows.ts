import type { ContainerOptions } from "../testbed/engine-cli.ts";

/**
 * What is asked, below the zone, with what is to be answered: `80 web` is `_80._tcp.web SRV` and the host port it leads to, with priority
 * and weight where they are not 0 and 1, or why it leads nowhere; `txt web` is `web TXT`.
 */
type Answers = Record<string, number | string>;

export interface DropInRow {
  what: string;
  run: ContainerOptions;
  answers: Answers;
  /** A line of its agent's log. */
  problem?: RegExp;
  /** Names that show the container's own page, as a client gets it through the proxy. */
  pages?: string[];
}

const absent = "NXDOMAIN";
const waiting = ["--health-cmd", "true", "--health-interval", "600s"];
/** Where a server listens that is reached in one of its container's networks alone. */
export const backend = { network: "backend", subnet: "172.29.7.0/24", address: "172.29.7.7" };

/** What users of other programs have in their labels and variables already; no two rows have a host port in common. */
export const foreignRows: DropInRow[] = [
  {
    what: "registrator's SERVICE_NAME, for all ports and for each",
    run: { name: "reg-all", env: { SERVICE_NAME: "reg" }, publish: ["8101:80", "8102:443"] },
    answers: {
      "80 reg": 8101,
      "443 reg": 8102,
      "80 reg-80": 8101,
      "443 reg-443": 8102,
      "80 reg-all": absent,
    },
  },
  {
    what: "registrator's SERVICE_<port>_NAME and _IGNORE, a label before a variable",
    run: {
      name: "reg-port",
      env: { SERVICE_8080_NAME: "loses", SERVICE_8081_IGNORE: "yes" },
      labels: { SERVICE_8080_NAME: "reg-own" },
      publish: ["8103:8080", "8104:8081"],
    },
    answers: { "8080 reg-own": 8103, "8081 reg-own": absent, "8080 loses": absent, "8080 reg-port": absent },
  },
  {
    what: "registrator's SERVICE_IGNORE, any text: the next rule names it",
    run: {
      name: "reg-ignored",
      env: { SERVICE_NAME: "loses", SERVICE_IGNORE: "false" },
      publish: ["8105:80"],
    },
    answers: { "80 reg-ignored": 8105, "80 loses": absent },
  },
  {
    what: "nginx-proxy's VIRTUAL_HOST, several, whose VIRTUAL_PORT answers for 80",
    run: {
      name: "vh",
      env: { VIRTUAL_HOST: "vh.lab.berth.internal,vh2", VIRTUAL_PORT: "3000" },
      publish: ["8106:3000", "8107:9000"],
    },
    answers: {
      "80 vh.lab": 8106,
      "3000 vh.lab": 8106,
      "9000 vh.lab": 8107,
      "80 vh2": 8106,
      "3000 vh": absent,
    },
  },
  {
    what: "a VIRTUAL_HOST outside the zone: the next rule names it",
    run: { name: "vh-outside", env: { VIRTUAL_HOST: "shop.example.com" }, publish: ["8108:80"] },
    answers: { "80 vh-outside": 8108 },
  },
  {
    what: "Traefik's Host(), whose service's port answers for 80",
    run: {
      name: "tr",
      labels: {
        "traefik.http.routers.web.rule": "(Host(`tr.lab.berth.internal`) || Host(`tr2`)) && PathPrefix(`/x`)",
        "traefik.http.services.web.loadbalancer.server.port": "8080",
      },
      publish: ["8109:8080", "8110:9090"],
    },
    answers: { "80 tr.lab": 8109, "9090 tr.lab": 8110, "80 tr2": 8109, "8080 tr": absent },
  },
  {
    what: "traefik.enable=false: the next rule names it",
    run: {
      name: "tr-off",
      labels: { "traefik.http.routers.off.rule": "Host(`loses`)", "traefik.enable": "false" },
      publish: ["8111:80"],
    },
    answers: { "80 tr-off": 8111, "80 loses": absent },
  },
  {
    what: "dnsdock's alias and name",
    run: {
      name: "dd",
      labels: {
        "com.dnsdock.alias": "dd1,dd2.lab.berth.internal",
        "com.dnsdock.name": "dd",
        "com.dnsdock.image": "img",
      },
      publish: ["8112:80"],
    },
    answers: { "80 dd1": 8112, "80 dd2.lab": 8112, "80 dd.img": 8112, "80 dd": absent },
  },
  {
    what: "HOSTNAMES",
    run: { name: "hn", env: { HOSTNAMES: "hn1,hn2.berth.internal" }, publish: ["8113:80"] },
    answers: { "80 hn1": 8113, "80 hn2": 8113, "80 hn": absent },
  },
  {
    what: "all of them at once: registrator before nginx-proxy before Traefik before dnsdock",
    run: {
      name: "many",
      env: { SERVICE_NAME: "many-reg", VIRTUAL_HOST: "many-vh", HOSTNAMES: "many-hn" },
      labels: { "traefik.http.routers.many.rule": "Host(`many-tr`)" },
      publish: ["8114:80"],
    },
    answers: { "80 many-reg": 8114, "80 many-vh": absent, "80 many-tr": absent, "80 many-hn": absent },
  },
];

export const ownRows: DropInRow[] = [
  {
    what: "berth.name, several, before every other",
    run: {
      name: "own",
      labels: { "berth.name": "own.lab, own2" },
      env: { SERVICE_NAME: "loses", VIRTUAL_HOST: "loses" },
      publish: ["8121:80"],
    },
    answers: { "80 own.lab": 8121, "80 own2": 8121, "80 loses": absent, "80 own": absent },
  },
  {
    what: "berth.port, TCP and UDP, beside the ports' own numbers",
    run: {
      name: "ports",
      labels: { "berth.port.80": "8080", "berth.port.53/udp": "5353" },
      publish: ["8122:8080", "8123:9000", "8124:5353/udp"],
    },
    answers: {
      "80 ports": 8122,
      "8080 ports": 8122,
      "9000 ports": 8123,
      "53/udp ports": 8124,
      "53 ports": absent,
    },
  },
  {
    what: "berth.tls: its one port answers for 443, not for 80",
    run: { name: "tls", labels: { "berth.tls": "true" }, publish: ["8125:8443"] },
    answers: { "443 tls": 8125, "8443 tls": 8125, "80 tls": absent },
  },
  {
    what: "berth.priority and berth.weight",
    run: {
      name: "weighed",
      labels: { "berth.weight": "10", "berth.priority": "3" },
      publish: ["8126:80"],
    },
    answers: { "80 weighed": "8126 priority 3 weight 10" },
  },
  {
    what: "berth.txt",
    run: {
      name: "texts",
      labels: { "berth.txt.path": "/app", "berth.txt.user": "guest" },
      publish: ["8127:80"],
    },
    answers: { "txt texts": "path=/app user=guest" },
  },
  {
    what: "berth.ignore: nothing of it",
    run: {
      name: "ignored",
      labels: { "berth.ignore": "true", "berth.name": "ignored2" },
      publish: ["8128:80"],
    },
    answers: { "80 ignored": absent, "80 ignored2": absent, "80 ignored.alpha.host": absent },
  },
  {
    what: "a HEALTHCHECK that has not answered yet",
    run: { name: "unsure", flags: waiting, publish: ["8129:80"] },
    answers: { "80 unsure": absent },
  },
  {
    what: "the same with berth.health=ignore",
    run: { name: "sure", labels: { "berth.health": "ignore" }, flags: waiting, publish: ["8130:80"] },
    answers: { "80 sure": 8130 },
  },
  {
    what: "berth.publish and berth.network: relayed to where it listens",
    run: {
      name: "relayed",
      labels: { "berth.publish": "80", "berth.network": backend.network },
      network: "aaa",
      command: ["sh", "-c", `echo '<p>relayed on x</p>' >/www/index.html; ${listenAt(backend.address)}`],
    },
    answers: { "80 relayed": "relayed" },
    pages: ["relayed"],
  },
  {
    what: "a label that berth does not know: a problem, and the rest stands",
    run: { name: "odd", labels: { "berth.wieght": "10" }, publish: ["8131:80"] },
    answers: { "80 odd": 8131 },
    problem: /odd: .*berth\.wieght/,
  },
  {
    what: "a name that is none: a problem, and the next rule names it",
    run: { name: "wrong", labels: { "berth.name": "no_good" }, publish: ["8132:80"] },
    answers: { "80 wrong": absent, "80 wrong.alpha.host": 8132 },
    problem: /wrong: .*no_good/,
  },
];

/** Another agent's on the same engine, which has only these; see its flags in the test. */
export const flagRows: DropInRow[] = [
  {
    what: "--name-template, and --except of the other agent",
    run: { name: "templ", labels: { set: "b", team: "Red Team" }, publish: ["8141:80"] },
    answers: {
      "80 red-team.beta": 8141,
      "80 templ": absent,
      "80 templ.beta.host": 8141,
      "80 templ.alpha.host": absent,
    },
  },
  {
    what: "the template's next alternative",
    run: { name: "teamless", labels: { set: "b" }, publish: ["8142:80"] },
    answers: { "80 x-teamless": 8142, "80 teamless": absent },
  },
  {
    what: "--only of the other agent",
    run: { name: "plain", publish: ["8143:80"] },
    answers: { "80 plain": 8143, "80 plain.alpha.host": 8143, "80 plain.beta.host": absent },
  },
  {
    what: "--except of a network, which wins over --only",
    run: { name: "hidden", labels: { set: "b" }, network: "hidden", publish: ["8144:80"] },
    answers: { "80 x-hidden": absent, "80 hidden.beta.host": absent },
  },
  {
    what: "--families: what is left out names nothing",
    run: {
      name: "familiar",
      labels: { set: "b" },
      env: { SERVICE_NAME: "loses", VIRTUAL_HOST: "familiar-vh" },
      publish: ["8145:80"],
    },
    answers: { "80 familiar-vh": 8145, "80 loses": absent, "80 x-familiar": absent },
  },
  {
    what: "--publish-unpublished: relayed without a label",
    run: { name: "quiet", labels: { set: "b" }, env: { BERTH_PAGE: "quiet" } },
    answers: { "80 x-quiet": "relayed" },
    pages: ["x-quiet"],
  },
];

/** A container joins its second network after its start, so the address is not there at once. */
function listenAt(address: string): string {
  return `until httpd -f -p ${address}:80 -h /www; do sleep 0.1; done`;
}
