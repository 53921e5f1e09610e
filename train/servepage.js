// Sends a picture to /read and shows what each model answers: boxes, words, and how sure it is of each character.
"use strict";

const one = (query, within = document) => within.querySelector(query);
const percent = (share) => `${Math.round(100 * share)} %`;
let shown = "";      // the address of the picture that is shown
let running = null;  // the request under way

function say(text, wrong = false) {
  one("#said").textContent = text;
  one("#said").classList.toggle("wrong", wrong);
}

async function read(file) {
  running?.abort();
  const mine = running = new AbortController();
  say(`Reading ${file.name || "the picture"} …`);
  one("#answers").replaceChildren();
  one("#legend").hidden = true;
  try {
    const kind = file.type.startsWith("image/") ? file.type : "application/octet-stream";
    const answer = await fetch("/read", {
      method: "POST", body: file, headers: { "Content-Type": kind }, signal: mine.signal,
    });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.error);
    show(file, told.answers);
  } catch (error) {
    if (!mine.signal.aborted) say(`Not read: ${error.message}`, true);
  }
}

function show(file, answers) {
  URL.revokeObjectURL(shown);
  shown = URL.createObjectURL(file);
  one("#answers").replaceChildren(...answers.map(section));
  one("#legend").hidden = !answers.some(({ readings }) => readings.some(({ characters }) => characters.length));
  say(answers.map(({ model, readings }) =>
    `${model}: ${readings.length} ${readings.length === 1 ? "word" : "words"}.`).join(" "));
}

function section({ model, readings }) {
  const made = one("#answer").content.cloneNode(true);
  const [picture, drawn] = [one("img", made), one("svg", made)];
  const ordered = lines(readings);
  const text = ordered.map((line) => line.map((word) => word.text).filter(Boolean).join(" ")).join("\n");
  one("h2", made).textContent = model;
  picture.alt = `The picture: ${text.replaceAll("\n", " ")}`;
  const again = () => draw(drawn, ordered.flat(), picture.naturalWidth, picture.naturalHeight);
  picture.onload = () => {
    picture.parentElement.style.maxWidth = `${6 * picture.naturalWidth}px`;
    new ResizeObserver(again).observe(drawn);  // labels keep their size on the screen
  };
  picture.onerror = () => picture.parentElement.remove();  // of a kind that the browser does not show
  picture.src = shown;
  one("ul", made).append(...ordered.flat().map((word, place) => item(word, place, drawn)));
  const area = one("textarea", made);
  area.value = text;
  area.rows = Math.min(12, Math.max(1, text.split("\n").length));
  if (!text) for (const none of [area.parentElement, one("button", made)]) none.remove();
  else one("button", made).onclick = () => copy(area);
  return made;
}

// Words of detectors from top to bottom and along each line; a line holds what its first word's middle crosses.
function lines(readings) {
  const placed = readings.map((word) => {
    const [xs, ys] = [0, 1].map((axis) => (word.polygon ?? [[0, 0]]).map((point) => point[axis]));
    const [top, bottom] = [Math.min(...ys), Math.max(...ys)];
    return { word, left: Math.min(...xs), top, bottom, middle: (top + bottom) / 2 };
  }).sort((a, b) => a.middle - b.middle);
  const found = [];
  for (const next of placed) {
    const line = found.at(-1);
    if (line && next.middle <= line[0].bottom && next.top <= line[0].middle) line.push(next);
    else found.push([next]);
  }
  return found.map((line) => line.sort((a, b) => a.left - b.left).map(({ word }) => word));
}

function draw(drawn, words, width, height) {
  const made = (name, values) => {
    const element = document.createElementNS(drawn.namespaceURI, name);
    for (const [key, value] of Object.entries(values)) element.setAttribute(key, value);
    return element;
  };
  drawn.replaceChildren();
  drawn.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const scale = Math.min(drawn.clientWidth / width, drawn.clientHeight / height) || 1;
  const size = 13 / scale;  // 13 pixels on the screen
  for (const [place, word] of words.entries()) {
    if (!word.polygon) continue;
    drawn.append(made("polygon", { points: word.polygon.join(" "), "data-word": place }));
    const [left, top] = [0, 1].map((axis) => Math.min(...word.polygon.map((point) => point[axis])));
    const label = made("text", { x: left, y: Math.max(top - size / 4, size), "font-size": size });
    label.textContent = word.text;
    drawn.append(label);
  }
}

function item(word, place, drawn) {
  const made = document.createElement("li");
  const text = made.appendChild(document.createElement("bdi"));
  const characters = [...word.text];
  for (const [at, character] of characters.entries()) {
    const piece = text.appendChild(document.createElement("span"));
    const sure = word.characters.length === characters.length ? word.characters[at] : word.score;
    piece.textContent = character;
    piece.title = percent(sure);
    piece.style.setProperty("--sure", sure);
  }
  const note = made.appendChild(document.createElement("small"));
  note.textContent = word.text ? percent(word.score) : `a word, ${percent(word.found ?? word.score)}`;
  if (word.polygon) {
    made.tabIndex = 0;
    const mark = (on) => one(`[data-word="${place}"]`, drawn)?.classList.toggle("chosen", on);
    for (const kind of ["mouseenter", "focus"]) made.addEventListener(kind, () => mark(true));
    for (const kind of ["mouseleave", "blur"]) made.addEventListener(kind, () => mark(false));
  }
  return made;
}

async function copy(area) {
  try {
    await navigator.clipboard.writeText(area.value);
  } catch {  // browsers have no clipboard for pages of other machines over plain HTTP
    area.select();
    document.execCommand("copy");
  }
  say("Copied.");
}

function first(files) {
  if (files?.length) read(files[0]);
}

const drop = one("#drop");
one("#file").addEventListener("change", (event) => first(event.target.files));
document.addEventListener("paste", (event) => first(event.clipboardData?.files));
document.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
document.addEventListener("dragleave", () => drop.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  first(event.dataTransfer?.files);
});
