// Drives one MCP server with the published TypeScript SDK and reports each check as one JSON line.
//
// usage: node client.mjs --server NAME --transport http|sse|ws --url URL [options]
//        node client.mjs --server NAME --transport stdio [options] -- COMMAND ARGS...
// options: --sdk 1|2, --era legacy|modern (2 only: with the handshake, or without), --directory DIR (shared with the
//          filesystem server), --transcript FILE
//
// The transcript holds the results that must be the same whatever lies between the client and the server,
// as they came in at the transport, before the SDK's schemas touch them.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { makeTransport, sdkOf } from "./sdk.mjs";

const DEADLINE_MS = 20_000;
const LARGE_BYTES = 983_040; // the Python SDK refuses server-sent events above 1 MiB, so all stay below it
const INVALID_PARAMS = -32602;

const { values: options, positionals: command } = parseArgs({
  options: {
    sdk: { type: "string", default: "1" },
    era: { type: "string", default: "legacy" },
    server: { type: "string" },
    transport: { type: "string" },
    url: { type: "string" },
    directory: { type: "string" },
    transcript: { type: "string" },
  },
  allowPositionals: true,
});

// ---- reporting

let failures = 0;

async function check(name, body) {
  try {
    await within(body(), `check ${name}`);
    console.log(JSON.stringify({ check: name, ok: true }));
  } catch (error) {
    failures += 1;
    console.log(JSON.stringify({ check: name, ok: false, saw: String(error?.stack ?? error).slice(0, 2000) }));
  }
}

function expect(holds, saw) {
  if (!holds) throw new Error(`unexpected: ${JSON.stringify(saw)?.slice(0, 1000)}`);
}

function within(promise, what) {
  let timer;
  const deadline = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing within ${DEADLINE_MS} ms`)), DEADLINE_MS);
  });
  return Promise.race([promise, deadline]).finally(() => clearTimeout(timer));
}

// Messages the server sent of its own accord, with a way to wait for one.
class Inbox {
  #messages = [];
  #waiters = [];

  put(message) {
    this.#messages.push(message);
    this.#waiters = this.#waiters.filter(({ matches, resolve }) => !(matches(message) && (resolve(message), true)));
  }

  all(matches) {
    return this.#messages.filter(matches);
  }

  wait(matches, what) {
    const there = this.#messages.find(matches);
    if (there) return Promise.resolve(there);
    return within(new Promise((resolve) => this.#waiters.push({ matches, resolve })), what);
  }
}

// ---- the connection

const transcript = {};
const inbox = new Inbox();
const arrived = []; // progress as the transport delivered it
let label; // names the next request's result in the transcript

// Keeps the results of the labelled requests, as the transport delivers them.
function tap(transport) {
  const labels = new Map();
  const send = transport.send.bind(transport);
  transport.send = (message, ...rest) => {
    if (label && message.method && message.id !== undefined) labels.set(message.id, label);
    label = undefined;
    return send(message, ...rest);
  };
  let deliver;
  Object.defineProperty(transport, "onmessage", {
    get: () => deliver && ((message, extra) => {
      if (labels.has(message.id) && !message.method) {
        transcript[labels.get(message.id)] = message.result ?? message.error;
        // The request that goes on with it has the result that counts.
        if (message.result?.resultType === "input_required") label = labels.get(message.id);
      }
      if (message.method === "notifications/progress") arrived.push(`${message.params.progress}/${message.params.total}`);
      deliver(message, extra);
    }),
    set: (handler) => { deliver = handler; },
  });
  return transport;
}

function recorded(name, send) {
  label = name;
  return send();
}

const ROOTS = [{ uri: "file:///compat/one", name: "one" }, { uri: "file:///compat/two", name: "two" }];
const ELICITED = { name: "Ada", check: true, integer: 7 };

function makeClient(capabilities) {
  const client = sdk.makeClient(capabilities, options.era);
  client.fallbackNotificationHandler = async (notification) => inbox.put(notification);
  if (capabilities.sampling) {
    sdk.answer(client, "sampling/createMessage", async ({ params }) => ({
      model: "compat-model",
      role: "assistant",
      content: { type: "text", text: `sampled ${params.messages[0].content.text}` },
    }));
    sdk.answer(client, "elicitation/create", async ({ params }) => {
      inbox.put({ method: "elicitation/create", params });
      return { action: "accept", content: ELICITED };
    });
    sdk.answer(client, "roots/list", async () => ({ roots: ROOTS }));
  }
  return client;
}

const text = (result) => result.content.map((block) => block.text ?? "").join("\n");
const call = (name, args = {}, more) => sdk.call(client, { name, arguments: args }, more);
const names = (items) => items.map((item) => item.name);

// ---- checks that several servers share

async function checkInitialize(serverName) {
  await check("initialize", async () => {
    await recorded("initialize", () => client.connect(transport));
    expect(client.getServerVersion()?.name === serverName, client.getServerVersion());
    expect(sdk.isModern(client) === isModern, "it is the other era");
  });
}

async function checkTools(expected) {
  await check("tools", async () => {
    const { tools } = await recorded("tools/list", () => client.listTools());
    expect(expected.every((name) => names(tools).includes(name)), names(tools));
  });
}

async function checkUnknownTool() {
  await check("unknown-tool", async () => {
    const answer = await recorded("unknown tool", () => call("no-such-tool")).catch((error) => error);
    const refused = answer.isError === true || answer.code === INVALID_PARAMS;
    expect(refused && JSON.stringify(answer.message ?? text(answer)).includes("no-such-tool"), answer);
  });
}

// The SDK forgets the callback as soon as the result is there, so a last progress that arrives in one chunk with
// the result never reaches it. What arrived is therefore read at the transport, and the callback needs two of three.
// A round of questions in between 2.x reports as progress of its own, without a total.
async function checkProgress() {
  await check("progress", async () => {
    arrived.length = 0;
    const seen = [];
    const result = await call("trigger-long-running-operation", { duration: 0.6, steps: 3 },
      { onprogress: ({ progress, total }) => total === undefined || seen.push(`${progress}/${total}`) });
    expect(text(result).includes("Long running operation completed"), result);
    expect(arrived.join(" ") === "1/3 2/3 3/3", arrived);
    expect("1/3 2/3 3/3".startsWith(seen.join(" ")) && seen.length >= 2, seen);
  });
}

async function checkConcurrency() {
  await check("concurrency", async () => {
    const words = Array.from({ length: 32 }, (_, index) => `word ${index}`);
    const answers = await Promise.all(words.map((message) => call("echo", { message })));
    expect(answers.every((answer, index) => text(answer) === `Echo: ${words[index]}`), answers.map(text));
  });
}

async function checkSubscription() {
  await check("subscription", async () => {
    const uri = "demo://resource/dynamic/text/7";
    const isUpdate = (message) => message.method === "notifications/resources/updated" && message.params.uri === uri;
    await subscribed(uri, async () => {
      const switched = text(await call("toggle-subscriber-updates"));
      expect(switched.startsWith("Started"), switched);
      await inbox.wait(isUpdate, "an update of the subscribed resource");
      expect(text(await call("toggle-subscriber-updates")).startsWith("Stopped"), "updates go on");
    });
  });
}

async function subscribed(uri, body) {
  if (!isModern) {
    await client.subscribeResource({ uri });
    await body();
    await client.unsubscribeResource({ uri });
    return;
  }
  const subscription = await client.listen({ resourceSubscriptions: [uri] });
  expect(subscription.honoredFilter.resourceSubscriptions.join() === uri, subscription.honoredFilter);
  await body();
  await subscription.close();
}

// ---- one function for each server

async function everything() {
  await checkInitialize("mcp-servers/everything");
  await checkTools(["echo", "get-sum", "trigger-sampling-request", "trigger-elicitation-request", "get-roots-list"]);
  await check("resources", async () => {
    const { resources } = await recorded("resources/list", () => client.listResources());
    expect(resources.length >= 5 && resources.every(({ uri }) => uri.startsWith("demo://")), resources);
  });
  await check("templates", async () => {
    const { resourceTemplates } = await recorded("resources/templates/list", () => client.listResourceTemplates());
    expect(names(resourceTemplates).includes("Dynamic Text Resource"), resourceTemplates);
  });
  await check("prompts", async () => {
    const { prompts } = await recorded("prompts/list", () => client.listPrompts());
    expect(["simple-prompt", "args-prompt", "completable-prompt"].every((name) => names(prompts).includes(name)), names(prompts));
  });
  if (!isModern) await check("ping", async () => { await client.ping(); });
  await check("echo", async () => {
    const result = await recorded("echo", () => call("echo", { message: "grüß dich 🦀 \u2028" }));
    expect(text(result) === "Echo: grüß dich 🦀 \u2028", result);
  });
  await check("sum", async () => {
    const result = await recorded("get-sum", () => call("get-sum", { a: 2, b: 40.5 }));
    expect(text(result) === "The sum of 2 and 40.5 is 42.5.", result);
  });
  await check("structured", async () => {
    const result = await recorded("structured", () => call("get-structured-content", { location: "Chicago" }));
    expect(result.structuredContent?.temperature === 36, result);
  });
  await check("large", async () => {
    const message = "0123456789abcdef".repeat(LARGE_BYTES / 16);
    const result = await call("echo", { message });
    expect(text(result) === `Echo: ${message}`, { length: text(result).length });
  });
  await checkUnknownTool();
  await checkProgress();
  await checkConcurrency();
  await check("sampling", async () => {
    const result = await recorded("sampling", () => call("trigger-sampling-request", { prompt: "say it" }));
    expect(text(result).includes("sampled Resource trigger-sampling-request context: say it"), result);
    expect(text(result).includes("compat-model"), result);
  });
  await check("elicitation", async () => {
    const result = await recorded("elicitation", () => call("trigger-elicitation-request"));
    expect(text(result).includes("- Name: Ada") && text(result).includes("- Favorite Integer: 7"), result);
    const asked = inbox.all((message) => message.method === "elicitation/create");
    expect(asked.length === 1 && asked[0].params.requestedSchema.properties.legacyTitledEnum.enumNames.length === 5, asked);
  });
  await check("roots", async () => {
    const result = await recorded("roots", () => call("get-roots-list"));
    expect(ROOTS.every(({ uri }) => text(result).includes(uri)), result);
  });
  if (!isModern) await check("logging", async () => {
    await client.setLoggingLevel("debug");
    expect(text(await call("toggle-simulated-logging")).startsWith("Started"), "logging was on already");
    await inbox.wait(({ method, params }) => method === "notifications/message" && /level[ -]message/.test(params.data), "a log message");
    expect(text(await call("toggle-simulated-logging")).startsWith("Stopped"), "logging goes on");
  });
  await check("resource-read", async () => {
    const uri = "demo://resource/static/document/features.md";
    const { contents } = await recorded("resources/read", () => client.readResource({ uri }));
    expect(contents[0].uri === uri && contents[0].mimeType === "text/markdown" && contents[0].text.length > 500, contents);
  });
  if (!isModern) await checkSubscription();
  await check("prompt", async () => {
    const { messages } = await recorded("prompts/get", () =>
      client.getPrompt({ name: "args-prompt", arguments: { city: "Oslo", state: "Norway" } }));
    expect(messages[0].content.text === "What's weather in Oslo, Norway?", messages);
  });
  await check("completion", async () => {
    const { completion } = await recorded("completion", () => client.complete({
      ref: { type: "ref/prompt", name: "completable-prompt" },
      argument: { name: "name", value: "E" },
      context: { arguments: { department: "Sales" } },
    }));
    expect(completion.values.join() === "Eve", completion);
  });
  await check("cancellation", async () => {
    const abort = new AbortController();
    const started = Date.now();
    const outcome = await call("trigger-long-running-operation", { duration: 30, steps: 300 },
      { signal: abort.signal, onprogress: () => abort.abort("enough") }).catch((error) => error);
    expect(outcome instanceof Error && Date.now() - started < 15_000, outcome);
    expect(text(await call("echo", { message: "still here" })) === "Echo: still here", "the session is dead");
  });
}

// A client that declares nothing, so that the gateway may let it share the process with others.
async function everythingPlain() {
  await checkInitialize("mcp-servers/everything");
  await check("tools", async () => {
    const { tools } = await recorded("tools/list", () => client.listTools());
    expect(names(tools).includes("echo") && !names(tools).includes("trigger-sampling-request"), names(tools));
  });
  await checkProgress();
  await checkConcurrency();
  await checkSubscription();
}

async function filesystem() {
  await checkInitialize("secure-filesystem-server");
  await checkTools(["read_text_file", "write_file", "list_directory"]);
  const path = join(options.directory, "compat.txt");
  const content = `written by process ${process.pid}\nat ${Date.now()}\n`;
  await check("write", async () => {
    await recorded("write_file", () => call("write_file", { path, content }));
    expect(readFileSync(path, "utf8") === content, readFileSync(path, "utf8"));
  });
  await check("read", async () => {
    const result = await call("read_text_file", { path });
    expect(text(result) === content, result);
  });
  await check("list", async () => {
    const result = await recorded("list_directory", () => call("list_directory", { path: options.directory }));
    expect(text(result).includes("[FILE] compat.txt"), result);
  });
  await check("refusal", async () => {
    const result = await recorded("refusal", () => call("read_text_file", { path: "/etc/hostname" }));
    expect(result.isError === true && text(result).includes("Access denied"), result);
  });
  await checkUnknownTool();
}

async function memory() {
  await checkInitialize("memory-server");
  await checkTools(["create_entities", "open_nodes", "delete_entities"]);
  const name = `entity-${process.pid}-${Date.now()}`;
  await check("create", async () => {
    const result = await call("create_entities", { entities: [{ name, entityType: "probe", observations: ["first", "zweite ü"] }] });
    expect(text(result).includes(name), result);
  });
  await check("read", async () => {
    const { entities } = JSON.parse(text(await call("open_nodes", { names: [name] })));
    expect(entities.length === 1 && entities[0].observations.join() === "first,zweite ü", entities);
  });
  await check("delete", async () => {
    await call("delete_entities", { entityNames: [name] });
    const { entities } = JSON.parse(text(await call("open_nodes", { names: [name] })));
    expect(entities.length === 0, entities);
  });
  await checkUnknownTool();
}

async function time() {
  await checkInitialize("mcp-time");
  await checkTools(["get_current_time", "convert_time"]);
  await check("now", async () => {
    const answer = JSON.parse(text(await call("get_current_time", { timezone: "UTC" })));
    expect(answer.timezone === "UTC" && Math.abs(Date.parse(answer.datetime) - Date.now()) < 60_000, answer);
  });
  await check("convert", async () => {
    const result = await call("convert_time", { source_timezone: "UTC", time: "12:00", target_timezone: "Asia/Tokyo" });
    expect(text(result).includes("T21:00:00+09:00"), result);
  });
  await check("bad-zone", async () => {
    const result = await recorded("bad zone", () => call("get_current_time", { timezone: "Nowhere/Land" })).catch((error) => error);
    expect((result.message ?? text(result)).includes("Nowhere/Land"), String(result));
  });
  await checkUnknownTool();
}

// A server without the handshake, which asks in its answers.
async function mock() {
  const watched = "test://watched-resource";
  await checkInitialize("portcullis-mock");
  await checkTools(["echo", "test_sampling"]);
  await check("resources", async () => {
    const { resources } = await recorded("resources/list", () => client.listResources());
    expect(resources.some(({ uri }) => uri === watched), resources);
  });
  await check("prompts", async () => {
    const { prompts } = await recorded("prompts/list", () => client.listPrompts());
    expect(names(prompts).includes("test_prompt_with_arguments"), names(prompts));
  });
  await check("echo", async () => {
    const result = await recorded("echo", () => call("echo", { message: "grüß dich 🦀 \u2028", deep: [{ n: 1.5 }] }));
    expect(JSON.parse(text(result)).message === "grüß dich 🦀 \u2028", result);
  });
  await check("contents", async () => {
    const { content } = await recorded("contents", () => call("test_multiple_content_types"));
    expect(content.map(({ type }) => type).join() === "text,image,resource", content);
  });
  await check("failure", async () => {
    const result = await recorded("failure", () => call("test_error_handling"));
    expect(result.isError === true, result);
  });
  await check("progress", async () => {
    arrived.length = 0;
    await call("test_tool_with_progress", {}, { onprogress: () => {} });
    expect(arrived.join(" ") === "0/100 50/100 100/100", arrived);
  });
  await check("sampling", async () => {
    const result = await recorded("sampling", () => call("test_sampling", { prompt: "say it" }));
    expect(text(result) === "LLM response: sampled say it", result);
  });
  await check("elicitation", async () => {
    const result = await recorded("elicitation", () => call("test_elicitation", { message: "who?" }));
    const asked = inbox.all((message) => message.method === "elicitation/create").map(({ params }) => params.message);
    expect(text(result).includes("action=accept") && asked.join() === "who?", { result, asked });
  });
  await check("resource-read", async () => {
    const { contents } = await recorded("resources/read", () => client.readResource({ uri: "test://static-text" }));
    expect(contents[0].uri === "test://static-text", contents);
  });
  await check("subscription", () => subscribed(watched, async () => {
    await call("touch", { uri: watched });
    const isUpdate = ({ method, params }) => method === "notifications/resources/updated" && params.uri === watched;
    await inbox.wait(isUpdate, "an update of the subscribed resource");
  }));
  await check("prompt", async () => {
    const { messages } = await recorded("prompts/get", () =>
      client.getPrompt({ name: "test_prompt_with_arguments", arguments: { arg1: "one", arg2: "two" } }));
    expect(messages[0].content.text.includes("one"), messages);
  });
  await checkUnknownTool();
}

// ---- main

const servers = { everything, "everything-plain": everythingPlain, filesystem, memory, time, mock };
const asks = ["everything", "mock"].includes(options.server);
const isModern = options.era === "modern";
const sdk = await sdkOf(options.sdk);
const client = makeClient(asks ? { sampling: {}, elicitation: {}, roots: { listChanged: true } } : {});
const transport = tap(makeTransport(sdk, options.transport, options.url, command));
transport.onerror = (error) => process.stderr.write(`transport: ${error}\n`);

await servers[options.server]();
await check("close", async () => {
  if (options.transport === "http") await transport.terminateSession();
  await client.close();
});
if (options.transcript) writeFileSync(options.transcript, JSON.stringify(transcript, undefined, 1));
process.exit(failures === 0 ? 0 : 1);
