// Filters: made once, then only marked

const marks = []; // functions that show the state on a control

function pressable(attributes, label, count, isOn, click) {
  const node = el("button", { type: "button", ...attributes, click }, ...label, count);
  marks.push(() => node.setAttribute("aria-pressed", isOn()));
  return node;
}

function makeFilters() {
  byId("splits").append(...facts.splits.map((split) => {
    const name = worded("span", "", split.name || "no name");
    return pressable({ class: "chip" }, [name], el("span", { class: "count" }, number(split.shown)),
      () => state.splits.includes(split.name), () => change({ splits: toggled(state.splits, split.name) }));
  }));
  byId("classes").hidden = !facts.classes.length;
  byId("class").append(el("option", { value: "" }, `All classes (${number(facts.classes.length)})`),
    ...facts.classes.map((one) => el("option", { value: one.name }, `${one.name} (${number(one.records)})`)));
  byId("class").addEventListener("change", (event) => change({ class: event.target.value }));
  byId("findings").hidden = !facts.findings;
  byId("having").append(...[["", "All"], ["with", "With"], ["without", "Without"]].map(([value, label]) =>
    pressable({}, [label], null, () => state.having === value, () => change({ having: value }))));
  if (facts.findings && !codes.size) byId("findings").append(el("p", { class: "clean" }, "Nothing found: the data are clean."));
}

/** The kinds of findings, with how many of the records shown have them: known once all are read. */
function makeCodes() {
  const having = new Map();
  for (const record of records) for (const code of codesOf(record)) having.set(code, (having.get(code) ?? 0) + 1);
  byId("codes").append(...[...codes.values()].map((code) => {
    const count = having.get(code.code) ?? 0;
    const attributes = { class: "code", title: `${counted(code.count, "finding")} in the dataset. ${code.hint}` };
    if (!count) attributes.disabled = "";
    const label = [badge(code.code), el("span", {}, code.slug.replaceAll("-", " "))];
    return pressable(attributes, label, el("span", { class: "count" }, count ? number(count) : "general"),
      () => state.codes.includes(code.code), () => change({ codes: toggled(state.codes, code.code) }));
  }));
}

function showFilters() {
  for (const mark of marks) mark();
  byId("class").value = state.class;
  if (byId("search").value.trim() !== state.q) byId("search").value = state.q;
  const active = [
    ...(state.q ? [[`“${state.q}”`, { q: "" }]] : []),
    ...state.splits.map((name) => [name || "no name", { splits: toggled(state.splits, name) }]),
    ...(state.class ? [[state.class, { class: "" }]] : []),
    ...(state.having ? [[`${state.having} findings`, { having: "" }]] : []),
    ...state.codes.map((code) => [code, { codes: toggled(state.codes, code) }]),
    ...(state.tokens ? [[span(state.tokens, "tokens"), { tokens: "" }]] : []),
    ...(state.sizes ? [[`longer side ${span(state.sizes, "pixels")}`, { sizes: "" }]] : []),
  ];
  byId("active").hidden = !active.length;
  byId("active").replaceChildren(...active.map(([label, patch]) => removable(label, patch)));
  if (active.length > 1) byId("active").append(el("button", { type: "button", class: "plain", click: clearAll }, "Clear all"));
}

function removable(label, patch) {
  const click = () => {
    change(patch);
    byId("search").focus({ preventScroll: true });
  };
  const attributes = { type: "button", class: "chip", "aria-label": `Remove the filter ${label}`, click };
  return el("button", attributes, worded("span", "", label), icon("close"));
}

function clearAll() {
  change({ ...NOTHING, open: state.open });
  byId("search").focus({ preventScroll: true });
}

function showCount(found) {
  const all = counted(facts.shown, "record");
  byId("status").textContent = !loaded ? "Loading…" : found === records.length ? all : `${number(found)} of ${all}`;
  const [big, small] = byId("empty").querySelectorAll("p");
  [big.textContent, small.textContent] = emptyWords();
  byId("empty").querySelector("button").hidden = byId("active").hidden || !records.length;
}

function emptyWords() {
  if (!records.length) return ["There are no records here.", "The files hold no line to show."];
  if (state.having === "with" && !records.some((record) => record.findings.length)) {
    return ["No record has findings.", "What was found, if anything, is about the dataset as a whole."];
  }
  const how = "Every word must occur in a record's texts, id, paths or class; case and accents do not count.";
  return ["No record matches.", state.q ? how : "No record passes all the filters at once."];
}
