// Reads a request { text, given, groups } from each line of the input, and writes what the page makes of the text. The
// facts are the file in the first argument.

import { readFileSync } from "node:fs";
import { audit } from "../../service/explorer/paste/logs/audit.js";
import { readPasted } from "../../service/explorer/paste/task.js";
import { canonical } from "../../service/explorer/kernel/index.js";

const facts = JSON.parse(readFileSync(process.argv[2], "utf8"));

function told({ text, given = {}, groups = null, planned, stride = 1, per_step: perStep = 1 }) {
    try {
        const found = readPasted({ text, facts, given, groups });
        if (found.log) return { log: logTold(found.log, planned, { stride, perStep }) };
        return found.spec ? { ...found, canonical: canonical(found.spec) } : found;
    } catch (error) {
        return { error: error.name, message: error.message, isOurs: ["PasteError", "SpecError"].includes(error.constructor.name) };
    }
}

function logTold({ source, series, offsets }, planned, pace) {
    const columns = series.map((each, place) => {
        const { steps, values, precision, name } = each;
        const found = planned ? audit({ offsets, isExact: source === "applied rates", series, source }, each, Float64Array.from(planned[place]), pace) : null;
        return { name, precision, steps: [...steps], values: [...values].map(String), found: found && { offset: found.offset, differing: found.differing, first: found.first, largest: found.largest } };
    });
    return { source, offsets, columns };
}

const lines = readFileSync(0, "utf8").split("\n").filter(Boolean);
process.stdout.write(JSON.stringify(lines.map((line) => told(JSON.parse(line)))));
