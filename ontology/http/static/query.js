"use strict";
// The query page: an editor with colours, named queries, and the answer as a table.
const text = document.getElementById("text"), shown = document.getElementById("shown");
const answer = document.getElementById("answer"), parameters = document.getElementById("parameters");
const WORDS = new Set(("select distinct reduced ask construct describe where optional filter bind as union minus " +
  "graph values exists not in order by asc desc group having limit offset prefix base a true false " +
  "count sum min max avg sample group_concat separator if coalesce bound str lang datatype iri uri " +
  "contains strstarts strends regex lcase ucase replace concat strlen now year abs round floor ceil").split(" "));
const TOKEN = /(#[^\n]*)|("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|(<[^<>\s]*>|[\w-]*:[\w.-]*)|([?$]\w+)|([A-Za-z_]\w*)|([\s\S])/g;

function paint() {
  shown.replaceChildren();
  for (const found of text.value.matchAll(TOKEN)) {
    const kind = found[1] ? "c" : found[2] ? "s" : found[3] ? "p" : found[4] ? "v" :
      found[5] && WORDS.has(found[5].toLowerCase()) ? "k" : "";
    const piece = kind ? document.createElement("span") : document.createTextNode(found[0]);
    if (kind) { piece.className = kind; piece.textContent = found[0]; }
    shown.append(piece);
  }
  shown.append("\n");
  shown.scrollTop = text.scrollTop;
  shown.scrollLeft = text.scrollLeft;
}

let named = null;
function choose(button) {
  const names = button.dataset.parameters.split(" ").filter(Boolean);
  named = names.length ? { text: button.dataset.text, names } : null;
  text.value = button.dataset.text;
  parameters.replaceChildren();
  parameters.hidden = !names.length;
  for (const name of names) {
    const label = document.createElement("label"), input = document.createElement("input");
    input.name = name;
    input.size = 40;
    input.addEventListener("keydown", (event) => { if (event.key === "Enter") ask(); });
    label.append(name + " ", input);
    parameters.append(label);
  }
  paint();
  if (names.length) parameters.querySelector("input").focus(); else ask();
}

async function request(type) {
  if (named && named.text === text.value) {
    const given = new URLSearchParams();
    for (const input of parameters.querySelectorAll("input")) given.set(input.name, input.value);
    const all = await (await fetch("/queries")).json();
    const query = all.find((one) => one.text === named.text);
    return fetch(`/queries/${query.name}?${given}`, { headers: { Accept: type } });
  }
  return fetch("/sparql", {
    method: "POST",
    headers: { Accept: type, "Content-Type": "application/sparql-query" },
    body: text.value,
  });
}

async function ask() {
  answer.textContent = "…";
  const began = performance.now();
  try {
    const got = await request("application/sparql-results+json, text/turtle;q=0.9");
    const body = await got.text();
    const took = Math.round(performance.now() - began);
    if (!got.ok) return wrong(body);
    if (!got.headers.get("content-type").includes("json")) return plain(body);
    const found = JSON.parse(body);
    if ("boolean" in found) return plain(found.boolean ? "yes" : "no");
    table(found, took);
  } catch (error) { plain(`The server does not answer: ${error.message}`); }
}

function element(name, content, kind) {
  const made = document.createElement(name);
  if (content !== undefined) made.textContent = content;
  if (kind) made.className = kind;
  return made;
}

function plain(content) { answer.replaceChildren(element("pre", content)); }

function wrong(body) {
  let told = { title: "The query failed", detail: body };
  try { told = JSON.parse(body); } catch { /* not a problem document: shown as it is */ }
  const box = element("div", undefined, "wrong");
  box.append(element("b", told.title), element("pre", told.detail || ""));
  if (told.hint) box.append(element("p", `Try: ${told.hint}`));
  answer.replaceChildren(box);
}

function shorten(iri) {
  if (iri.startsWith("urn:sha256:")) return iri.slice(11, 23);
  if (iri.startsWith("urn:tinyfleet:")) return iri.slice(14).replaceAll(":", "/");
  return iri;
}

function cell(term) {
  const made = element("td");
  if (!term) return made;
  if (term.type !== "uri") {
    made.textContent = term.value;
    if (/#(integer|double|decimal|float)$/.test(term.datatype || "")) made.className = "n";
    return made;
  }
  const path = term.value.startsWith("urn:sha256:") && !term.value.includes("#") ? "/models/" + term.value.slice(11)
    : /^urn:tinyfleet:[^:#]+:[^:#]+$/.test(term.value) ? "/devices/" + term.value : null;
  const inner = element(path ? "a" : "span", shorten(term.value));
  inner.title = term.value;
  if (path) inner.href = path;
  made.append(inner);
  return made;
}

function table(found, took) {
  const rows = found.results.bindings, names = found.head.vars;
  const made = element("table"), head = element("tr");
  for (const name of names) head.append(element("th", name));
  made.append(head);
  for (const row of rows.slice(0, 1000)) {
    const line = element("tr");
    for (const name of names) line.append(cell(row[name]));
    made.append(line);
  }
  const said = `${rows.length} rows in ${took} ms` + (rows.length > 1000 ? "; the first 1000 are shown" : "");
  answer.replaceChildren(element("p", said, "dim"), made);
}

async function download(button) {
  const got = await request(button.dataset.type);
  const body = await got.text();
  if (!got.ok) return wrong(body);
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([body], { type: button.dataset.type }));
  link.download = `answer.${button.dataset.name}`;
  link.click();
  URL.revokeObjectURL(link.href);
}

text.addEventListener("input", paint);
text.addEventListener("scroll", paint);
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); ask(); }
});
document.getElementById("ask").addEventListener("click", ask);
for (const button of document.querySelectorAll(".named button")) button.addEventListener("click", () => choose(button));
for (const button of document.querySelectorAll(".formats button")) button.addEventListener("click", () => download(button));
const given = new URLSearchParams(location.hash.slice(1)).get("query");
if (given) text.value = given;
paint();
