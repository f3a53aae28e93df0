// State: what is asked for, kept in the address so that Back works and a view can be shared

const NOTHING = { q: "", splits: [], class: "", having: "", codes: [], tokens: "", sizes: "", open: "" };
const START = { ...NOTHING, having: facts.filter === "findings" ? "with" : "" };
let state = START;

function readAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const having = asked.get("findings") ?? START.having;
  return {
    q: asked.get("q") ?? "", splits: asked.getAll("split"), class: asked.get("class") ?? "",
    having: having === "all" ? "" : having, codes: asked.getAll("code"),
    tokens: ranged(asked.get("tokens")), sizes: ranged(asked.get("side")), open: asked.get("record") ?? "",
  };
}

function address(wanted) {
  const pairs = [
    ["q", wanted.q], ...wanted.splits.map((name) => ["split", name]), ["class", wanted.class],
    ["findings", wanted.having === START.having ? "" : wanted.having || "all"],
    ...wanted.codes.map((code) => ["code", code]), ["tokens", wanted.tokens], ["side", wanted.sizes], ["record", wanted.open],
  ];
  const asked = new URLSearchParams(pairs.filter(([name, value]) => value || name === "split")).toString();
  return `#${asked || "records"}`; // an empty one would scroll to the top
}

function change(patch, { step = true } = {}) {
  const wanted = address({ ...state, ...patch });
  if (wanted === address(state)) return;
  if (step) location.hash = wanted;
  else location.replace(wanted);
  follow();
}

function follow() {
  const before = state;
  state = readAddress();
  if (address({ ...state, open: "" }) !== address({ ...before, open: "" })) {
    showFilters();
    if (loaded) refilter({ toTop: true });
  }
  if (loaded && state.open !== before.open) showDetail();
}

const toggled = (list, value) => (list.includes(value) ? list.filter((other) => other !== value) : [...list, value]);

const ranged = (text) => (range(text ?? "") ? text : "");

/** The values from "low-high", the latter not among them; null where that is not asked for. */
function range(text) {
  const [low, high] = text.split("-").map(Number);
  return high > low ? { low, high, has: (value) => value >= low && value < high } : null;
}

function span(text, unit) {
  const { low, high } = range(text);
  return `${number(low)}${high - 1 > low ? ` to ${number(high - 1)}` : ""} ${unit}`;
}
