// Turns the OpenAPI document of the admin API into a page to read.

import { byId, element } from "./dom.js";

function operation(path, method, { description, summary, parameters = [], requestBody, responses }) {
  const input = [
    ...parameters.map((parameter) => [parameter.name, parameter.schema, parameter.description]),
    ...Object.values(requestBody?.content ?? {}).map(({ schema }) => ["body", schema, requestBody.description]),
  ];
  const output = Object.entries(responses).map(([status, response]) => [
    status,
    Object.values(response.content ?? {})[0]?.schema,
    response.description,
  ]);
  return element("article", {},
    element("h2", {}, element("span", { class: "method" }, method.toUpperCase()), element("code", {}, path)),
    element("p", {}, ...prose([summary, description].filter(Boolean).join(" "))),
    input.length > 0 ? table(["Input", "Type", "Meaning"], input) : null,
    table(["Status", "Type", "Meaning"], output));
}

function schema(name, { description, properties = {}, required = [] }) {
  const rows = Object.entries(properties).map(([property, value]) => [
    required.includes(property) ? property : `${property}?`,
    value,
    value.description,
  ]);
  return element("article", { id: name },
    element("h3", {}, name),
    element("p", {}, ...prose(description)),
    table(["Field", "Type", "Meaning"], rows));
}

function table(heads, rows) {
  return element("div", { class: "table" },
    element("table", {},
      element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))),
      element("tbody", {}, ...rows.map(([name, type, text]) =>
        element("tr", {}, element("td", {}, element("code", {}, name)), element("td", {}, kind(type)), element("td", {}, ...prose(text)))))));
}

/** Text whose `words` are code. */
function prose(text = "") {
  return text.split("`").map((part, i) => (i % 2 === 1 ? element("code", {}, part) : part));
}

/** A schema in a few words, with a link to the object that it names. */
function kind(type) {
  if (!type) return "";
  if (type.$ref) {
    const name = type.$ref.split("/").at(-1);
    return element("a", { href: `#${name}` }, name);
  }
  const choices = type.oneOf ?? type.anyOf;
  if (choices) return kind(choices.find((choice) => choice.type !== "null") ?? choices[0]);
  if (type.type === "array") return element("span", {}, "list of ", kind(type.items));
  const name = Array.isArray(type.type) ? type.type.filter((choice) => choice !== "null").join(" or ") : (type.type ?? "any");
  return name + (type.format ? ` (${type.format})` : "");
}

async function load() {
  const response = await fetch("/api/v1/openapi.json");
  if (!response.ok) throw new Error(`the edge answered ${response.status}`);
  const { info, paths, components } = await response.json();
  byId("title").textContent = `${info.title} — admin API`;
  byId("description").textContent = info.description ?? "";
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, details] of Object.entries(methods)) {
      byId("operations").append(operation(path, method, details));
    }
  }
  for (const [name, details] of Object.entries(components?.schemas ?? {})) {
    byId("schemas").append(schema(name, details));
  }
}

load().catch((error) => (byId("description").textContent = `Not available: ${error.message}.`));
