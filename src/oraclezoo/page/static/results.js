// The result panel: predicted class, probabilities, the model's input and occlusion sensitivity.

const SVG = "http://www.w3.org/2000/svg";
const percent = (share) => `${(100 * share).toFixed(1)}%`;

/** Show a character's oracle form in an SVG element; draw nothing if there is none. */
function drawForm(svg, character, isSquare = true) {
  svg.replaceChildren();
  if (!character) return;
  const { width, height } = character;
  const around = isSquare ? [(100 - width) / 2, (100 - height) / 2] : [0, 0];
  const [left, top] = around.map((space) => -space - 8);
  svg.setAttribute("viewBox", `${left} ${top} ${width - 2 * (left + 8) + 16} ${height - 2 * (top + 8) + 16}`);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", character.path);
  svg.append(path);
}

function element(tag, properties = {}, ...children) {
  const created = Object.assign(document.createElement(tag), properties);
  created.append(...children);
  return created;
}

/** A class's glyph in a font for Chinese, or its name if it has no glyph. */
const han = (glyph) => element("span", { className: "han", lang: "zh", textContent: glyph });

/** The label with the highest probability. */
export const bestOf = (probabilities) => probabilities.indexOf(Math.max(...probabilities));

/** A prediction as text, for lists and screen readers. */
export function wordsFor(model, { probabilities, isUnknown }) {
  const label = bestOf(probabilities);
  const { glyph, name } = model.classes[label];
  const nearest = `${glyph} ${name}`.trim();
  if (isUnknown) return `Not a character I know; the nearest is ${nearest}`;
  return `${nearest}, ${percent(probabilities[label])}`;
}

/** The result panel. `characters` is the content of characters.json. */
export class Results {
  #elements = {};
  #characters;
  #announcing;

  constructor(characters) {
    this.#characters = new Map(characters.map((each) => [each.glyph, each]));
    for (const id of ["form", "status", "shows", "classes", "seen", "why", "notice", "announce", "size"]) {
      this.#elements[id] = document.getElementById(id);
    }
  }

  /** Make a row for each class of a model. */
  setModel(model) {
    this.model = model;
    const rows = model.classes.map(({ name, glyph }) => {
      const form = document.createElementNS(SVG, "svg");
      form.setAttribute("class", "row-form");
      form.setAttribute("aria-hidden", "true");
      drawForm(form, this.#characters.get(glyph));
      const bar = element("progress", { max: 1, value: 0 });
      bar.setAttribute("aria-hidden", "true");
      const heading = element("th", { scope: "row", className: "meaning", textContent: name });
      const output = element("span", { className: "share", textContent: "–" });
      return element(
        "tr",
        { title: this.#characters.get(glyph)?.shows ?? "" },
        element("td", {}, form),
        element("td", {}, han(glyph)),
        heading,
        element("td", {}, element("div", { className: "bar" }, bar, output)),
      );
    });
    this.#elements.classes.replaceChildren(...rows);
    this.#elements.size.textContent = `${model.size} × ${model.size}`;
    this.clear();
  }

  /** Show that there is nothing to classify. */
  clear(words = "Draw a character to see how it is read.") {
    const { form, status, shows, seen, why, classes } = this.#elements;
    form.replaceChildren();
    status.replaceChildren(element("span", { className: "none", textContent: words }));
    shows.textContent = "";
    for (const row of classes.rows) {
      row.className = "";
      row.querySelector("progress").value = 0;
      row.querySelector(".share").textContent = "–";
    }
    for (const canvas of [seen, why]) canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    seen.setAttribute("aria-label", "Nothing yet");
    why.setAttribute("aria-label", "Not computed");
    this.#announce(words);
  }

  /** Show a prediction; announce it to screen readers once it no longer changes. */
  show(reading) {
    const { form, status, shows, classes } = this.#elements;
    const label = bestOf(reading.probabilities);
    const { glyph, name } = this.model.classes[label];
    const character = this.#characters.get(glyph);
    const { isUnknown, probabilities } = reading;
    drawForm(form, isUnknown ? null : character, false);
    if (isUnknown) {
      status.replaceChildren("Not a character I know");
      shows.replaceChildren("The nearest is ", han(glyph), ` ${name}.`);
    } else {
      status.replaceChildren(han(glyph), ` ${name}`);
      const sure = percent(probabilities[label]);
      shows.textContent = character ? `${sure} · ${character.shows}` : sure;
    }
    [...classes.rows].forEach((row, each) => {
      row.className = each === label && !isUnknown ? "best" : "";
      row.querySelector("progress").value = probabilities[each];
      row.querySelector(".share").textContent = percent(probabilities[each]);
    });
    this.#showSeen(reading);
    this.#announce(wordsFor(this.model, reading));
  }

  /** Show an error, or clear it. */
  notify(words = "") {
    this.#elements.notice.textContent = words;
    this.#elements.notice.hidden = !words;
  }

  /** Show the decreases from `occlusion` in red over the gray image. */
  showWhy(gray, falls) {
    const most = Math.max(...falls, 1e-9);
    const colors = [...gray.data].flatMap((value, index) => {
      const heat = Math.max(falls[index], 0) / most;
      const dim = 0.75 * value * (1 - heat);
      return [dim + 235 * heat, dim + 72 * heat, dim + 50 * heat, 255];
    });
    const { why } = this.#elements;
    paint(why, gray, Uint8ClampedArray.from(colors));
    why.setAttribute("aria-label", "The image, with the parts that the answer depends on in red");
  }

  clearWhy() {
    const { why } = this.#elements;
    why.getContext("2d").clearRect(0, 0, why.width, why.height);
    why.setAttribute("aria-label", "Not computed");
  }

  #showSeen({ gray, inverted }) {
    const { seen } = this.#elements;
    this.clearWhy();
    if (!gray) {
      seen.getContext("2d").clearRect(0, 0, seen.width, seen.height);
      seen.setAttribute("aria-label", "This browser cannot show the file");
      return;
    }
    const colors = [...gray.data].flatMap((value) => [value, value, value, 255]);
    paint(seen, gray, Uint8ClampedArray.from(colors));
    const turned = inverted ? "; it was dark on light and is inverted" : "";
    seen.setAttribute("aria-label", `The character in white on black, ${gray.width} pixels wide${turned}`);
  }

  #announce(words) {
    clearTimeout(this.#announcing);
    const { announce } = this.#elements;
    this.#announcing = setTimeout(() => {
      if (announce.textContent !== words) announce.textContent = words;
    }, 600);
  }
}

function paint(canvas, { width, height }, colors) {
  [canvas.width, canvas.height] = [width, height];
  canvas.getContext("2d").putImageData(new ImageData(colors, width, height), 0, 0);
}
