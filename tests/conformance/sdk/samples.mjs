// An image of one pixel and a sound without any.

export const IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/q842iQAAAABJRU5ErkJggg==";
export const SOUND = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";

export const text = (text) => ({ type: "text", text });
export const image = { type: "image", data: IMAGE, mimeType: "image/png" };
export const embedded = (uri, body) => ({ type: "resource", resource: { uri, ...body } });
