// A server made with the published TypeScript SDK, of both eras: over Streamable HTTP on the port of $PORT, or else on
// stdin and stdout. It offers what the conformance suites ask for (except tasks, which this SDK does not have), so that
// they can judge the same server with a gateway before it and without.

import { createServer } from "node:http";
import { randomUUID } from "node:crypto";

import { eventStore } from "./events.mjs";
import { load } from "./package.mjs";
import { prompts } from "./prompts.mjs";
import { resources } from "./resources.mjs";
import { questions } from "./questions.mjs";
import { tools } from "./tools.mjs";

const sdk = await load("@modelcontextprotocol/server");

const states = sdk.createRequestStateCodec({ key: crypto.getRandomValues(new Uint8Array(32)) });
const CAPABILITIES = {
  tools: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  prompts: { listChanged: true },
  completions: {},
  logging: {},
};

// `changed(kind, server)` tells those who listen that the tools or the prompts are others now.
function make(changed, closeStream = () => {}) {
  const server = new sdk.McpServer(
    { name: "portcullis-sdk-server", version: "1.0.0" },
    { capabilities: CAPABILITIES, requestState: { verify: states.verify } },
  );
  const { server: low } = server;
  const offered = [
    ...tools(sdk, (kind) => changed(kind, server), closeStream),
    ...questions(sdk, states, () => low.getClientCapabilities()),
  ];
  for (const { name, schema = { type: "object" }, call } of offered) {
    const inputSchema = sdk.fromJsonSchema(schema);
    server.registerTool(name, { description: `For the conformance suites: ${name}`, inputSchema }, call);
  }
  prompts(sdk, server);
  resources(sdk, server);
  for (const method of ["resources/subscribe", "resources/unsubscribe", "logging/setLevel"]) {
    low.setRequestHandler(method, () => ({}));
  }
  low.setRequestHandler("completion/complete", () => ({ completion: { values: ["paris"], total: 1, hasMore: false } }));
  return server;
}

function onPipes(serveStdio) {
  const tell = { tools: (server) => server.sendToolListChanged(), prompts: (server) => server.sendPromptListChanged() };
  serveStdio(() => make((kind, server) => tell[kind](server)));
}

function onPort(port, node) {
  const modern = sdk.createMcpHandler(() => make((kind) => modern.notify[`${kind}Changed`]()), { legacy: "reject" });
  const serveModern = node.toNodeHandler(modern);
  const sessions = new Map();

  async function open(request, response, body) {
    const transport = new node.NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      retryInterval: 1000,
      eventStore: eventStore(),
      onsessioninitialized: (id) => sessions.set(id, transport),
    });
    transport.onclose = () => sessions.delete(transport.sessionId);
    const changed = (kind, server) => (kind === "tools" ? server.sendToolListChanged() : server.sendPromptListChanged());
    await make(changed, (id) => transport.closeSSEStream(id)).connect(transport);
    await transport.handleRequest(request, response, body);
  }

  async function serve(request, response) {
    if (!sdk.validateHostHeader(request.headers.host, sdk.localhostAllowedHostnames()).ok) return refuse(response, 403);
    const body = request.method === "POST" ? JSON.parse(await textOf(request)) : undefined;
    if (request.method === "POST" && isModern(request, body)) return serveModern(request, response, body);
    const id = request.headers["mcp-session-id"];
    if (id === undefined && sdk.isInitializeRequest(body)) return open(request, response, body);
    const transport = sessions.get(id);
    return transport ? transport.handleRequest(request, response, body) : refuse(response, id === undefined ? 400 : 404);
  }

  const isModern = ({ method, headers }, body) =>
    sdk.classifyInboundRequest({
      httpMethod: method,
      protocolVersionHeader: headers["mcp-protocol-version"],
      mcpMethodHeader: headers["mcp-method"],
      body,
    }).kind !== "legacy";

  createServer((request, response) => serve(request, response).catch(() => refuse(response, 400))).listen(port);
}

async function textOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function refuse(response, status) {
  if (!response.headersSent) response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify({ jsonrpc: "2.0", id: null, error: { code: -32000, message: `refused: ${status}` } }));
}

if (process.env.PORT) onPort(Number(process.env.PORT), await load("@modelcontextprotocol/node"));
else onPipes((await load("@modelcontextprotocol/server/stdio")).serveStdio);
