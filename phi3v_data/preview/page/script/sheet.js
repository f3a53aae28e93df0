// The contact sheet: only the cards near the window are in the document

const GAP = 16; // pixels between cards
const LINE = 1.4; // rem
const MOST_LINES = 3; // of a question, and of an answer
const MOST_PRINTED = 200;
const PAPER = 660; // pixels across that fit on every common paper

const sheet = {
  node: byId("sheet"), list: [], cards: new Map(), columns: 1, width: 0, media: 0, height: 0, room: 0, active: 0,
  answerLines: 1, isPrinting: false,

  /** Choose the cards' size for the window from what records typically hold; the record at its top stays there. */
  measure() {
    const rows = this.height ? this.rowsAbove() : 0;
    const atTop = Math.floor(rows) * this.columns;
    this.room = this.node.clientWidth;
    const room = this.isPrinting ? PAPER : this.room;
    const some = records.filter((record, index) => index % Math.ceil(records.length / 500) === 0);
    const sample = some.filter((record) => record.images.length);
    const count = Math.min(MOST_CELLS, quantile(sample.map((record) => record.images.length), 0.5));
    const least = count > 4 ? 460 : count > 2 ? 380 : 290;
    this.columns = Math.max(1, Math.floor((room + GAP) / (least + GAP)));
    this.width = Math.floor((room - GAP * (this.columns - 1)) / this.columns);
    this.media = Math.round(quantile(sample.map((record) => idealHeight(record, this.width)), 0.6));
    this.node.classList.toggle("reports", isReport());
    const around = parseFloat(getComputedStyle(this.node).getPropertyValue("--around-lines"));
    this.height = this.media + (around + LINE * this.countLines(some.filter((record) => record.turns))) * rem();
    const held = this.node.contains(document.activeElement);
    this.node.replaceChildren();
    this.cards.clear();
    this.paint();
    if (rows > 0) scrollBy(0, (Math.floor(atTop / this.columns) + (rows % 1) - this.rowsAbove()) * (this.height + GAP));
    if (held) this.focus(this.active);
  },

  /** How many rows have left the window at its top, the last one in part. */
  rowsAbove() {
    return -this.node.getBoundingClientRect().top / (this.height + GAP);
  },

  /** Give cards the lines that most of these records' texts need; returns how many. */
  countLines(asked) {
    const letters = (this.width / rem() - 2.8) / 0.53; // in a line, of the usual breadth
    const lengths = (texts) => texts.map((text) => breadth(text.slice(0, LOOKED_AT)));
    const lines = (texts) => clamp(Math.ceil(quantile(lengths(texts), 0.75) / letters), 1, MOST_LINES);
    const questionLines = lines(asked.map(ownWords));
    this.answerLines = lines(asked.map((record) => firstExchange(record)[1] ?? ""));
    this.node.style.setProperty("--question-lines", questionLines);
    this.node.style.setProperty("--answer-lines", this.answerLines);
    return questionLines + this.answerLines;
  },

  /** Put the first records into the document, to be printed, or again only those near the window. */
  print(isPrinting) {
    this.isPrinting = isPrinting;
    const left = this.list.length - MOST_PRINTED;
    byId("unprinted").hidden = !isPrinting || left <= 0;
    byId("unprinted").textContent = `${counted(left, "more record")} not printed: filter to fewer.`;
    this.measure();
  },

  show(list, toTop) {
    this.list = list;
    this.active = clamp(this.active, 0, Math.max(0, list.length - 1));
    byId("empty").hidden = list.length > 0 || !loaded;
    if (toTop) this.active = 0;
    if (toTop && this.node.getBoundingClientRect().top < 0) document.querySelector("main").scrollIntoView();
    this.paint();
  },

  /** Put the cards of the visible rows, and of some above and below, into the document, in order. */
  paint() {
    const step = this.height + GAP;
    const top = -this.node.getBoundingClientRect().top;
    const spare = 600;
    this.node.style.height = `${Math.max(0, Math.ceil(this.list.length / this.columns) * step - GAP)}px`;
    const first = this.isPrinting ? 0 : Math.max(0, Math.floor((top - spare) / step)) * this.columns;
    const end = this.isPrinting ? MOST_PRINTED : Math.ceil((top + innerHeight + spare) / step) * this.columns;
    const last = Math.min(this.list.length, end);
    const held = this.node.contains(document.activeElement) ? this.active : -1;
    for (const [position, item] of this.cards) {
      const stays = item.record === this.list[position] && ((position >= first && position < last) || position === held);
      if (stays) item.setAttribute("aria-setsize", this.list.length);
      else if (this.cards.delete(position)) item.remove();
    }
    let next = held >= last ? this.cards.get(held) : null;
    for (let position = last - 1; position >= first; position--) {
      if (!this.cards.has(position)) this.node.insertBefore(this.place(position), next ?? null);
      next = this.cards.get(position);
    }
    this.rove(held, first, last, Math.ceil(Math.max(0, top) / step) * this.columns);
  },

  place(position) {
    const standing = { "aria-posinset": position + 1, "aria-setsize": this.list.length };
    const item = el("div", { class: "item", role: "listitem", ...standing });
    item.record = this.list[position];
    item.append(card(item.record, this.width - 2, this.media));
    const column = position % this.columns;
    const row = (position - column) / this.columns;
    item.style.width = `${this.width}px`;
    item.style.height = `${this.height}px`;
    item.style.insetInlineStart = `${column * (this.width + GAP)}px`;
    item.style.top = `${row * (this.height + GAP)}px`;
    this.cards.set(position, item);
    return item;
  },

  /** One card is in the order of Tab: the one last used, or the first in sight once that is out of it. */
  rove(held, first, last, inSight) {
    const near = this.active >= first && this.active < last;
    if (held < 0 && !near) this.active = clamp(inSight, first, Math.max(first, last - 1));
    for (const [position, item] of this.cards) item.firstChild.tabIndex = position === this.active ? 0 : -1;
  },

  positionOf: (item) => item.getAttribute("aria-posinset") - 1,

  focus(position) {
    if (!this.list.length) return;
    this.active = clamp(position, 0, this.list.length - 1);
    const step = this.height + GAP;
    const bar = document.querySelector(".bar").offsetHeight + 8;
    const top = Math.floor(this.active / this.columns) * step + this.node.getBoundingClientRect().top;
    if (top < bar) scrollBy(0, top - bar);
    else if (top + this.height > innerHeight - 8) scrollBy(0, Math.min(top - bar, top + this.height - innerHeight + 8));
    this.paint();
    this.cards.get(this.active)?.firstChild.focus({ preventScroll: true });
  },

  keydown(event) {
    const item = event.target.closest(".item");
    if (!item || event.ctrlKey || event.altKey || event.metaKey) return;
    const at = this.positionOf(item);
    const page = Math.max(1, Math.floor(innerHeight / (this.height + GAP))) * this.columns;
    const steps = {
      ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns,
      PageUp: -page, PageDown: page, Home: -at, End: this.list.length - 1 - at,
    };
    if (event.key in steps) {
      const wanted = at + steps[event.key];
      const leaves = /^Arrow/.test(event.key) && (wanted < 0 || wanted >= this.list.length);
      if (!leaves) this.focus(wanted);
    } else if (event.key === "Enter" || event.key === " ") open(item.record);
    else return;
    event.preventDefault();
  },
};

/** The height at which a record's pictures fill a card of this width: in one row, or in two where they would be too small. */
function idealHeight(record, width) {
  const count = Math.min(MOST_CELLS, record.images.length);
  const aspect = aspectOf(record, 0);
  const rows = width / count < 56 ? 2 : 1;
  const tall = width / Math.ceil(count / rows) / aspect;
  return clamp(rows * Math.min(tall, 2 * (record.strip?.h ?? 64)), 48, 230);
}

const quantile = (values, share) => values.sort((a, b) => a - b)[Math.floor(values.length * share)] ?? 0;
const isReport = () => state.having === "with" || state.codes.length > 0; // then cards say what was found
const rem = () => parseFloat(getComputedStyle(document.documentElement).fontSize);
