import type { Engine } from "./engine.ts";
import { startProcess } from "./process.ts";
import type { StartedProcess } from "./started-process.ts";

/**
 * Echoes UDP datagrams on a port inside the container. Debian's busybox has no UDP applet, so this process's
 * own Node runs in the container's network namespace. Start it again after the container was restarted.
 */
export async function startUdpEcho(engine: Engine, container: string, port: number): Promise<StartedProcess> {
  const pid = await engine.docker("inspect", "--format", "{{.State.Pid}}", container);
  const echo = startProcess([process.execPath, "--eval", echoProgram, `${port}`], {
    netns: `/proc/${pid}/ns/net`,
    name: `udp echo in ${container}`,
  });
  await echo.waitForLine(/^listening$/);
  return echo;
}

const echoProgram = `
const socket = require("node:dgram").createSocket({ type: "udp6" });
socket.on("message", (message, peer) => socket.send(message, peer.port, peer.address));
socket.bind(Number(process.argv[1]), () => console.log("listening"));
`;
