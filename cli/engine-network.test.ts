import { expect, test } from "vitest";

import { undoing } from "./engine-network.ts";

const filterBefore = ["-P INPUT ACCEPT", "-P FORWARD ACCEPT", "-P OUTPUT ACCEPT", "-A INPUT -i lo -j ACCEPT"];

test("Docker's rules go first, then its chains, then its policy", () => {
  const after = [
    "-P INPUT ACCEPT",
    "-P FORWARD DROP",
    "-P OUTPUT ACCEPT",
    "-N DOCKER",
    "-N DOCKER-USER",
    "-A INPUT -i lo -j ACCEPT",
    "-A FORWARD -j DOCKER-USER",
    "-A FORWARD -i docker0 ! -o docker0 -j ACCEPT",
    "-A DOCKER-USER -j RETURN",
  ];
  expect(undoing(filterBefore, after)).toEqual([
    ["-D", "FORWARD", "-j", "DOCKER-USER"],
    ["-D", "FORWARD", "-i", "docker0", "!", "-o", "docker0", "-j", "ACCEPT"],
    ["-F", "DOCKER"],
    ["-F", "DOCKER-USER"],
    ["-X", "DOCKER"],
    ["-X", "DOCKER-USER"],
    ["-P", "FORWARD", "ACCEPT"],
  ]);
});

test("the rule of a container that was killed goes as well", () => {
  const rule = "POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE";
  expect(undoing([], [`-A ${rule}`])).toEqual([["-D", ...rule.split(" ")]]);
});

test.each([
  ["what was there before", ["-N DOCKER", "-A FORWARD -j DOCKER"], ["-N DOCKER", "-A FORWARD -j DOCKER"]],
  [
    "what others added meanwhile",
    [],
    ["-N VPN", "-A FORWARD -j VPN", "-A POSTROUTING -o tun0 -j MASQUERADE"],
  ],
  ["a policy that stayed", ["-P FORWARD DROP"], ["-P FORWARD DROP"]],
])("%s is left alone", (_, before, after) => {
  expect(undoing(before, after)).toEqual([]);
});
