// Small helpers: everything from the data goes through text nodes and attributes, never through markup

function byId(id) {
  return document.getElementById(id);
}

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "click") node.addEventListener("click", value);
    else if (value !== undefined && value !== null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** A node that holds a text of the data, running in the text's own direction. */
function worded(tag, kind, text) {
  return el(tag, { class: kind, dir: "auto" }, text);
}

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const icon = (name) => svg("svg", { "aria-hidden": "true" }, svg("use", { href: `#icon-${name}` }));
const number = (value) => value.toLocaleString("en-US");
const counted = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
const pause = () => new Promise((resume) => setTimeout(resume));
const splitName = (record) => facts.splits[record.split]?.name ?? "";
const className = (record) => facts.classes[record.class]?.name;
const imagesOf = (record) => record.images.length + (record.images_cut ?? 0);
const place = (record) => `${record.file}:${record.line}`;
const title = (record) => record.id ?? `${place(record)}, without an id`;
const joined = (parts) => parts.filter(Boolean).join(" · ");
const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
const breadth = (text) => text.length + (text.match(/[\u2e80-\ud7ff\uf900-\uffef]/g)?.length ?? 0); // in Latin letters
const severity = (code) => codes.get(code)?.severity ?? (code.startsWith("W") ? "warning" : "error");

function badge(code) {
  return el("span", { class: `badge ${severity(code)}`, title: codes.get(code)?.slug }, code);
}

function codesOf(record) {
  return [...new Set(record.findings.map((finding) => finding.code))];
}
