// Writes the aliases and the reasons why schedulers are no schedules, as the kernel in the given folder has them.

import { pathToFileURL } from "node:url";

const { ALIASES, NO_SCHEDULES } = await import(`${pathToFileURL(process.argv[2])}/names.js`);
process.stdout.write(JSON.stringify([ALIASES, NO_SCHEDULES]));
