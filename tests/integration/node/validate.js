// Reads an AsyncAPI document from standard input: node validate.js FOLDER_WITH_NODE_MODULES
// Prints {"diagnostics": [...], "operations": [...], "messages": [...]}: what the parser complains of, and what it found.
const path = require("node:path");
const modules = path.resolve(process.argv[2], "node_modules");
const { Parser } = require(path.join(modules, "@asyncapi/parser"));
const { AvroSchemaParser } = require(path.join(modules, "@asyncapi/avro-schema-parser"));

async function main() {
  let text = "";
  for await (const chunk of process.stdin) text += chunk;
  const parser = new Parser();
  parser.registerSchemaParser(AvroSchemaParser());
  const { document, diagnostics } = await parser.parse(text);
  const complaints = diagnostics.map(({ code, message, path, severity }) => ({ code, message, path, severity }));
  const operations = document ? document.operations().all().map((each) => `${each.action()} ${each.id()}`) : [];
  const messages = document ? document.messages().all().map((each) => `${each.name()}: ${each.payload()?.type()}`) : [];
  console.log(JSON.stringify({ diagnostics: complaints, operations, messages }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
