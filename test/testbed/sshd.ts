import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../shared/testing/free-port.ts";
import { mustRun, startProcess } from "./process.ts";
import { programPath } from "./requirements.ts";
import { makeTemporaryDir } from "./temporary-dir.ts";

/** An SSH server of the test's own, on loopback unless told otherwise, and all that its one client needs. */
export type Sshd = {
  port: number;
  /** A folder to put first in PATH: its `ssh` has the client's key and known hosts, and reads nothing of the machine's own. */
  bin: string;
  /** Makes the client forget the server's key. */
  forgetHost(): void;
  knowHost(): void;
  close(): Promise<void>;
};

export type SshdPlace = {
  netns?: string;
  address?: string;
  /** By which its client knows it, besides by address and port. */
  names?: string[];
};

/** Starts Debian's sshd for root, with a key made for it. What it runs has `environment`. Throws where it is not installed. */
export async function startSshd(
  environment: Record<string, string>,
  { netns, address = "127.0.0.1", names = [] }: SshdPlace = {},
): Promise<Sshd> {
  const program = programPath("sshd") ?? "/usr/sbin/sshd";
  const dir = makeTemporaryDir("berth-ssh-");
  const port = await freePort();
  const [hostKey, clientKey] = [join(dir.path, "host"), join(dir.path, "client")];
  for (const key of [hostKey, clientKey])
    await mustRun(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]);
  copyFileSync(`${clientKey}.pub`, join(dir.path, "authorized"));
  const configFile = join(dir.path, "sshd_config");
  writeFileSync(configFile, serverConfig({ dir: dir.path, address, port, hostKey, environment }));
  // It wants an empty /run/sshd, which is the machine's to make.
  const script = `mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec ${program} -D -e -f ${configFile}`;
  const server = startProcess(["unshare", "--mount", "sh", "-c", script], { name: "sshd", netns });
  await server.waitForLine(/Server listening/);
  const bin = layOutClient(dir.path, clientKey);
  const knownHosts = join(dir.path, "known");
  const knowHost = () => {
    const known = [`[${address}]:${port}`, ...names].join();
    writeFileSync(knownHosts, `${known} ${readFileSync(`${hostKey}.pub`, "utf8")}`);
  };
  knowHost();
  return {
    port,
    bin,
    knowHost,
    forgetHost: () => writeFileSync(knownHosts, ""),
    async close() {
      await server.stop();
      dir.remove();
    },
  };
}

interface ServerSettings {
  dir: string;
  address: string;
  port: number;
  hostKey: string;
  environment: Record<string, string>;
}

function serverConfig({ dir, address, port, hostKey, environment }: ServerSettings): string {
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return `
ListenAddress ${address}
Port ${port}
HostKey ${hostKey}
AuthorizedKeysFile ${dir}/authorized
PidFile none
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
${variables.length === 0 ? "" : `SetEnv ${variables.join(" ")}`}
`;
}

/** ssh takes its files from the home folder that /etc/passwd names, whatever HOME says: so its place is taken. */
function layOutClient(dir: string, clientKey: string): string {
  const bin = join(dir, "bin");
  const config = join(dir, "ssh_config");
  const settings = [`IdentityFile ${clientKey}`, "IdentitiesOnly yes", `UserKnownHostsFile ${dir}/known`];
  writeFileSync(config, `${[...settings, "GlobalKnownHostsFile none"].join("\n")}\n`);
  mkdirSync(bin);
  writeFileSync(join(bin, "ssh"), `#!/bin/sh\nexec ${programPath("ssh")} -F ${config} "$@"\n`);
  chmodSync(join(bin, "ssh"), 0o755);
  return bin;
}
