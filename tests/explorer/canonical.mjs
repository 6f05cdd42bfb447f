// Reads a list of JSON values, and writes the canonical text of each with its hash.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { canonicalHash, canonicalJson } = await import(`${pathToFileURL(process.argv[2])}/canonical.js`);

const told = JSON.parse(readFileSync(0, "utf8")).map((value) => [canonicalJson(value), canonicalHash(value)]);
process.stdout.write(JSON.stringify(told));
