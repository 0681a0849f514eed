// The prompts that the suites ask for.

import { embedded, image, text } from "./samples.mjs";

const said = (...contents) => ({ messages: contents.map((content) => ({ role: "user", content })) });

export function prompts(sdk, server) {
  const takes = (...names) =>
    sdk.fromJsonSchema({
      type: "object",
      properties: Object.fromEntries(names.map((name) => [name, { type: "string", description: `The ${name}` }])),
      required: names,
    });
  const offer = (name, args, say) =>
    server.registerPrompt(name, { description: `For the conformance suites: ${name}`, ...(args && { argsSchema: args }) }, say);

  offer("test_simple_prompt", null, () => said(text("This is a simple prompt for testing.")));
  offer("test_prompt_with_arguments", takes("arg1", "arg2"), ({ arg1, arg2 }) =>
    said(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)),
  );
  offer("test_prompt_with_embedded_resource", takes("resourceUri"), ({ resourceUri }) =>
    said(embedded(resourceUri, { mimeType: "text/plain", text: "Embedded." }), text("What does the resource say?")),
  );
  offer("test_prompt_with_image", null, () => said(image, text("What does the image show?")));
  offer("test_input_required_result_prompt", null, ({ mcpReq }) => {
    const answer = sdk.acceptedContent(mcpReq.inputResponses, "user_context");
    if (typeof answer?.context === "string") return said(text(`In the context of ${answer.context}`));
    const requestedSchema = { type: "object", properties: { context: { type: "string" } }, required: ["context"] };
    const user_context = sdk.inputRequired.elicit({ message: "In which context?", requestedSchema });
    return sdk.inputRequired({ inputRequests: { user_context } });
  });
}
