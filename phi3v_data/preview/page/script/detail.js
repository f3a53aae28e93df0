// One record, whole

let opened = false; // whether this page put the open record into the history, so that closing may step back

function open(record) {
  opened = true;
  change({ open: String(record.i) });
}

function closed() {
  if (byId("detail").open || state.open === "") return; // browsers say it late, when a record may be open again
  if (opened) history.back();
  else change({ open: "" }, { step: false });
}

let shown = null;

function showDetail() {
  const dialog = byId("detail");
  const record = state.open === "" ? undefined : records[Number(state.open)];
  if (!record) {
    opened = false;
    if (dialog.open) dialog.close();
    const at = sheet.list.indexOf(shown);
    if (shown && at >= 0) sheet.focus(at);
    shown = null;
    return;
  }
  shown = record;
  const at = sheet.list.indexOf(record);
  byId("detail-title").textContent = title(record);
  const standing = at < 0 ? "outside the filters" : `${number(at + 1)} of ${number(sheet.list.length)}`;
  byId("detail-place").textContent = joined([standing, splitName(record)]);
  byId("previous").disabled = at <= 0;
  byId("next").disabled = at < 0 || at >= sheet.list.length - 1;
  const found = el("section", { class: "found", "aria-label": "Findings" }, ...record.findings.map(findingNode));
  found.hidden = !record.findings.length;
  byId("detail-body").replaceChildren(found, conversation(record), about(record));
  byId("detail-body").scrollTop = 0;
  if (dialog.open) return;
  dialog.showModal();
  byId("detail-body").focus();
}

function step(by) {
  const to = sheet.list[sheet.list.indexOf(shown) + by];
  if (to && sheet.list.includes(shown)) change({ open: String(to.i) }, { step: false });
}

function findingNode(finding) {
  const hint = finding.hint ?? codes.get(finding.code)?.hint;
  const where = finding.file ? `${finding.file}${finding.line ? `:${finding.line}` : ""}` : finding.pointer;
  return el("div", { class: "finding" }, badge(finding.code), worded("span", "", finding.message),
    where ? el("span", { class: "where mono" }, where) : null, hint ? el("span", { class: "hint" }, hint) : null);
}

function said(label, text, kind = "") {
  const words = text.trim() ? worded("div", "said", text) : el("div", { class: "none" }, BLANK);
  return el("div", { class: `block ${kind}` }, el("h3", {}, label), words);
}

function conversation(record) {
  const node = el("div", { class: "conversation" });
  if (record.system) node.append(said("System", record.system));
  if (record.raw) node.append(el("h3", {}, "This line is no record; it begins"), worded("div", "raw", record.raw));
  else if (!record.turns) node.append(el("p", { class: "soft" }, `This line is ${UNREAD}.`));
  let first = 0;
  for (const turn of record.turns ?? []) {
    const last = turn === record.turns.at(-1) ? record.images.length : first + turn.images;
    node.append(turnNode(record, turn, first, Math.min(last, record.images.length)));
    first = last;
  }
  const remark = (text) => node.append(el("p", { class: "soft" }, text));
  if (record.images_cut) remark(`${counted(record.images_cut, "more image")} not shown on this page.`);
  if (record.cut) remark(`${counted(record.cut, "character")} of the texts left out of this page.`);
  return node;
}

function turnNode(record, turn, first, last) {
  const node = el("section", { class: "turn" });
  if (last > first) node.append(...frames(record, first, last));
  node.append(said("User", turn.user));
  if (turn.assistant !== undefined) node.append(said("Assistant", turn.assistant, "reply"));
  else node.append(el("p", { class: "block none" }, TO_PREDICT));
  if (turn.answers?.length) node.append(said("Accepted answers", turn.answers.join("\n")));
  return node;
}

/** A turn's images with their paths; a folder that several share is said once. */
function frames(record, first, last) {
  const paths = record.images.slice(first, last).map((image) => image.path);
  const folder = paths[0].slice(0, paths[0].lastIndexOf("/") + 1);
  const shared = paths.length > 1 && folder && paths.every((path) => path.startsWith(folder)) ? folder : "";
  const list = el("div", { class: "frames" });
  const sharp = record.strip?.h ?? 96;
  const room = Math.min(innerWidth - 40, 780);
  const inRow = paths.length < 3 ? paths.length : innerWidth < 600 ? 2 : 4;
  const height = Math.min(sharp > 96 ? sharp : 2 * sharp, Math.max(96, (room / inRow - 12) / aspectOf(record, first)));
  for (let index = first; index < last; index++) {
    const image = record.images[index];
    const tall = Math.min(height, room / aspectOf(record, index));
    const caption = el("figcaption", {}, worded("span", "mono", image.path.slice(shared.length)));
    if (image.w) caption.append(el("br"), `${number(image.w)} × ${number(image.h)}`);
    if (image.fault) caption.append(el("br"), el("span", { class: "wrong" }, image.fault));
    const figure = el("figure", {}, cell(record, index, tall, image.path), caption);
    figure.style.width = `${Math.max(96, aspectOf(record, index) * tall)}px`;
    list.append(figure);
  }
  return shared ? [el("p", { class: "folder" }, "in ", worded("span", "mono", shared)), list] : [list];
}

function about(record) {
  const list = el("dl", { class: "about" });
  const add = (name, ...content) => list.append(el("dt", {}, name), el("dd", { dir: "auto" }, ...content));
  const copy = el("button", { type: "button", class: "button", click: copyPlace }, "Copy file:line");
  add("Line", el("span", { class: "mono", id: "place" }, place(record)), el("br"), copy);
  if (record.turns) add("Tokens", tokensOf(record));
  const named = { Class: className(record), Group: record.group, Source: record.source };
  for (const [name, value] of Object.entries(named)) if (value) add(name, value);
  if (record.metadata) add("Metadata", el("pre", { tabindex: 0, "aria-label": "Metadata", role: "region" }, record.metadata));
  return list;
}

async function copyPlace(event) {
  const button = event.currentTarget;
  try {
    await navigator.clipboard.writeText(byId("place").textContent);
  } catch { // browsers that keep the clipboard from files
    getSelection().selectAllChildren(byId("place"));
    document.execCommand("copy");
  }
  button.textContent = "Copied";
}
