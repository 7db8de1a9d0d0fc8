// The page: connects the drawing surface, the image files, the backend and the results.
import { BrowserBackend, ServerBackend, TokenError } from "./backends.js";
import { PictureError } from "./imaging/rgba.js";
import { occlusion } from "./occlusion.js";
import { decode } from "./pictures.js";
import { bestOf, Results, wordsFor } from "./results.js";
import { Surface } from "./surface.js";

const MOST_FILES = 100;
const SERVER_PAUSE = 120; // milliseconds between server requests while a stroke grows
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const byId = (id) => document.getElementById(id);
const jsonOf = async (url) => (await fetch(url)).json();

const surface = new Surface(byId("canvas"), byId("cursor"));
const [config, characters] = await Promise.all([jsonOf("page.json"), jsonOf("characters.json")]);
const results = new Results(characters);
const backend = config.home === "server" ? new ServerBackend() : new BrowserBackend(config);
let model = null;
let used = null; // its entry in the list of models: {option, about}
let shown = null; // the reading on the page

/** Run some work; for tests, `data-state` of the body says whether any is in progress. */
let working = 0;

async function busy(work) {
  working += 1;
  document.body.dataset.state = "busy";
  try {
    return await work();
  } finally {
    working -= 1;
    if (!working) document.body.dataset.state = "idle";
  }
}

// ---- classify the surface's content: one request at a time, then the latest content

let isReading = false;
let isStale = false;

async function read() {
  isStale = true;
  if (isReading || !model) return;
  isReading = true;
  await busy(async () => {
    while (isStale) {
      isStale = false;
      await readOnce();
      if (isStale && !backend.isLocal) await pause(SERVER_PAUSE);
    }
  });
  isReading = false;
  byId("explain").disabled = !shown?.gray;
}

async function readOnce() {
  if (surface.isEmpty) {
    shown = null;
    results.notify();
    results.clear();
    return;
  }
  const { picture } = surface;
  try {
    const reading = await backend.read(picture ?? (await drawn()));
    if (surface.isEmpty || picture !== surface.picture) return;
    shown = reading;
    results.notify();
    results.show(reading);
    showBox(picture, reading);
  } catch (error) {
    shown = null;
    // a drawing of a single tone was erased
    if (error instanceof PictureError && !picture) results.clear();
    else fail(error);
  }
}

async function drawn() {
  return { rgba: surface.pixels(), blob: backend.isLocal ? null : await surface.file() };
}

function showBox(picture, { box }) {
  const found = byId("found");
  found.hidden = !picture?.rgba || (box.width === picture.rgba.width && box.height === picture.rgba.height);
  if (found.hidden) return;
  const sides = ["left", "top", "width", "height"];
  surface.boxOf(picture, box).forEach((share, index) => {
    found.style[sides[index]] = `${100 * share}%`;
  });
}

function fail(error) {
  if (!(error instanceof Error)) throw error;
  results.clear("This was not read.");
  warn(error);
}

function warn(error) {
  if (error instanceof TokenError) byId("token-form").hidden = false;
  const words = error.message;
  results.notify(words[0].toUpperCase() + words.slice(1) + (words.endsWith(".") ? "" : "."));
}

// ---- drawing surface and tools

function refresh() {
  const { isEmpty } = surface;
  byId("hint").hidden = !isEmpty;
  byId("found").hidden = true;
  byId("undo").disabled = !surface.done.length;
  byId("redo").disabled = !surface.undone.length;
  byId("clear").disabled = byId("download").disabled = isEmpty;
  byId("pen").setAttribute("aria-pressed", String(!surface.erases));
  byId("eraser").setAttribute("aria-pressed", String(surface.erases));
  byId("width").value = surface.width;
}

for (const name of ["draft", "change"]) {
  surface.addEventListener(name, () => {
    refresh();
    read();
  });
}
surface.addEventListener("tool", refresh);

for (const [id, erases] of [["pen", false], ["eraser", true]]) {
  byId(id).addEventListener("click", () => {
    surface.erases = erases;
    refresh();
  });
}
byId("width").addEventListener("input", (event) => {
  surface.width = Number(event.target.value);
});
for (const name of ["undo", "redo", "clear"]) {
  byId(name).addEventListener("click", () => surface[name]());
}
byId("download").addEventListener("click", async () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await surface.file());
  link.download = "character.png";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});

// ---- image files: opened, pasted, dropped, or an example

/** Show an image file on the surface, which classifies it. */
async function showFile(file) {
  const picture = await decodeFor(file);
  if (picture.bitmap) surface.show(picture.bitmap, picture);
  return picture;
}

/** Decode a file; the server may support formats that the browser does not. */
async function decodeFor(file) {
  try {
    return await decode(file);
  } catch (error) {
    if (backend.isLocal || !(error instanceof PictureError) || !file.size) throw error;
    return { blob: file, name: file.name };
  }
}

/** Open image files, or a custom model. */
async function openFiles(files) {
  const chosen = [...files];
  if (chosen.some((file) => /\.(onnx|json)$/.test(file.name))) return adopt(chosen);
  return busy(() => openPictures(chosen)).catch(fail);
}

async function openPictures(files) {
  if (!model) await ready;
  const first = files.length === 1 ? await showFile(files[0]) : null;
  if (!first?.bitmap) await listFiles(files.slice(0, MOST_FILES));
}

/** Classify several files, one per row of a list; selecting a row shows its image on the surface. */
async function listFiles(files) {
  if (!files.length) return;
  byId("several").hidden = false;
  byId("pictures").replaceChildren();
  for (const [index, file] of files.entries()) {
    const words = await wordsOf(file);
    const image = Object.assign(document.createElement("img"), { alt: "" });
    image.src = URL.createObjectURL(file);
    image.onload = () => URL.revokeObjectURL(image.src);
    image.onerror = () => (image.style.visibility = "hidden");
    const name = Object.assign(document.createElement("span"), { className: "name", textContent: file.name });
    const answer = Object.assign(document.createElement("span"), { textContent: words });
    const button = Object.assign(document.createElement("button"), { type: "button" });
    button.append(image, name, answer);
    button.addEventListener("click", () => showFile(file).catch(fail));
    const item = document.createElement("li");
    item.append(button);
    byId("pictures").append(item);
    if (index === 0) await showFile(file).catch(() => {});
  }
}

async function wordsOf(file) {
  try {
    return wordsFor(model, await backend.read(await decodeFor(file)));
  } catch (error) {
    return error.message;
  }
}

byId("open").addEventListener("click", () => byId("files").click());
byId("files").addEventListener("change", (event) => {
  openFiles(event.target.files);
  event.target.value = "";
});
byId("paste").addEventListener("click", async () => {
  try {
    for (const item of await navigator.clipboard.read()) {
      const type = item.types.find((each) => each.startsWith("image/"));
      if (type) return openFiles([new File([await item.getType(type)], "pasted picture", { type })]);
    }
    results.notify("The clipboard has no picture.");
  } catch {
    results.notify("The browser does not let the page read the clipboard: press Ctrl+V or ⌘V.");
  }
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) openFiles(event.clipboardData.files);
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  byId("sheet").classList.add("over");
});
for (const name of ["dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    byId("sheet").classList.remove("over");
    if (name === "drop" && event.dataTransfer.files.length) openFiles(event.dataTransfer.files);
  });
}

for (const { meaning } of characters) {
  const image = Object.assign(document.createElement("img"), { alt: `Example: ${meaning}`, loading: "lazy" });
  image.src = `examples/${meaning}.jpg`;
  const button = Object.assign(document.createElement("button"), { type: "button" });
  button.append(image);
  const open = async () => {
    const blob = await (await fetch(image.src)).blob();
    await openFiles([new File([blob], `${meaning}.jpg`, { type: blob.type })]);
  };
  button.addEventListener("click", () => busy(open).catch(fail));
  const item = document.createElement("li");
  item.append(button);
  byId("examples").append(item);
}

// ---- occlusion sensitivity

byId("explain").addEventListener("click", async ({ target }) => {
  const reading = shown;
  if (!reading?.gray) return;
  target.disabled = true;
  target.textContent = "Computing…";
  try {
    const { gray, probabilities } = reading;
    const label = bestOf(probabilities);
    const classify = (images) => backend.probabilities(images);
    const falls = await occlusion(gray.data, gray.width, label, probabilities[label], classify);
    if (shown === reading) results.showWhy(gray, falls);
  } catch (error) {
    results.notify(error.message);
  }
  target.textContent = "Show what mattered";
  target.disabled = !shown?.gray;
});

// ---- models

function use(open) {
  return busy(() => useNow(open));
}

async function useNow(open) {
  byId("loading").hidden = !backend.isLocal;
  byId("model").disabled = true;
  let failure = null;
  try {
    const opened = await open();
    results.setModel(opened);
    results.notify();
    model = opened;
    used = { option: byId("model").selectedOptions[0], about: byId("about").textContent };
  } catch (error) {
    failure = error;
  }
  byId("loading").hidden = true;
  byId("model").disabled = false;
  if (failure && !model) return fail(failure);
  if (failure) {
    used.option.selected = true;
    byId("about").textContent = used.about;
  }
  await read();
  if (failure) warn(failure); // after the reading, which would hide it
}

/** Use a custom model: its ONNX file and its card. */
async function adopt(files) {
  const graph = files.find((file) => file.name.endsWith(".onnx"));
  const card = files.find((file) => file.name.endsWith(".json"));
  if (!backend.isLocal) {
    return results.notify("This page uses the models of a server. To use your own, start the server with: oraclezoo serve FOLDER");
  }
  if (!graph || !card) return results.notify("Choose two files together: model.onnx and model.json.");
  const [text, bytes] = await Promise.all([card.text(), graph.arrayBuffer()]);
  return use(async () => {
    const adopted = await backend.adopt(text, new Uint8Array(bytes));
    const option = new Option(`${graph.name} (your own)`, "");
    option.disabled = true; // to select it, open its files
    byId("model").append(option);
    option.selected = true;
    byId("about").textContent = adopted.precision;
    return adopted;
  });
}

async function start() {
  const known = await backend.models();
  byId("model").replaceChildren(...known.map(({ name }) => new Option(name, name)));
  const choose = (name) => {
    byId("about").textContent = known.find((each) => each.name === name)?.about ?? "";
    return use(() => backend.select(name));
  };
  byId("model").addEventListener("change", (event) => choose(event.target.value));
  await choose(known[0].name);
}

backend.addEventListener("progress", ({ detail }) => {
  byId("progress").value = detail;
  byId("loading-text").textContent = `Loading the model: ${Math.round(100 * detail)}%`;
});
byId("own").hidden = !backend.isLocal;
byId("own").addEventListener("click", () => byId("own-files").click());
byId("own-files").addEventListener("change", (event) => {
  adopt([...event.target.files]);
  event.target.value = "";
});
byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  backend.token = byId("token").value;
  byId("token-form").hidden = true;
  start().catch(fail);
});
byId("privacy").textContent = backend.isLocal
  ? "Everything happens in your browser: no drawing and no picture leaves this device."
  : "Drawings and pictures go to the server that sent this page, and nowhere else.";

refresh();
const ready = busy(start).catch(fail);
