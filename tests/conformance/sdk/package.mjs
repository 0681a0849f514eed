// The published TypeScript SDK, from where the tests have installed it, which is not beside this file.

import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const resolver = createRequire(join(process.env.COMPAT_NODE_PREFIX, "resolve.js"));

export const load = (name) => import(pathToFileURL(resolver.resolve(name)).href);
