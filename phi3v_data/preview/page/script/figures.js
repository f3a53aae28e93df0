// Figures: histograms whose bars are filters

const MOST_BARS = 14;

/** Edges of at most MOST_BARS bins that a person would choose: even steps, or growing ones where a few values are far out. */
function edgesOf(sorted) {
  const [low, high, middle] = [sorted[0], sorted.at(-1), sorted[sorted.length >> 1]];
  const nice = [1, 2, 5].flatMap((digit) => [...Array(12).keys()].map((power) => digit * 10 ** power)).sort((a, b) => a - b);
  if (high <= 8 * Math.max(1, middle)) {
    const step = nice.find((size) => Math.floor(high / size) - Math.floor(low / size) < MOST_BARS);
    const start = Math.floor(low / step) * step;
    return Array.from({ length: Math.floor((high - start) / step) + 2 }, (_, index) => start + index * step);
  }
  const from = nice.findLast((edge) => edge <= low) ?? 0;
  const edges = [from, ...nice.filter((edge) => edge > from && edge <= high), nice.find((edge) => edge > high)];
  return edges.length > MOST_BARS + 2 ? edges.filter((_, index) => index % 2 === 0 || index === edges.length - 1) : edges;
}

function figure(id, key, noun, unit, values, summary) {
  const self = { values, edges: [], counts: [], bars: [], found: [] };
  const home = byId(id);
  const label = { "aria-labelledby": `${id}-title` };
  const plot = svg("svg", { class: "plot", viewBox: "0 0 280 80", preserveAspectRatio: "none", role: "group", ...label });
  const caption = el("p", { class: "caption" });
  const table = el("tbody");
  const choice = (index) => `${self.edges[index]}-${self.edges[index + 1]}`;
  const words = (index) => `${span(choice(index), unit)}: ${counted(self.counts[index], noun)}`;
  const choose = (index) => change({ [key]: state[key] === choice(index) ? "" : choice(index) });
  const tell = (index) => { caption.textContent = index === null ? summary(self.found) : words(index); };

  self.build = () => {
    const all = Float64Array.from(records.flatMap(values)).sort();
    home.hidden = !all.length;
    if (!all.length) return;
    self.edges = edgesOf(all);
    const wide = 280 / (self.edges.length - 1);
    const thick = Math.min(wide - 2, 40);
    self.bars = self.edges.slice(0, -1).map((_, index) => {
      const hit = svg("rect", { class: "hit", x: index * wide, y: 0, width: wide, height: 80 });
      const fill = svg("rect", { class: "fill", x: index * wide + (wide - thick) / 2, width: thick, rx: 1.5 });
      const bar = svg("g", { role: "button", tabindex: index ? -1 : 0 }, svg("title"), hit, fill);
      bar.addEventListener("click", () => choose(index));
      for (const event of ["focus", "pointerenter"]) bar.addEventListener(event, () => tell(index));
      for (const event of ["blur", "pointerleave"]) bar.addEventListener(event, () => tell(null));
      bar.addEventListener("keydown", (event) => self.keydown(event, index));
      return bar;
    });
    plot.replaceChildren(...self.bars);
    self.limit(wide);
    const ends = [...new Set([self.edges[0], self.edges.at(-1) - 1])].map((edge) => el("span", {}, number(edge)));
    const head = [unit, `${noun}s`].map((name) => el("th", { scope: "col" }, name));
    const whole = el("table", label, el("thead", {}, el("tr", {}, ...head)), table);
    home.append(plot, el("div", { class: "ends", "aria-hidden": "true" }, ...ends), caption, el("div", { class: "hidden" }, whole));
  };

  self.limit = (wide) => {
    const bin = self.edges.findLastIndex((edge) => edge <= facts.max_length);
    if (key !== "tokens" || bin < 0 || bin >= self.edges.length - 1) return;
    const x = (bin + (facts.max_length - self.edges[bin]) / (self.edges[bin + 1] - self.edges[bin])) * wide;
    const name = svg("title", {}, `the longest allowed: ${number(facts.max_length)}`);
    plot.append(svg("line", { class: "limit", x1: x, x2: x, y1: 0, y2: 80 }, name));
  };

  self.keydown = (event, index) => {
    const to = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: self.bars.length - 1 }[event.key];
    if (to !== undefined) {
      self.bars.forEach((bar, at) => bar.setAttribute("tabindex", at === clamp(to, 0, self.bars.length - 1) ? 0 : -1));
      self.bars[clamp(to, 0, self.bars.length - 1)].focus();
    } else if (event.key === "Enter" || event.key === " ") choose(index);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  self.clear = () => {
    self.counts = self.edges.slice(0, -1).map(() => 0);
    self.found = [];
  };

  self.add = (record) => {
    for (const value of values(record)) {
      const bin = self.edges.findLastIndex((edge) => edge <= value);
      if (bin >= 0) self.counts[bin]++;
      self.found.push(value);
    }
  };

  self.draw = () => {
    const most = Math.max(1, ...self.counts);
    self.found = Float64Array.from(self.found).sort();
    plot.classList.toggle("chosen", Boolean(state[key]));
    self.bars.forEach((bar, index) => {
      const tall = self.counts[index] && Math.max(2, (78 * self.counts[index]) / most);
      bar.lastChild.setAttribute("y", 80 - tall);
      bar.lastChild.setAttribute("height", tall);
      bar.firstChild.textContent = words(index);
      bar.setAttribute("aria-label", words(index));
      bar.setAttribute("aria-pressed", state[key] === choice(index));
    });
    table.replaceChildren(...self.counts.map((count, index) =>
      el("tr", {}, el("th", { scope: "row" }, span(choice(index), unit)), el("td", {}, number(count)))));
    tell(null);
  };
  return self;
}

const median = (sorted) => `Median ${number(sorted[sorted.length >> 1])}`;

function tokensSummary(found) {
  if (!found.length) return "None are left";
  const over = found.filter((tokens) => tokens > facts.max_length).length;
  const kind = facts.tokens === "estimated" ? ", texts estimated" : "";
  const beyond = over ? `; ${number(over)} over ${number(facts.max_length)}` : "";
  return `${median(found)}, longest ${number(found.at(-1))}${kind}${beyond}`;
}

function sizesSummary(found) {
  if (!found.length) return "None are left";
  if (found[0] === found.at(-1)) return `All have ${number(found[0])} pixels`;
  return `${median(found)}, from ${number(found[0])} to ${number(found.at(-1))} pixels`;
}

const sides = (record) => record.images.map((image) => Math.max(image.w, image.h)).filter(Boolean);
const figures = [
  figure("tokens", "tokens", "record", "tokens", (record) => (record.turns ? [record.tokens] : []), tokensSummary),
  figure("sizes", "sizes", "image", "pixels", sides, sizesSummary),
];
