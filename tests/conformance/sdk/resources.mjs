// The resources that the suites ask for.

import { IMAGE } from "./samples.mjs";

export function resources(sdk, server) {
  const offer = (name, where, mimeType, read) =>
    server.registerResource(name, where, { mimeType }, (uri, variables) => ({
      contents: [{ uri: uri.href, mimeType, ...read(variables) }],
    }));
  const template = new sdk.ResourceTemplate("test://template/{id}/data", { list: undefined });

  offer("static-text", "test://static-text", "text/plain", () => ({ text: "This is the content of the static text resource." }));
  offer("static-binary", "test://static-binary", "image/png", () => ({ blob: IMAGE }));
  offer("watched-resource", "test://watched-resource", "text/plain", () => ({ text: "Watched." }));
  offer("template", template, "application/json", ({ id }) => ({ text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) }));
}
