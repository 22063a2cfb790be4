// Texts go to this server's own API and nowhere else. Verdicts are made again here when a threshold
// is moved, by the rule of the policy: thresholds are inclusive.

const MOST_ROWS = 500;
const MOST_BYTES = 512 * 1024;
const ROWS_A_REQUEST = 50;
// Nats below which a word is noise, and the share of the strongest word below which it is beside it.
const NOTICEABLE = 0.25;
const NOTICEABLE_SHARE = 0.1;

const at = (id) => document.getElementById(id);
const encoder = new TextEncoder();

// What is shown: the rows that were scored, which of them, and under which thresholds.
const state = { policies: [], rows: [], current: -1, asked: 0 };

// ---- Asking ----

class Refused extends Error {}

async function ask(path, body) {
  const headers = {};
  if (body) headers["Content-Type"] = "application/json";
  if (at("key").value) headers.Authorization = `Bearer ${at("key").value}`;
  const request = { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, request);
  } catch {
    throw new Refused("The server does not answer.");
  }
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer;
  if (response.status === 401) {
    at("key-row").hidden = false;
    at("key").focus();
  }
  throw new Refused(answer?.error?.message ?? `The server answered ${response.status}.`);
}

async function loadPolicies() {
  const known = at("policy").value;
  state.policies = await ask("v1/policies");
  at("policy").replaceChildren(...state.policies.map((policy) => {
    const selected = known ? policy.name === known : policy.default;
    return new Option(policy.name, policy.name, policy.default, selected);
  }));
  resetThresholds();
}

const policy = () => state.policies.find((policy) => policy.name === at("policy").value);

// Runs what a control asks for; of several that run at once, only the last may show something.
async function run(what) {
  const turn = ++state.asked;
  const isLast = () => turn === state.asked;
  at("fault").textContent = "";
  try {
    if (state.policies.length === 0) await loadPolicies();
    await what(isLast);
  } catch (error) {
    if (!isLast()) return;
    at("status").textContent = "";
    if (!(error instanceof Refused)) throw error;
    at("fault").textContent = error.message;
  }
}

const scoreText = (text) => run(async (isLast) => {
  at("status").textContent = "Scoring…";
  const answer = await ask("v1/score", { texts: [text], policy: policy().name, explain: true });
  if (!isLast()) return;
  showModel(answer.model);
  state.rows = [{ number: 1, text, result: answer.results[0] }];
  select(0);
});

const scoreFile = (file) => run(async (isLast) => {
  if (file.size > MOST_BYTES) {
    throw new Refused("The file is too large for this page; the command scores large files.");
  }
  const texts = textsOf(file.name, await file.text());
  if (texts.length === 0) throw new Refused("The file has no texts.");
  if (texts.length > MOST_ROWS) {
    throw new Refused(`The file has ${texts.length} texts, and this page takes ${MOST_ROWS}; the command scores large files.`);
  }
  const rows = [];
  for (let begun = 0; begun < texts.length; begun += ROWS_A_REQUEST) {
    at("status").textContent = `Scoring ${file.name}: ${begun} of ${texts.length}…`;
    const some = texts.slice(begun, begun + ROWS_A_REQUEST);
    const answer = await ask("v1/score", { texts: some, policy: policy().name });
    if (!isLast()) return;
    showModel(answer.model);
    some.forEach((text, index) => {
      rows.push({ number: begun + index + 1, text, result: answer.results[index] });
    });
  }
  state.rows = rows;
  state.current = -1;
  show();
  at("status").textContent = `${texts.length} texts of ${file.name} scored.`;
  at("rows-title").focus();
});

const explainRow = (index) => run(async (isLast) => {
  const row = state.rows[index];
  if (!row.result.explanation && !row.result.error) {
    at("status").textContent = `Explaining row ${row.number}…`;
    const answer = await ask("v1/score", { texts: [row.text], policy: policy().name, explain: true });
    if (!isLast()) return;
    row.result = answer.results[0];
  }
  select(index);
  at("result-title").focus();
});

function select(index) {
  state.current = index;
  show();
  const { result, number } = state.rows[index];
  const which = state.rows.length > 1 ? `Row ${number}` : "Verdict";
  at("status").textContent = result.error
    ? `Not scored: ${result.error}.`
    : `${which}: ${decide(result).decision}, dehumanization ${result.dehumanization.toFixed(3)}.`;
}

// ---- Reading files ----

function textsOf(name, content) {
  const text = content.replace(/^\uFEFF/, "");
  const extension = name.toLowerCase().split(".").pop();
  if (extension === "csv") return column(records(text, ","));
  if (extension === "tsv") return column(text.split(/\r?\n/).filter(Boolean).map((line) => line.split("\t")));
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  if (extension !== "jsonl" && extension !== "ndjson") return lines.map(wellFormed);
  return lines.map((line, index) => {
    let row;
    try {
      row = JSON.parse(line);
    } catch {
      throw new Refused(`Line ${index + 1} is not JSON.`);
    }
    if (typeof row?.text !== "string") throw new Refused(`Line ${index + 1} has no field “text” with a string.`);
    return wellFormed(row.text);
  });
}

// Half of a surrogate pair is no character, and JSON in UTF-8 cannot carry it.
const wellFormed = (text) => text.toWellFormed();

function column([header = [], ...rows]) {
  const index = header.indexOf("text");
  if (index < 0) throw new Refused("The file has no column “text”.");
  return rows.map((row) => wellFormed(row[index] ?? ""));
}

// The records of comma-separated values, quotes and all.
function records(text, separator) {
  const rows = [];
  let row = [];
  let field = "";
  let quoted = false;
  const endField = () => { row.push(field); field = ""; };
  const endRow = () => { endField(); if (row.length > 1 || row[0] !== "") rows.push(row); row = []; };
  for (let index = 0; index < text.length; index++) {
    const char = text[index];
    if (quoted) {
      if (char !== '"') field += char;
      else if (text[index + 1] === '"') { field += '"'; index++; }
      else quoted = false;
    } else if (char === '"' && field === "") quoted = true;
    else if (char === separator) endField();
    else if (char === "\n") endRow();
    else if (char !== "\r") field += char;
  }
  endRow();
  return rows;
}

// ---- Deciding ----

const thresholds = () => ({ flag: Number(at("flag").value), review: Number(at("review").value) });

function resetThresholds() {
  at("flag").value = policy().flag;
  at("review").value = policy().review;
}

function decide(result) {
  const { flag, review } = thresholds();
  const decision = result.dehumanization >= flag ? "flag" : result.dehumanization >= review ? "review" : "allow";
  if (decision === "allow") return { decision, because: [] };
  const categories = Object.entries(result.categories).sort((a, b) => b[1] - a[1]);
  const reached = categories.filter(([name, score]) => score >= policy().because[name]);
  return { decision, because: (reached.length ? reached : categories.slice(0, 1)).map(([name]) => name) };
}

// ---- Showing ----

const words = (name) => name.replaceAll("_", " ");
const SIGNS = { allow: "✓ allow", review: "? review", flag: "⚑ flag", unscored: "not scored" };

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function show() {
  const many = state.rows.length > 1 || state.current < 0;
  at("rows-card").hidden = !many || state.rows.length === 0;
  at("thresholds").hidden = state.rows.length === 0;
  at("flag-value").textContent = thresholds().flag.toFixed(3);
  at("review-value").textContent = thresholds().review.toFixed(3);
  if (many) showRows();
  const row = state.rows[state.current];
  at("result").hidden = !row;
  if (row) showResult(row);
}

function showModel(model) {
  at("model").textContent = `Model ${model.name} ${model.version}, ${model.digest}.`;
}

function badge(decision) {
  return element("span", { className: `badge ${decision}`, textContent: SIGNS[decision] });
}

// The rows that the table was made of.
let madeOf = null;

function showRows() {
  const counts = { flag: 0, review: 0, allow: 0, unscored: 0 };
  const masked = !at("reveal").checked;
  // Pointers and screen readers stay where they are: rows are made once and changed afterwards.
  if (madeOf !== state.rows) {
    madeOf = state.rows;
    at("rows").replaceChildren(...state.rows.map((row, index) => {
      const button = element("button", { type: "button", className: "quiet", textContent: row.number });
      button.ariaLabel = `Show row ${row.number}`;
      button.addEventListener("click", () => explainRow(index));
      return element("tr", {}, element("td", {}, button), element("td"), element("td", { className: "number" }), element("td", { className: "text" }));
    }));
  }
  state.rows.forEach(({ result, text }, index) => {
    const line = at("rows").children[index];
    const decision = result.error ? "unscored" : decide(result).decision;
    counts[decision]++;
    line.ariaCurrent = index === state.current ? "true" : null;
    line.children[1].replaceChildren(badge(decision));
    line.children[2].textContent = result.error ? "–" : result.dehumanization.toFixed(3);
    const hidden = masked && decision !== "allow";
    const shown = hidden ? `masked, ${[...text].length} characters` : text.slice(0, 200);
    line.children[3].textContent = result.error ?? shown;
  });
  at("rows-summary").textContent =
    `${counts.flag} to flag, ${counts.review} to review, ${counts.allow} to allow` +
    (counts.unscored ? `, ${counts.unscored} not scored.` : ".");
}

function showResult({ text, result, number }) {
  at("result-title").textContent = state.rows.length > 1 ? `Row ${number}` : "Verdict";
  const decided = result.error ? { decision: "unscored", because: [] } : decide(result);
  at("verdict").textContent = SIGNS[decided.decision];
  at("verdict").className = decided.decision;
  at("because").textContent = result.error
    ?? (decided.because.length ? `on account of ${decided.because.map(words).join(", ")}` : "");
  showWords(text, result, decided.decision);
  const scored = !result.error;
  showBars("overall", scored ? { dehumanization: result.dehumanization, "hate (any attack)": result.hate } : {}, true);
  showBars("categories", result.categories ?? {});
  showBars("ways", result.ways ?? {});
}

function showBars(id, scores, ticks) {
  const { flag, review } = thresholds();
  at(id).replaceChildren(...Object.entries(scores).map(([name, score], index) => {
    const fill = element("div", { className: "fill" });
    fill.style.width = `${score * 100}%`;
    const track = element("div", { className: "track", ariaHidden: "true" }, fill);
    if (ticks && index === 0) {
      for (const threshold of [review, flag]) {
        const tick = element("div", { className: "tick" });
        tick.style.left = `min(${threshold * 100}%, 100% - 2px)`;
        track.append(tick);
      }
    }
    const value = element("span", { className: "value", textContent: score.toFixed(3) });
    return element("li", {}, element("span", { textContent: words(name) }), value, track);
  }));
}

// First letter and asterisks, so that a reader meets the rest only when asking for it. A sign that
// says everything at once, an emoji, has no first letter.
function mask(word) {
  const [first, ...rest] = [...word];
  return (/[\p{L}\p{N}]/u.test(first) ? first : "*") + rest.map((char) => (/\s/u.test(char) ? char : "*")).join("");
}

// Whether a word may be what offends: it speaks for dehumanization, for hate, or for a way that the
// text is likely to dehumanize in.
function mayOffend(word, result) {
  const ways = Object.keys(word.ways).filter((way) => result.ways[way] >= 0.5);
  const parts = [word.dehumanization, word.hate, ...ways.map((way) => word.ways[way])];
  return Math.max(...parts) >= NOTICEABLE;
}

function showWords(text, result, decision) {
  const all = result.explanation?.words ?? [];
  const most = Math.max(...all.map((word) => word.dehumanization), 0);
  const least = Math.max(NOTICEABLE, NOTICEABLE_SHARE * most);
  // In a text that nothing is held against, no word is to be hidden.
  const masking = !at("reveal").checked && decision !== "allow";
  const bytes = encoder.encode(text);
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const cut = (start, end) => decoder.decode(bytes.subarray(start, end));
  const isMasked = (word) => masking && mayOffend(word, result);
  const read = (word) => {
    const written = cut(word.start, word.end);
    return isMasked(word) ? mask(written) : written;
  };

  const parts = [];
  let shown = 0;
  for (const word of all) {
    const share = word.dehumanization / most;
    const drives = word.dehumanization >= least;
    if (!drives && !isMasked(word)) continue;
    parts.push(cut(shown, word.start));
    const strength = share > 0.6 ? "strong" : share > 0.3 ? "some" : "little";
    const made = drives ? element("mark", { className: strength }) : element("span");
    if (isMasked(word)) {
      made.append(element("span", { textContent: read(word), ariaHidden: "true" }));
      made.append(element("span", { className: "aside", textContent: "masked word" }));
    } else {
      made.textContent = read(word);
    }
    parts.push(made);
    shown = word.end;
  }
  parts.push(cut(shown, bytes.length));
  at("shown").replaceChildren(...parts);

  const strongest = all.filter((word) => word.dehumanization >= least);
  strongest.sort((a, b) => b.dehumanization - a.dehumanization);
  at("words").replaceChildren(...strongest.slice(0, 10).map((word) =>
    element("li", { textContent: `${read(word)} (${word.dehumanization.toFixed(1)})` })));
  at("words-details").hidden = strongest.length === 0;
  const notes = strongest.length === 0
    ? ["No word drove the score noticeably."]
    : ["The stronger the mark, the more the log-odds of the score fall without the word."];
  if (masking && all.some(isMasked)) notes.push("Words that drove it are masked; others that offend may not be.");
  if (result.explanation?.view === "normalized") notes.push("The text was read without its disguise.");
  at("words-help").textContent = notes.join(" ");
}

// ---- Controls ----

at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  scoreText(wellFormed(at("text").value));
});
at("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) at("ask").requestSubmit();
});
at("choose").addEventListener("click", () => at("file").click());
at("file").addEventListener("change", () => {
  if (at("file").files[0]) scoreFile(at("file").files[0]);
  at("file").value = "";
});
at("key").addEventListener("change", () => run(async () => {}));
at("reveal").addEventListener("change", show);
at("policy").addEventListener("change", () => { resetThresholds(); announce(); });
at("reset").addEventListener("click", () => { resetThresholds(); announce(); });
for (const [moved, other, limit] of [["flag", "review", Math.min], ["review", "flag", Math.max]]) {
  at(moved).addEventListener("input", () => {
    at(other).value = limit(Number(at(other).value), Number(at(moved).value));
    show();
  });
  at(moved).addEventListener("change", announce);
}

// Says the verdict again, for who does not see it change.
function announce() {
  if (state.current >= 0) select(state.current);
  else show();
}

const card = at("ask");
for (const kind of ["dragenter", "dragover"]) {
  card.addEventListener(kind, (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    card.classList.add("dropping");
  });
}
for (const kind of ["dragleave", "drop"]) {
  card.addEventListener(kind, () => card.classList.remove("dropping"));
}
card.addEventListener("drop", (event) => {
  const [file] = event.dataTransfer.files;
  if (!file) return;
  event.preventDefault();
  scoreFile(file);
});

run(async () => {});
