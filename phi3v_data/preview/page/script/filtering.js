// Filtering: first by everything but the ranges, then by each range, so that a figure shows what the others leave

let filterRun = 0;

function baseFilter() {
  const words = fold(state.q).split(/\s+/).filter(Boolean);
  return (record) =>
    (!state.splits.length || state.splits.includes(splitName(record))) &&
    (!state.class || className(record) === state.class) &&
    (!state.having || (record.findings.length > 0) === (state.having === "with")) &&
    (!state.codes.length || record.findings.some((finding) => state.codes.includes(finding.code))) &&
    words.every((word) => searchText(record).includes(word));
}

async function refilter({ toTop = false } = {}) {
  const run = ++filterRun;
  const passes = baseFilter();
  const [tokens, sizes] = [range(state.tokens), range(state.sizes)];
  const matches = [];
  for (const figure of figures) figure.clear();
  for (let at = 0; at < records.length; ) {
    const end = performance.now() + SLICE;
    for (; at < records.length && performance.now() < end; at++) {
      const record = records[at];
      if (!passes(record)) continue;
      const inTokens = !tokens || figures[0].values(record).some(tokens.has);
      const inSizes = !sizes || figures[1].values(record).some(sizes.has);
      if (inTokens && inSizes) matches.push(record);
      if (inSizes) figures[0].add(record);
      if (inTokens) figures[1].add(record);
    }
    if (at < records.length) await pause();
    if (run !== filterRun) return;
  }
  if (sheet.node.classList.contains("reports") !== isReport()) sheet.measure();
  sheet.show(matches, toTop);
  if (loaded) for (const figure of figures) figure.draw();
  showCount(matches.length);
}
