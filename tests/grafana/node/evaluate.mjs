// Reads {"document": …, "fields": [{"name", "language", "jsonPath"}]} from the standard input, and prints what each
// field's expression finds in the document, the way the JSON API data source asks its two parsers.
import { readFileSync } from "node:fs";
import { JSONPath } from "jsonpath-plus";
import jsonata from "jsonata";

const { document, fields } = JSON.parse(readFileSync(0, "utf8"));
const found = {};
for (const { name, language, jsonPath } of fields) {
  const value =
    language === "jsonata"
      ? await jsonata(jsonPath).evaluate(document)
      : JSONPath({ path: jsonPath, json: document, preventEval: true });
  found[name] = Array.isArray(value) ? [...value] : [value];
}
console.log(JSON.stringify(found));
