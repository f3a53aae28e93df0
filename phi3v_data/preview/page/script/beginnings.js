// What many questions begin with: on a card it would leave no room for what follows

const LONG_BEGINNING = 60; // Latin letters, as below
const LONG_CLAUSE = 60;
const LOOKED_AT = 600; // characters
// What ends a clause, or begins a quotation; the marks of East Asia have no space behind them
const CLAUSES = /^.*(?:[.,:;?!]\s+|[\u3001\u3002\uff01\uff0c\uff1a\uff1b\uff1f]|\s(?=["“„«(]))/su;

/** Note where each question goes on from what a twentieth of all that differ begin with, or three of them at least. */
function markBeginnings() {
  const asked = records.filter((record) => record.turns);
  const questions = [...new Set(asked.map((record) => record.turns[0].user.slice(0, LOOKED_AT)))].sort();
  const many = Math.max(3, Math.ceil(questions.length / 20));
  const shared = new Map(); // what neighbours in order share, their first and their last share
  for (let first = 0; first + many <= questions.length; first++) {
    const run = questions.slice(first, first + many);
    const length = sharedLength(run[0], run[many - 1]);
    if (breadth(run[0].slice(0, length)) < LONG_BEGINNING) continue;
    for (const question of run) shared.set(question, Math.max(length, shared.get(question) ?? 0));
  }
  for (const record of asked) {
    const question = record.turns[0].user;
    record.begin = clauseStart(question, shared.get(question.slice(0, LOOKED_AT)) ?? 0);
  }
}

function sharedLength(one, other) {
  let length = 0;
  while (length < one.length && one[length] === other[length]) length++;
  return length;
}

/** Where the clause or quotation begins in which the shared beginning ends; where that is long, the word. */
function clauseStart(text, length) {
  const shared = text.trimEnd().slice(0, length);
  const clause = CLAUSES.exec(shared)?.[0].length ?? 0;
  return breadth(shared.slice(clause)) < LONG_CLAUSE ? clause : /^.*\s/su.exec(shared)?.[0].length ?? 0;
}

/** The first question, without the beginning that many share. */
function ownWords(record) {
  const [question] = firstExchange(record);
  return record.begin ? `… ${question.slice(record.begin)}` : question;
}
