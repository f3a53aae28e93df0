// Cards and pictures

const MOST_CELLS = 16; // pictures on a card; the open record shows all
const BLANK = "blank";
const TO_PREDICT = "no answer: to be predicted";
const UNREAD = "too long to be shown, or gone since";

function card(record, width, height) {
  const bare = !record.images.length;
  const spoken = { role: "button", "aria-haspopup": "dialog", "aria-label": spokenName(record) };
  const node = el("div", { class: bare && height ? "card wordy" : "card", ...spoken });
  if (bare) node.style.setProperty("--answer-lines", sheet.answerLines + Math.floor(height / (LINE * rem())));
  else node.append(media(record, width, height));
  node.append(texts(record), meta(record));
  return node;
}

function media(record, width, height) {
  const shown = record.images.slice(0, record.images.length > MOST_CELLS ? MOST_CELLS - 1 : MOST_CELLS);
  const aspects = shown.map((_, index) => aspectOf(record, index));
  const hidden = record.images.length - shown.length + (record.images_cut ?? 0);
  if (hidden) aspects.push(aspects[0]);
  const tall = Math.min(cellHeight(aspects, width, height), 2.4 * (record.strip?.h ?? height));
  const node = el("div", { class: "media" }, ...shown.map((_, index) => cell(record, index, tall)));
  const more = el("div", { class: "cell" }, el("span", { class: "more" }, `+${number(hidden)}`));
  if (hidden) node.append(sized(more, aspects[0] * tall, tall));
  node.style.height = `${height}px`;
  return node;
}

function aspectOf(record, index) {
  const image = record.images[index];
  if (image.cw && record.strip) return image.cw / record.strip.h;
  return image.w && image.h ? clamp(image.w / image.h, 0.5, 2.5) : 4 / 3;
}

/** The largest height at which cells of these aspects, wrapped like words, fit into a box. */
function cellHeight(aspects, width, height) {
  for (let tall = Math.min(height, width / Math.max(...aspects)); tall > 8; tall *= 0.99) {
    let [rows, used] = [1, -2];
    for (const aspect of aspects) {
      used += aspect * tall + 2;
      if (used > width) [rows, used] = [rows + 1, aspect * tall];
    }
    if (rows * (tall + 2) - 2 <= height) return tall;
  }
  return 8;
}

function sized(node, width, height) {
  node.style.width = `${width}px`;
  node.style.height = `${height}px`;
  return node;
}

/** One image cut out of its record's strip, or what is wrong with it. */
function cell(record, index, height, alt = "") {
  const image = record.images[index];
  const url = image.cw && record.strip ? stripUrl(record) : null;
  const width = aspectOf(record, index) * height;
  const node = sized(el("div", { class: image.fault && url ? "cell flawed" : "cell" }), width, height);
  if (url) {
    const picture = el("img", { src: url, alt, draggable: "false", decoding: "async" });
    const scale = width / (image.cw - 1); // half a pixel less on both sides: none of the neighbours shows
    sized(picture, record.strip.w * scale, height).style.left = `${-(image.x + 0.5) * scale}px`;
    node.append(picture);
  }
  if (image.fault || !url) {
    const fault = image.fault ?? "no picture";
    const words = !alt && width > 84 ? worded("span", "", fault) : null;
    node.append(el("div", { class: "fault", title: fault }, url && words ? null : icon("broken"), words));
  }
  return node;
}

function texts(record) {
  const [, answer] = firstExchange(record);
  const node = el("div", { class: "texts" });
  if (record.turns) {
    node.append(beginning("question", ownWords(record), BLANK));
    node.append(beginning("answer", answer ?? "", answer === undefined ? TO_PREDICT : BLANK));
  } else node.append(beginning("raw", record.raw, UNREAD));
  const [found] = record.findings;
  if (found && isReport()) node.append(beginning(`report ${severity(found.code)}`, found.message, ""));
  return node;
}

/** The beginning of a text, or what is said where it is blank. */
function beginning(kind, text, instead) {
  if (!text.trim()) return el("div", { class: `clamp ${kind} none` }, instead);
  return worded("div", `clamp ${kind}`, text.length > LOOKED_AT ? `${text.slice(0, LOOKED_AT)}…` : text);
}

function firstExchange(record) {
  const turn = record.turns?.[0];
  return turn ? [turn.user, turn.assistant ?? turn.answers?.[0]] : [record.raw ?? "", undefined];
}

function meta(record) {
  const found = codesOf(record);
  const turns = record.turns?.length > 1 ? counted(record.turns.length, "turn") : "";
  const parts = [splitName(record), className(record), turns, record.turns ? tokensOf(record) : "no record"];
  const node = el("div", { class: "meta" }, worded("span", "facts", joined(parts)), ...found.slice(0, 3).map(badge));
  if (found.length > 3) node.append(el("span", {}, `+${found.length - 3}`));
  return node;
}

function tokensOf(record) {
  return `${facts.tokens === "estimated" ? "about " : ""}${counted(record.tokens, "token")}`;
}

function spokenName(record) {
  const [, answer] = firstExchange(record);
  const parts = [title(record), splitName(record), counted(imagesOf(record), "image"), ownWords(record).slice(0, 160)];
  if (answer) parts.push(`Answer: ${answer.slice(0, 160)}`);
  if (record.findings.length) parts.push(`${counted(record.findings.length, "finding")}: ${codesOf(record).join(", ")}`);
  return parts.filter(Boolean).map((part) => (/\p{P}$/u.test(part) ? part : `${part}.`)).join(" ");
}
