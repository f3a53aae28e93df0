// Searching: case, accents and compatibility forms do not count

function fold(text) {
  const plain = text.toLowerCase();
  return /^[\x00-\x7f]*$/.test(plain) ? plain : plain.normalize("NFKD").replace(/\p{Mn}/gu, "");
}

function searchText(record) {
  record.folded ??= fold(
    [
      record.id, record.group, record.source, record.system, record.metadata, record.raw, className(record), record.file,
      ...(record.turns ?? []).flatMap((turn) => [turn.user, turn.assistant, ...(turn.answers ?? [])]),
      ...record.images.map((image) => image.path),
    ].filter(Boolean).join("\n"),
  );
  return record.folded;
}

async function prepareSearch() {
  let end = performance.now() + SLICE;
  for (const record of records) {
    searchText(record);
    if (performance.now() > end) {
      await pause();
      end = performance.now() + SLICE;
    }
  }
}
