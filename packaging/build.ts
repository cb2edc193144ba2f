// npm run package [-- deb|image]: makes the Debian package, the container image's root file system, or both, in dist/.
import { join } from "node:path";
import { parseArgs } from "node:util";

import { buildDeb } from "./deb.ts";
import { buildImage, importCommand } from "./image/image.ts";
import { root, versionOf } from "./source.ts";

const { positionals } = parseArgs({ allowPositionals: true });
const wanted = positionals.length === 0 ? ["deb", "image"] : positionals;
const options = { version: versionOf(), outDir: join(root, "dist") };

for (const kind of wanted) {
  if (kind === "deb") console.log(await buildDeb({ ...options, compression: "xz" }));
  else if (kind === "image") {
    const path = await buildImage(options);
    console.log(`${path}\n  to import it: ${importCommand(path, `berth:${options.version}`).join(" ")}`);
  } else throw new Error(`"${kind}" is no kind of package; deb and image are`);
}
