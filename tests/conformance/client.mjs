// What the client scenarios of the conformance suites want of a client, done through the gateway: the suite's server is a
// remote server of a gateway that lives as long as the scenario, and the requests here make the gateway do the rest.
//
//   node client.mjs BINARY legacy|modern URL
//
// The era is that in which the gateway is spoken with here. The suite names the scenario, and the era of its server, in
// the environment.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [binary, era, url] = process.argv.slice(2);
const scenario = process.env.MCP_CONFORMANCE_SCENARIO;
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? "{}");
const META = "io.modelcontextprotocol/";

/** Starts the gateway; returns where it serves the suite's server, and how to end it. */
async function startGateway() {
  const work = mkdtempSync(join(tmpdir(), "portcullis-client-"));
  // A server that has a handshake as well is spoken with in the era of the gateway's client: of these scenarios only the
  // modern half is wanted then.
  const pin = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION >= "2026" && era === "legacy" ? 'protocol-era = "modern"' : "";
  writeFileSync(join(work, "portcullis.toml"), `state-dir = ${JSON.stringify(work)}\n[servers.suite]\nurl = ${JSON.stringify(url)}\n${pin}\n`);
  const gateway = spawn(binary, ["serve", "--config", join(work, "portcullis.toml"), "--listen", "127.0.0.1:0"]);
  let log = "";
  gateway.stderr.on("data", (text) => (log += text));
  const ended = new Promise((resolve) => gateway.on("exit", resolve));
  const address = await new Promise((resolve, reject) => {
    let said = "";
    gateway.stdout.on("data", (text) => {
      const found = /^listening on (http:\S+)/m.exec((said += text));
      if (found) resolve(found[1].replace(/\/$/, ""));
    });
    ended.then(() => reject(new Error("the gateway does not listen")));
  }).catch((error) => {
    throw new Error(`${error.message}\n${log}`);
  });
  const stop = async () => {
    gateway.kill("SIGTERM");
    await ended;
    rmSync(work, { recursive: true, force: true });
    process.stderr.write(log);
  };
  return { endpoint: `${address}/mcp/suite`, stop };
}

/** The messages in an answer, as they come. */
async function* messages(response) {
  const isStream = response.headers.get("content-type")?.startsWith("text/event-stream");
  if (!isStream) {
    const text = await response.text();
    if (text) yield JSON.parse(text);
    return;
  }
  let rest = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const events = (rest + chunk).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const data = event.split("\n").filter((line) => line.startsWith("data:"));
      const text = data.map((line) => line.slice(5).trim()).join("\n");
      if (text) yield JSON.parse(text);
    }
  }
}

/** Fills in a form with its defaults, and with `true` where a yes is wanted. */
function fillIn({ requestedSchema }) {
  const fields = Object.entries(requestedSchema.properties);
  return { action: "accept", content: Object.fromEntries(fields.map(([name, field]) => [name, field.default ?? true])) };
}

/** A client with a handshake. */
class LegacyClient {
  #id = 0;
  #headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };

  constructor(endpoint) {
    this.endpoint = endpoint;
  }

  async open() {
    const clientInfo = { name: "conformance", version: "1" };
    const params = { protocolVersion: "2025-11-25", capabilities: { elicitation: {} }, clientInfo };
    const result = await this.request("initialize", params);
    this.#headers["mcp-protocol-version"] = result.protocolVersion;
    await this.#post({ jsonrpc: "2.0", method: "notifications/initialized" });
  }

  /** Returns the result; `onQuestion` may do something before a question of the server is answered. */
  async request(method, params = {}, onQuestion = async () => {}) {
    const id = ++this.#id;
    const response = await this.#post({ jsonrpc: "2.0", id, method, params });
    const session = response.headers.get("mcp-session-id");
    if (session) this.#headers["mcp-session-id"] = session;
    for await (const message of messages(response)) {
      if (message.method === "elicitation/create") {
        await onQuestion();
        await this.#post({ jsonrpc: "2.0", id: message.id, result: fillIn(message.params) });
      }
      if (message.id === id && !message.method) return resultOf(message);
    }
    throw new Error(`no answer to ${method}`);
  }

  #post(message) {
    return fetch(this.endpoint, { method: "POST", headers: this.#headers, body: JSON.stringify(message) });
  }
}

/** A client without. */
class ModernClient {
  #id = 0;
  #tools = new Map();

  constructor(endpoint) {
    this.endpoint = endpoint;
  }

  async open() {
    await this.request("server/discover");
  }

  /** Returns the result; `onQuestion` may do something before a question of the server is answered. */
  async request(method, params = {}, onQuestion = async () => {}) {
    const result = await this.#ask(method, params);
    for (const tool of result.tools ?? []) this.#tools.set(tool.name, tool);
    if (result.resultType !== "input_required") return result;
    await onQuestion();
    const questions = Object.entries(result.inputRequests);
    const inputResponses = Object.fromEntries(questions.map(([key, question]) => [key, fillIn(question.params)]));
    const state = "requestState" in result ? { requestState: result.requestState } : {};
    return this.request(method, { ...params, inputResponses, ...state }, onQuestion);
  }

  async #ask(method, params) {
    const id = ++this.#id;
    const _meta = {
      [`${META}protocolVersion`]: "2026-07-28",
      [`${META}clientCapabilities`]: { elicitation: {} },
      [`${META}clientInfo`]: { name: "conformance", version: "1" },
    };
    const headers = {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": method,
      ...this.#mirrors(method, params),
    };
    const body = JSON.stringify({ jsonrpc: "2.0", id, method, params: { ...params, _meta } });
    for await (const message of messages(await fetch(this.endpoint, { method: "POST", headers, body })))
      if (message.id === id) return resultOf(message);
    throw new Error(`no answer to ${method}`);
  }

  #mirrors(method, params) {
    const headers = {};
    const name = method === "resources/read" ? params.uri : params.name;
    if (name) headers["mcp-name"] = encoded(name);
    const properties = this.#tools.get(method === "tools/call" ? params.name : undefined)?.inputSchema.properties ?? {};
    for (const [key, { "x-mcp-header": header }] of Object.entries(properties)) {
      const value = params.arguments?.[key];
      if (header && value !== undefined && value !== null) headers[`mcp-param-${header}`] = encoded(String(value));
    }
    return headers;
  }
}

/** A value as a header has it. */
function encoded(value) {
  const isPlain = /^[\x20-\x7e]*$/.test(value) && value.trim() === value && !value.startsWith("=?base64?");
  return isPlain ? value : `=?base64?${Buffer.from(value).toString("base64")}?=`;
}

function resultOf(message) {
  if (message.error) throw Object.assign(new Error(message.error.message), { code: message.error.code });
  return message.result;
}

const listTools = (client) => client.request("tools/list");
const call = (client, name, args = {}, onQuestion) => client.request("tools/call", { name, arguments: args }, onQuestion);

/** What each scenario wants a client to do once the conversation is open. */
const SCENARIOS = {
  initialize: listTools,
  "request-metadata": listTools,
  "json-schema-ref-no-deref": listTools,
  async tools_call(client) {
    await listTools(client);
    await call(client, "add_numbers", { a: 5, b: 3 });
  },
  async "elicitation-sep1034-client-defaults"(client) {
    await listTools(client);
    await call(client, "test_client_elicitation_defaults");
  },
  async "sse-retry"(client) {
    await listTools(client);
    await call(client, "test_reconnection");
  },
  async "json-schema-2020-12-preservation"(client) {
    const { tools } = await listTools(client);
    const { inputSchema } = tools.find((tool) => tool.name === "json_schema_2020_12_tool");
    await call(client, "json_schema_echo", { schema: inputSchema });
  },
  async "sep-2322-client-request-state"(client) {
    await listTools(client);
    await call(client, "test_mrtr_echo_state", {}, () => call(client, "test_mrtr_unrelated"));
    await call(client, "test_mrtr_no_state");
    await call(client, "test_mrtr_no_result_type");
  },
  async "http-standard-headers"(client) {
    for (const { name } of (await listTools(client)).tools) await call(client, name);
    for (const { uri } of (await client.request("resources/list")).resources) await client.request("resources/read", { uri });
    for (const { name } of (await client.request("prompts/list")).prompts) await client.request("prompts/get", { name });
  },
  async "http-custom-headers"(client) {
    await listTools(client);
    for (const { name, arguments: args } of context.toolCalls) await call(client, name, args);
  },
  async "http-invalid-tool-headers"(client) {
    for (const { name } of (await listTools(client)).tools) await call(client, name, { region: "here", value: "there" });
  },
};

const wanted = SCENARIOS[scenario];
if (!wanted) throw new Error(`nothing is known of the scenario ${scenario}`);
const gateway = await startGateway();
try {
  const client = era === "modern" ? new ModernClient(gateway.endpoint) : new LegacyClient(gateway.endpoint);
  await client.open();
  await wanted(client);
} finally {
  await gateway.stop();
}
