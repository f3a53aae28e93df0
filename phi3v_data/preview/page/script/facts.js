// What the page knows of its data before any record is read

const facts = JSON.parse(byId("facts").textContent);
const codes = new Map((facts.findings?.codes ?? []).map((code) => [code.code, code]));
const records = [];
let loaded = false;
