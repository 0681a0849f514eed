// The tools that ask their client back. They are written for 2026-07-28: the answer says what is wanted, and the call is
// made again with it. To clients with a handshake the SDK turns that into requests of its own.

import { text } from "./samples.mjs";

const done = (words) => ({ content: [text(words)] });
const form = (properties, required = Object.keys(properties)) => ({ type: "object", properties, required });

const DEFAULTS = {
  name: { type: "string", default: "John Doe" },
  age: { type: "integer", default: 30 },
  score: { type: "number", default: 95.5 },
  status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
  verified: { type: "boolean", default: true },
};

const options = (...values) => values.map((value, index) => ({ const: value, title: `Choice ${index + 1}` }));
const CHOICES = {
  untitledSingle: { type: "string", enum: ["option1", "option2", "option3"] },
  titledSingle: { type: "string", oneOf: options("value1", "value2", "value3") },
  legacyEnum: { type: "string", enum: ["opt1", "opt2", "opt3"], enumNames: ["Option One", "Option Two", "Option Three"] },
  untitledMulti: { type: "array", items: { type: "string", enum: ["option1", "option2", "option3"] } },
  titledMulti: { type: "array", items: { anyOf: options("value1", "value2", "value3") } },
};

// `declared()` is what a client with a handshake has said there that it can do.
export function questions(sdk, states, declared) {
  const { inputRequired, acceptedContent } = sdk;
  const ask = (message, requestedSchema) => inputRequired.elicit({ message, requestedSchema });
  const think = (words) => inputRequired.createMessage({ messages: [{ role: "user", content: text(words) }], maxTokens: 100 });
  const want = (inputRequests, requestState) => inputRequired({ inputRequests, ...(requestState && { requestState }) });
  const seal = (state) => states.mint(state);
  const named = () => ask("What is your name?", form({ name: { type: "string" } }));
  const agreed = () => ask("Do you agree?", form({ ok: { type: "boolean" } }));

  // Asks once, and says what was answered.
  const once = (name, key, question, say, schema) => ({
    name,
    schema,
    call: (args, { mcpReq }) => {
      const answer = mcpReq.inputResponses?.[key];
      return answer === undefined ? want({ [key]: question(args) }) : done(say(answer));
    },
  });
  const chosen = ({ action, content }) => `Elicitation completed: action=${action}, content=${JSON.stringify(content ?? {})}`;

  return [
    once("test_sampling", "answer", ({ prompt }) => think(prompt), (answer) => `LLM response: ${answer.content?.text}`,
      form({ prompt: { type: "string" } })),
    once("test_elicitation", "answer", ({ message }) => ask(message, form({ response: { type: "string" } })), chosen,
      form({ message: { type: "string" } })),
    once("test_elicitation_sep1034_defaults", "answer", () => ask("Are these right?", form(DEFAULTS, [])), chosen),
    once("test_elicitation_sep1330_enums", "answer", () => ask("Which ones?", form(CHOICES, [])), chosen),
    once("test_missing_capability", "answer", () => think("Say: pong"), () => "sampled"),
    once("test_input_required_result_sampling", "capital_question", () => think("What is the capital of France?"),
      (answer) => `Sampling response: ${answer.content?.text}`),
    {
      name: "test_input_required_result_list_roots",
      call(_, { mcpReq }) {
        const roots = mcpReq.inputResponses?.client_roots?.roots;
        if (!Array.isArray(roots)) return want({ client_roots: inputRequired.listRoots() });
        return done(`${roots.length} roots: ${roots.map(({ uri }) => uri).join(", ")}`);
      },
    },
    {
      name: "test_input_required_result_elicitation",
      call(_, { mcpReq }) {
        const name = acceptedContent(mcpReq.inputResponses, "user_name")?.name;
        return typeof name === "string" ? done(`Hello, ${name}!`) : want({ user_name: named() });
      },
    },
    {
      name: "test_input_required_result_multiple_inputs",
      async call(_, { mcpReq }) {
        const { greeting, client_roots } = mcpReq.inputResponses ?? {};
        const name = acceptedContent(mcpReq.inputResponses, "user_name")?.name;
        if (name && greeting?.content && Array.isArray(client_roots?.roots)) {
          return done(`${greeting.content.text} ${name}, of ${client_roots.roots.length} roots`);
        }
        const all = { user_name: named(), greeting: think("Greet somebody."), client_roots: inputRequired.listRoots() };
        return want(all, await seal({ asked: "all" }));
      },
    },
    {
      name: "test_input_required_result_capabilities",
      call(_, { mcpReq }) {
        if (mcpReq.inputResponses !== undefined) return done("answered");
        const may = mcpReq.envelope?.[sdk.CLIENT_CAPABILITIES_META_KEY] ?? declared() ?? {};
        const wanted = {
          ...(may.elicitation && { user_name: named() }),
          ...(may.sampling && { greeting: think("Greet somebody.") }),
          ...(may.roots && { client_roots: inputRequired.listRoots() }),
        };
        return Object.keys(wanted).length > 0 ? want(wanted) : done("there is nobody to ask");
      },
    },
    {
      name: "test_input_required_result_request_state",
      async call(_, { mcpReq }) {
        const confirmed = acceptedContent(mcpReq.inputResponses, "confirm");
        if (confirmed && mcpReq.requestState()) return done("state-ok: verified");
        return want({ confirm: agreed() }, await seal({ step: "confirm" }));
      },
    },
    {
      name: "test_input_required_result_tampered_state",
      async call(_, { mcpReq }) {
        if (mcpReq.requestState() && acceptedContent(mcpReq.inputResponses, "confirm")) return done("integrity-ok");
        return want({ confirm: agreed() }, await seal({ step: "tampered" }));
      },
    },
    {
      name: "test_input_required_result_multi_round",
      async call(_, { mcpReq }) {
        const state = mcpReq.requestState();
        if (state?.round === undefined) return want({ step1: named() }, await seal({ round: 1 }));
        if (state.round === 1) {
          const name = acceptedContent(mcpReq.inputResponses, "step1")?.name;
          return want({ step2: ask("Which colour?", form({ color: { type: "string" } })) }, await seal({ round: 2, name }));
        }
        return done(`${state.name} likes ${acceptedContent(mcpReq.inputResponses, "step2")?.color}`);
      },
    },
  ];
}
