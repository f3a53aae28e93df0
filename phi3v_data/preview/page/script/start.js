// Head, foot, theme, keys

function showHead() {
  byId("title").textContent = facts.title;
  byId("notes").hidden = !facts.notes.length;
  byId("notes").append(...facts.notes.map((note) => el("li", { dir: "auto" }, note)));
  byId("foot").append("Made by ", facts.made_by, " from ", worded("span", "mono", facts.data));
  const general = facts.findings?.general ?? [];
  byId("general").hidden = !general.length;
  byId("general").querySelector("ul").append(...general.map((finding) => el("li", {}, findingNode(finding))));
}

function showSummary() {
  const counts = [counted(facts.records, "record")];
  if (!facts.sampled) counts.push(counted(records.reduce((sum, record) => sum + imagesOf(record), 0), "image"));
  counts.push(counted(facts.splits.length, "split"));
  byId("summary").textContent = counts.join(" · ");
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  byId("theme").setAttribute("aria-pressed", name === "dark");
  try {
    localStorage.setItem("phi3v-theme", name);
  } catch { /* a file may not be allowed to remember */ }
}

function startTheme() {
  let kept = null;
  try {
    kept = localStorage.getItem("phi3v-theme");
  } catch { /* as above */ }
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
  if (kept) setTheme(kept);
  byId("theme").setAttribute("aria-pressed", isDark());
  dark.addEventListener("change", () => byId("theme").setAttribute("aria-pressed", isDark()));
  byId("theme").addEventListener("click", () => setTheme(isDark() ? "light" : "dark"));
}

function keydown(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (byId("detail").open) {
    if (event.target.closest("pre")) return;
    if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "ArrowRight") step(1);
    return;
  }
  if (byId("keys").open || event.target.matches("input, select")) return;
  if (event.key === "/") byId("search").select();
  else if (event.key === "?") byId("keys").showModal();
  else return;
  event.preventDefault();
}

function listen() {
  let waiting = 0;
  byId("search").addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => change({ q: event.target.value.trim() }, { step: !state.q }), 120);
  });
  byId("search").addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.target.value = "";
    change({ q: "" });
  });
  let painting = 0;
  const paint = () => {
    painting = 0;
    sheet.paint();
  };
  addEventListener("scroll", () => { painting ||= requestAnimationFrame(paint); }, { passive: true });
  new ResizeObserver(() => sheet.node.clientWidth !== sheet.room && sheet.measure()).observe(sheet.node);
  addEventListener("beforeprint", () => sheet.print(true));
  addEventListener("afterprint", () => sheet.print(false));
  addEventListener("hashchange", follow);
  addEventListener("keydown", keydown);
  sheet.node.addEventListener("keydown", (event) => sheet.keydown(event));
  sheet.node.addEventListener("click", (event) => event.target.closest(".item") && open(event.target.closest(".item").record));
  sheet.node.addEventListener("focusin", (event) => { sheet.active = sheet.positionOf(event.target.closest(".item")); });
  byId("skip").addEventListener("click", () => sheet.focus(sheet.active));
  byId("help").addEventListener("click", () => byId("keys").showModal());
  byId("keys-close").addEventListener("click", () => byId("keys").close());
  byId("empty").querySelector("button").addEventListener("click", clearAll);
  byId("close").addEventListener("click", () => byId("detail").close());
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("detail").addEventListener("close", closed);
  byId("detail").addEventListener("click", (event) => event.target === byId("detail") && byId("detail").close());
  const narrow = matchMedia("(max-width: 860px)");
  const fit = () => { byId("panel").open = !narrow.matches; };
  narrow.addEventListener("change", fit);
  fit();
}

async function start() {
  state = readAddress();
  startTheme();
  showHead();
  makeFilters();
  showFilters();
  listen();
  await load();
  markBeginnings();
  makeCodes();
  showFilters();
  showSummary();
  for (const figure of figures) figure.build();
  sheet.measure();
  await refilter();
  if (state.open !== "") showDetail();
  prepareSearch();
}

start();
