// {{name}}: one sentence about what it decides.
//
// Records are objects with camelCase keys, none is null, a variant is { tag, val }. A function that returns a result in the
// WIT returns the value here, or throws the error; one of the host has its value in `payload`. QuickJS is the language and no
// more: no console, TextEncoder or fetch.

%if on-message
import { get } from 'portcullis:plugin/message@0.1.0';
%end
import { write } from 'portcullis:plugin/log@0.1.0';
%if kv
import { increment } from 'portcullis:plugin/kv@0.1.0'; // a counter that all instances share: increment('calls', 1, 60000)
%end
%if http
import { send } from 'portcullis:plugin/http@0.1.0'; // a request to a granted host
%end
%if random
import { getU64 } from 'portcullis:plugin/random@0.1.0';
%end
%if schema
import { validateArguments } from 'portcullis:plugin/schema@0.1.0'; // throws the problems
%end

let config = {}; // what the operator wrote

// Without this, all that the log says of an error in a hook is "unreachable".
const logged = (hook) => (...question) => {
  try {
    return hook(...question);
  } catch (error) {
    if (error instanceof Error) write('error', String(error), [['stack', error.stack]]);
    throw error;
  }
};

export const lifecycle = {
  describe: () => ({ name: '{{name}}', version: '0.1.0' }),
  init(text) {
    config = JSON.parse(text);
    write('debug', 'initialised', [['config', text]]);
  },
};
%if on-message

export const onMessage = {
  onMessage: logged((ctx) => {
    const path = get('/params/arguments/path'); // { tag: 'text', val: '…' }, or null
    const isDenied = path?.tag === 'text' && (config.deny ?? ['../']).some((text) => path.val.includes(text));
    if (!isDenied) return { decision: { tag: 'pass' }, notes: [] };
    const denial = {
      code: -32001,
      message: 'this path is not allowed', // the client reads this
      reason: `the path is ${path.val}`, // and only the log this
      data: null,
    };
    return { decision: { tag: 'deny', val: denial }, notes: [] };
  }),
};
%end
%if access

const isHidden = (item) => (config.hide ?? ['secret']).includes(item.name);

export const access = {
  authorize: logged((ctx, item) => {
    if (item && isHidden(item)) {
      // The client reads the message, and only the log the reason.
      throw { code: -32001, message: `there is no ${item.kind} ${item.name}`, reason: 'it is hidden', data: null };
    }
  }),
  filter: logged((ctx, items) => items.flatMap((item, index) => (isHidden(item) ? [] : [index]))),
};
%end
%if routing

export const routing = {
  // Whoever has the least to do first; who is not healthy last.
  choose: logged((ctx, candidates) => {
    const burden = ({ healthy, inFlight }) => (healthy ? 0 : 2 ** 32) + inFlight;
    const order = [...candidates.keys()].sort((a, b) => burden(candidates[a]) - burden(candidates[b]));
    return { tag: 'to', val: order };
  }),
};
%end
