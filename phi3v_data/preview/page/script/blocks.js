// Reading the data blocks, a slice at a time

const SLICE = 24; // milliseconds of work before the browser gets its turn
const strips = []; // of each block: its text, or its lines once a card asked for one

async function load() {
  const blocks = [...document.querySelectorAll("script.records")];
  strips.push(...document.querySelectorAll("script.strips"));
  let end = performance.now() + SLICE;
  for (const [block, node] of blocks.entries()) {
    for (const [row, record] of JSON.parse(node.textContent).entries()) records.push(Object.assign(record, { block, row }));
    node.remove();
    if (block === 0) showFirst();
    if (performance.now() > end) {
      await pause();
      end = performance.now() + SLICE;
    }
  }
  loaded = true;
}

function showFirst() {
  sheet.measure();
  refilter();
}

function stripUrl(record) {
  let lines = strips[record.block];
  if (lines instanceof Element) {
    const node = lines;
    lines = strips[record.block] = node.textContent.split("\n");
    node.remove();
  }
  return lines?.[record.row] ? `data:image/webp;base64,${lines[record.row]}` : null;
}
