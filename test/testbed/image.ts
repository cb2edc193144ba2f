import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { EngineCli } from "./engine-cli.ts";
import { mustRun } from "./process.ts";
import { programPath } from "./requirements.ts";
import { makeTemporaryDir } from "./temporary-dir.ts";

export const sampleImage = "berth-sample:latest";

/**
 * Makes `berth-sample:latest` in the engine, without any registry. Its containers serve one page on port 80:
 * $BERTH_PAGE and the container's hostname. They end at once on SIGTERM.
 */
export async function importSampleImage(engine: EngineCli): Promise<void> {
  const dir = makeTemporaryDir("berth-i-");
  try {
    const rootfs = join(dir.path, "rootfs");
    const tarball = join(dir.path, "rootfs.tar");
    layOut(rootfs);
    await mustRun([
      "tar",
      "--create",
      "--owner=0",
      "--group=0",
      "--file",
      tarball,
      "--directory",
      rootfs,
      ".",
    ]);
    const changes = ['CMD ["/bin/serve"]', "EXPOSE 80/tcp"].flatMap((change) => ["--change", change]);
    await engine.docker("import", ...changes, tarball, sampleImage);
  } finally {
    dir.remove();
  }
}

const applets = [
  "sh",
  "httpd",
  "hostname",
  "nc",
  "wget",
  "cat",
  "ls",
  "ps",
  "kill",
  "touch",
  "rm",
  "mkdir",
  "sleep",
  "id",
];

// PID 1 gets no default signal handling: without the trap `docker stop` waits 10 s for it. `wait` is what lets
// the shell run the trap at once; with httpd in the foreground it would wait for httpd to end.
const serveScript = `#!/bin/sh
trap 'exit 0' TERM INT
echo "<title>$BERTH_PAGE</title><p>$BERTH_PAGE on $(hostname)</p>" >/www/index.html
httpd -f -p 80 -h /www &
wait
`;

function layOut(rootfs: string): void {
  for (const dir of ["bin", "etc", "www", "tmp"]) mkdirSync(join(rootfs, dir), { recursive: true });
  // From busybox-static; a dynamically linked one does not run in an empty image.
  copyFileSync(programPath("busybox") ?? "/bin/busybox", join(rootfs, "bin", "busybox"));
  for (const applet of applets) symlinkSync("busybox", join(rootfs, "bin", applet));
  writeFileSync(join(rootfs, "bin", "serve"), serveScript);
  chmodSync(join(rootfs, "bin", "serve"), 0o755);
  // Without it the static busybox looks for shared name-service libraries and `wget` crashes.
  writeFileSync(join(rootfs, "etc", "nsswitch.conf"), "hosts: files\n");
}
