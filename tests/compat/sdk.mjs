// The published TypeScript SDK, 1.x or 2.x, with one face: what differs between the two is here and nowhere else.

import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const MODERN = "2026-07-28";
const CLIENT = { name: "compat-typescript", version: "1.0.0" };

// The SDKs are installed in the cache, not beside this file.
const resolver = createRequire(join(process.env.COMPAT_NODE_PREFIX, "resolve.js"));
const load = (name) => import(pathToFileURL(resolver.resolve(name)).href);

// 1.x speaks with the handshake only.
async function one() {
  const path = (name) => load(`@modelcontextprotocol/sdk/${name}`);
  const { Client } = await path("client/index.js");
  const types = await path("types.js");
  const schemas = {
    "sampling/createMessage": types.CreateMessageRequestSchema,
    "elicitation/create": types.ElicitRequestSchema,
    "roots/list": types.ListRootsRequestSchema,
  };
  globalThis.WebSocket ??= (await load("ws")).default;
  return {
    transports: {
      ...(await path("client/streamableHttp.js")),
      ...(await path("client/sse.js")),
      ...(await path("client/stdio.js")),
      ...(await path("client/websocket.js")),
    },
    makeClient: (capabilities) => new Client(CLIENT, { capabilities }),
    answer: (client, method, handler) => client.setRequestHandler(schemas[method], handler),
    call: (client, request, options) => client.callTool(request, undefined, options),
    isModern: () => false,
  };
}

async function two() {
  const sdk = await load("@modelcontextprotocol/client");
  return {
    transports: { ...sdk, ...(await load("@modelcontextprotocol/client/stdio")) },
    makeClient: (capabilities, era) =>
      new sdk.Client(CLIENT, { capabilities, versionNegotiation: { mode: era === "modern" ? { pin: MODERN } : "legacy" } }),
    answer: (client, method, handler) => client.setRequestHandler(method, handler),
    call: (client, request, options) => client.callTool(request, options),
    isModern: (client) => client.getProtocolEra() === "modern",
  };
}

export const sdkOf = (generation) => (generation === "2" ? two() : one());

export function makeTransport({ transports }, kind, url, command) {
  switch (kind) {
    case "http": return new transports.StreamableHTTPClientTransport(new URL(url));
    case "sse": return new transports.SSEClientTransport(new URL(url));
    case "ws": return new transports.WebSocketClientTransport(new URL(url.replace(/^http/, "ws")));
    case "stdio":
      return new transports.StdioClientTransport({ command: command[0], args: command.slice(1), env: process.env, stderr: "ignore" });
    default: throw new Error(`unknown transport ${kind}`);
  }
}
