import { existsSync } from "node:fs";

/** Whether this runs from berth's repository. An installed package has neither npm packages to install nor tests to run. */
export const isCheckout = existsSync(new URL("../package-lock.json", import.meta.url));
