// The tools that the suites ask for and that ask nothing back.

import { setTimeout as pause } from "node:timers/promises";

import { SOUND, embedded, image, text } from "./samples.mjs";

const content = (...content) => ({ content });
// So long that a client sees what comes before the result come before it.
const STEP_MS = 50;

// All keywords of the newer dialect that have to arrive as they are.
const NEWER_DIALECT = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  $defs: {
    address: {
      $anchor: "addressDef",
      type: "object",
      properties: { street: { type: "string" }, city: { type: "string" } },
    },
  },
  properties: {
    name: { type: "string" },
    address: { $ref: "#/$defs/address" },
    contactMethod: { type: "string", enum: ["phone", "email"] },
    phone: { type: "string" },
    email: { type: "string" },
  },
  allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
  if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
  then: { required: ["phone"] },
  else: { required: ["email"] },
  additionalProperties: false,
};

const MIRRORED = {
  type: "object",
  properties: {
    region: { type: "string", description: "goes along in a header", "x-mcp-header": "Region" },
    level: { type: "integer", description: "stays in the body" },
  },
};

// `changed(kind)` tells of other tools or prompts; `closeStream(id)` ends the stream of a request before its answer.
export function tools(sdk, changed, closeStream) {
  const always = (name, ...what) => ({ name, call: () => content(...what) });
  return [
    always("test_simple_text", text("This is a simple text response for testing.")),
    always("test_image_content", image),
    always("test_audio_content", { type: "audio", data: SOUND, mimeType: "audio/wav" }),
    always("test_embedded_resource", embedded("test://embedded-resource", { mimeType: "text/plain", text: "Embedded." })),
    always(
      "test_multiple_content_types",
      text("Multiple content types test:"),
      image,
      embedded("test://mixed-content-resource", { mimeType: "application/json", text: '{"test":"data","value":123}' }),
    ),
    always("test_streaming_elicitation", text("nothing is asked")),
    { name: "json_schema_2020_12_tool", schema: NEWER_DIALECT, call: (args) => content(text(JSON.stringify(args))) },
    { name: "test_x_mcp_header", schema: MIRRORED, call: ({ region }) => content(text(`region=${region}`)) },
    { name: "test_error_handling", call: () => Promise.reject(new Error("This tool always fails.")) },
    { name: "test_trigger_tool_change", call: () => (changed("tools"), content(text("told"))) },
    { name: "test_trigger_prompt_change", call: () => (changed("prompts"), content(text("told"))) },
    {
      name: "test_logging_tool",
      async call(_, { mcpReq }) {
        await mcpReq.log("info", "for those who want it");
        return content(text("logged"));
      },
    },
    {
      name: "test_tool_with_logging",
      async call(_, { mcpReq }) {
        for (const data of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
          await mcpReq.log("info", data);
          await pause(STEP_MS);
        }
        return content(text("logged"));
      },
    },
    {
      name: "test_tool_with_progress",
      async call(_, { mcpReq }) {
        const progressToken = mcpReq._meta?.progressToken;
        for (const progress of progressToken === undefined ? [] : [0, 50, 100]) {
          await mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress, total: 100 } });
          await pause(STEP_MS);
        }
        return content(text("done"));
      },
    },
    {
      name: "test_reconnection",
      async call(_, { mcpReq }) {
        closeStream(mcpReq.id);
        await pause(2 * STEP_MS);
        return content(text("the stream was closed before this"));
      },
    },
  ];
}
