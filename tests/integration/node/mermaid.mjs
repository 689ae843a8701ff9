// Reads a list of Mermaid diagrams, as JSON, from standard input: node mermaid.mjs FOLDER_WITH_NODE_MODULES
// Prints a list: {"error": "..."}, or {"type": "...", "texts": [...]}: what each diagram is, and the texts that it shows.
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const modules = path.resolve(process.argv[2], "node_modules");
const { JSDOM } = createRequire(path.join(modules, "index.js"))("jsdom");
const { window } = new JSDOM("");
globalThis.window = window;
globalThis.document = window.document;
const { default: mermaid } = await import(pathToFileURL(path.join(modules, "mermaid/dist/mermaid.core.mjs")));

// Entities are kept aside while a diagram is read.
const decoded = (text) => String(text).replace(/ﬂ°°(\d+)¶ß/g, (_, code) => String.fromCodePoint(Number(code)));

function textsOf(type, db) {
  switch (type) {
    case "sequence":
      return [...db.getActors().values()].map(({ description }) => description).concat(db.getMessages().map(({ message }) => message));
    case "stateDiagram": {
      const within = (document) =>
        document.flatMap(({ description, doc }) => [...(description ? [description] : []), ...(doc ? within(doc) : [])]);
      return within(db.getRootDocV2().doc);
    }
    default:
      return [...db.getVertices().values(), ...db.getEdges()].map(({ text }) => text);
  }
}

async function read(text) {
  try {
    await mermaid.parse(text);
    const diagram = await mermaid.mermaidAPI.getDiagramFromText(text);
    return { type: diagram.type, texts: textsOf(diagram.type, diagram.db).map(decoded) };
  } catch (error) {
    return { error: String(error.message) };
  }
}

let input = "";
for await (const chunk of process.stdin) input += chunk;
const answers = [];
for (const text of JSON.parse(input)) answers.push(await read(text));
console.log(JSON.stringify(answers));
