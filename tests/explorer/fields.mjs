// Writes the parameters of every kind that the kernel in the given folder knows, and their revisions, as JSON.

import { pathToFileURL } from "node:url";

const { KINDS } = await import(`${pathToFileURL(process.argv[2])}/kinds.js`);

const told = [...KINDS.values()].map(({ kind, revision, fields }) => [
    kind,
    {
        revision,
        fields: Object.entries(fields).map(([name, { type, ...rest }]) => [
            name,
            type.schema,
            "value" in rest ? [rest.value] : [],
        ]),
    },
]);
process.stdout.write(JSON.stringify(told));
