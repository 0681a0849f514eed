// A guard for SQL: tools that take a statement get only one that reads.
//
// It is no parser: it looks at words, outside of texts, quoted names and comments. What it cannot be sure of, it refuses.

import { getMany } from 'portcullis:plugin/message@0.1.0';
import { write } from 'portcullis:plugin/log@0.1.0';

let pointers = []; // where statements are, in the message
const READS = ['select', 'with', 'values', 'explain', 'show', 'describe'];
// A statement that begins with `with` can still write, and `explain analyze` does what it explains.
const WRITES = /\b(insert|update|delete|merge|replace|truncate|drop|alter|create|grant|revoke|call|do|into|copy|analyze)\b/i;
// Texts, quoted names and comments, as all databases read them alike. Of any other, its beginning stays to be seen.
const QUOTED = /'(?:[^'\\]|'')*'|"[^"\\]*"|`[^`\\]*`|--(?=\s)[^\r\n]*|\/\*(?!!)[^*]*\*+(?:[^/*][^*]*\*+)*\//g;
const UNSURE = /[;'"`\\$#]|--|\/\*/;

export const lifecycle = {
  describe: () => ({ name: 'example-js', version: '0.1.0' }),
  init(text) {
    const names = JSON.parse(text).arguments ?? ['sql', 'query', 'statement'];
    // A pointer has its own way to write `~` and `/` (RFC 6901).
    pointers = names.map((name) => `/params/arguments/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`);
    write('debug', 'guards statements', [['arguments', names.join(' ')]]);
  },
};

export const onMessage = {
  onMessage() {
    // One call for all: going to the gateway costs more than looking there. What is not there is null.
    for (const value of getMany(pointers)) {
      if (!value) continue;
      const problem = value.tag === 'text' ? problemOf(value.val) : 'it is no text';
      if (problem) return { decision: deny(problem), notes: [] };
    }
    return { decision: { tag: 'pass' }, notes: [] };
  },
};

// Returns why a statement is not certain to read only, or null.
export function problemOf(statement) {
  const bare = statement.replace(QUOTED, ' ').trim().replace(/;$/, '').trim();
  const [first] = bare.toLowerCase().split(/\W/, 1);
  if (!READS.includes(first)) return `it begins with "${first}"`;
  if (UNSURE.test(bare)) return 'it has several statements, or something that databases read differently';
  const write = WRITES.exec(bare);
  return write && `it has the word "${write[0]}"`;
}

// The client reads the message, and only the log the reason.
function deny(problem) {
  const denial = { code: -32602, message: 'only statements that read are allowed here', reason: problem, data: null };
  return { tag: 'deny', val: denial };
}
