// Reads a spec from each line of the input, and writes which of its windows have other values than the whole table.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { compute } = await import(`${pathToFileURL(process.argv[2])}/index.js`);

function differing(spec) {
    const length = spec.total_steps;
    const whole = compute(spec);
    const windows = [0, 0.3, 0.7].map((share) => [Math.floor(length * share), Math.ceil(length * (share + 0.3))]);
    return windows.filter(([start, stop]) => !sameBits(whole, compute(spec, { start, stop }), start, stop));
}

function sameBits(whole, part, start, stop) {
    return [...whole.columns].every(([name, groups]) =>
        groups.every((values, group) => {
            const found = part.columns.get(name)[group];
            return (
                found.length === stop - start && found.every((value, index) => Object.is(value, values[start + index]))
            );
        }),
    );
}

const lines = readFileSync(0, "utf8").split("\n").filter(Boolean);
process.stdout.write(JSON.stringify(lines.map((line) => differing(JSON.parse(line)))));
