/** @module Every kind that the kernel knows, registered by name. */

import * as builtin from "./builtin/index.js";
import * as compose from "./compose/index.js";
import * as custom from "./custom/index.js";
import * as deepspeed from "./libraries/deepspeed/index.js";
import * as transformers from "./libraries/transformers/index.js";
import { KINDS, register } from "./registry.js";

for (const kinds of [custom, compose, builtin, transformers, deepspeed]) register(...Object.values(kinds));

export { KINDS };
