// Writes the hashes of bytes of many lengths, each given in two parts.

import { pathToFileURL } from "node:url";

const { sha256 } = await import(`${pathToFileURL(process.argv[2])}/sha256.js`);

const told = Array.from({ length: 200 }, (_, length) => {
    const bytes = Uint8Array.from({ length }, (_, index) => index % 251);
    return sha256([bytes.subarray(0, length / 3), bytes.subarray(length / 3)]);
});
process.stdout.write(JSON.stringify(told));
