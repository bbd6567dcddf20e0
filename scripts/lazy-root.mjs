// Part of the build: makes dist/cjs/index.js load a namespace such as `nn` when it is first used.
// The source says `export * as nn`, which types need and which loads everything at once.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const file = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist/cjs/index.js');
const lazy = `// What is loaded on first use, then kept as a plain property.
function lazy(name, load) {
  Object.defineProperty(exports, name, {
    configurable: true,
    enumerable: true,
    get() {
      const value = load();
      Object.defineProperty(exports, name, { value });
      return value;
    },
  });
}`;
let text = readFileSync(file, 'utf8');
const namespaces = new Set();

// exports.nn = __importStar(require("./nn"));
text = text.replace(
  /^exports\.(\w+) = __importStar\(require\("(\.\/\w+)"\)\);$/gm,
  (_, name, path) => {
    namespaces.add(path);
    return `lazy("${name}", () => require("${path}"));`;
  },
);
// var files_1 = require("./files"); and its names, where `files` is such a namespace.
text = text.replace(
  /^var (\w+) = require\("(\.\/\w+)"\);\n((?:Object\.define.*\n)+)/gm,
  (all, variable, path, names) => {
    if (!namespaces.has(path)) return all;
    const one = new RegExp(
      `^Object\\.defineProperty\\(exports, "(\\w+)", .*return ${variable}\\.(\\w+); } }\\);$`,
      'gm',
    );
    return names.replace(
      one,
      (_, name, from) => `lazy("${name}", () => require("${path}").${from});`,
    );
  },
);
const left = [...text.matchAll(/^.*(?:__importStar\(require|files_1).*$/gm)];
if (namespaces.size === 0 || left.length > 0) {
  throw new Error(`lazy-root: the compiler writes index.js in another way: ${left[0]?.[0] ?? ''}`);
}
// The compiler's `exports.nn = ... = void 0;` would be in the way.
const names = [...text.matchAll(/^lazy\("(\w+)"/gm)].map(([, name]) => name);
text = text.replace(/^exports\..* = void 0;$/gm, (line) =>
  names.reduce((rest, name) => rest.replace(`exports.${name} = `, ''), line),
);
text = text.replace(/^(Object\.defineProperty\(exports, "__esModule".*)$/m, `$1\n${lazy}`);
writeFileSync(file, text);
