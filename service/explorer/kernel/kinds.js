/** @module Every kind that the kernel knows, registered by name, in the order of Python's registry. */

import * as compose from "./compose/index.js";
import * as custom from "./custom/index.js";
import { KINDS, register } from "./registry.js";

/** @typedef {import("./registry.js").Kind} Kind */

register(...Object.values(custom), ...Object.values(compose));

export { KINDS };
