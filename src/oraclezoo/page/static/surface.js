// Drawing surface: strokes and images on a canvas, with pointer and keyboard input and undo.

const STEP = 14; // canvas pixels that an arrow key moves the cursor by
const LEAP = 56;

/** The largest centered rectangle in a square that keeps a picture's aspect ratio. */
function placed({ width, height }, edge) {
  const scale = edge / Math.max(width, height);
  return [(edge - scale * width) / 2, (edge - scale * height) / 2, scale * width, scale * height];
}

function middle(one, other) {
  return [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2];
}

/** Draw the latest part of a stroke: a curve through the midpoints between its points. */
function drawLatest(context, { points, width, erases, straight }) {
  context.globalCompositeOperation = erases ? "destination-out" : "source-over";
  context.lineWidth = width;
  const [before, from, to] = [points.at(-3), points.at(-2), points.at(-1)];
  context.beginPath();
  if (!from) {
    context.moveTo(...to);
    context.lineTo(to[0] + 0.01, to[1]); // browsers do not draw lines of zero length
  } else if (straight) {
    context.moveTo(...from);
    context.lineTo(...to);
  } else if (!before) {
    context.moveTo(...from);
    context.lineTo(...middle(from, to));
  } else {
    context.moveTo(...middle(before, from));
    context.quadraticCurveTo(...from, ...middle(from, to));
  }
  context.stroke();
}

/** Draw the last half segment of a finished stroke. */
function drawEnd(context, { points, straight }) {
  if (points.length < 2 || straight) return;
  context.beginPath();
  context.moveTo(...middle(points.at(-2), points.at(-1)));
  context.lineTo(...points.at(-1));
  context.stroke();
}

/**
 * A canvas to draw on. Dispatches `draft` while a stroke grows, `change` when a stroke is finished
 * or the content is replaced, and `tool` when a key selects a tool or a width.
 */
export class Surface extends EventTarget {
  constructor(canvas, cursor) {
    super();
    this.canvas = canvas;
    this.cursor = cursor;
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.done = [];
    this.undone = [];
    this.erases = false;
    this.width = 26;
    this.position = [canvas.width / 2, canvas.height / 2];
    this.stroke = null;
    this.pointer = null;
    this.#prepare(this.context);
    this.#listen();
  }

  /** Whether the canvas is empty. */
  get isEmpty() {
    const last = this.done.findLastIndex((each) => each.kind === "clear");
    return last === this.done.length - 1;
  }

  /** The picture on the canvas if nothing was drawn on it, or null. */
  get picture() {
    const last = this.done.at(-1);
    return last?.kind === "picture" ? last.picture : null;
  }

  /** Map a box in the shown picture to the canvas, as fractions of the canvas edge. */
  boxOf(picture, box) {
    const [x, y, width] = placed(picture.rgba, 1);
    const scale = width / picture.rgba.width;
    return [x + scale * box.x, y + scale * box.y, scale * box.width, scale * box.height];
  }

  /** The content on a white background, as RGBA pixels. */
  pixels() {
    const { width, height } = this.canvas;
    return this.#onWhite().getContext("2d").getImageData(0, 0, width, height);
  }

  /** The content on a white background, as a PNG file. */
  file() {
    return new Promise((resolve) => this.#onWhite().toBlob(resolve, "image/png"));
  }

  /** Replace the content by a picture: its `bitmap`, and the data to classify instead of the canvas. */
  show(bitmap, picture) {
    this.#add({ kind: "picture", bitmap, picture });
    this.#redraw();
    this.#changed();
  }

  clear() {
    this.#finish();
    if (this.isEmpty) return;
    this.#add({ kind: "clear" });
    this.#redraw();
    this.#changed();
  }

  undo() {
    this.#finish();
    if (!this.done.length) return;
    this.undone.push(this.done.pop());
    this.#redraw();
    this.#changed();
  }

  redo() {
    if (!this.undone.length) return;
    this.done.push(this.undone.pop());
    this.#redraw();
    this.#changed();
  }

  #prepare(context) {
    context.lineCap = context.lineJoin = "round";
    context.strokeStyle = "#000";
  }

  #onWhite() {
    const copy = document.createElement("canvas");
    [copy.width, copy.height] = [this.canvas.width, this.canvas.height];
    const context = copy.getContext("2d", { willReadFrequently: true });
    context.fillStyle = "#fff";
    context.fillRect(0, 0, copy.width, copy.height);
    context.drawImage(this.canvas, 0, 0);
    return copy;
  }

  #add(operation) {
    this.done.push(operation);
    this.undone = [];
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }

  #redraw() {
    const { width, height } = this.canvas;
    this.context.globalCompositeOperation = "source-over";
    this.context.clearRect(0, 0, width, height);
    const first = this.done.findLastIndex((each) => each.kind !== "stroke");
    for (const each of this.done.slice(Math.max(first, 0))) {
      if (each.kind === "picture") {
        this.context.globalCompositeOperation = "source-over";
        this.context.drawImage(each.bitmap, ...placed(each.bitmap, width));
      } else if (each.kind === "stroke") {
        const { points } = each;
        points.forEach((_, index) => {
          drawLatest(this.context, { ...each, points: points.slice(Math.max(index - 2, 0), index + 1) });
        });
        drawEnd(this.context, each);
      }
    }
  }

  #begin(point, { straight = false, erases = this.erases } = {}) {
    this.#finish();
    this.stroke = { kind: "stroke", points: [point], width: this.width, erases, straight };
    this.#add(this.stroke);
    drawLatest(this.context, this.stroke);
    this.dispatchEvent(new Event("draft"));
  }

  #extend(points) {
    for (const point of points) {
      this.stroke.points.push(point);
      drawLatest(this.context, this.stroke);
    }
    this.dispatchEvent(new Event("draft"));
  }

  #finish() {
    if (!this.stroke) return;
    drawEnd(this.context, this.stroke);
    this.stroke = null;
    this.pointer = null;
    this.#moveCursor();
    this.#changed();
  }

  #pointOf(event) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    return [
      ((event.clientX - left) / width) * this.canvas.width,
      ((event.clientY - top) / height) * this.canvas.height,
    ];
  }

  #listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => {
      if (this.pointer !== null || event.button > 0 && event.button !== 5) return;
      event.preventDefault(); // no selection, and no scrolling in browsers without touch-action
      canvas.focus({ preventScroll: true, focusVisible: false });
      canvas.setPointerCapture(event.pointerId);
      this.cursor.hidden = true;
      // button 5 is the eraser end of a pen
      this.#begin(this.#pointOf(event), { erases: this.erases || event.button === 5 });
      this.pointer = event.pointerId;
    });
    canvas.addEventListener("pointermove", (event) => {
      if (event.pointerId !== this.pointer || !this.stroke) return;
      const events = event.getCoalescedEvents?.() ?? [];
      this.#extend((events.length ? events : [event]).map((each) => this.#pointOf(each)));
    });
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, (event) => {
        if (event.pointerId === this.pointer) this.#finish();
      });
    }
    canvas.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
    canvas.addEventListener("keydown", (event) => this.#onKey(event));
    canvas.addEventListener("blur", () => {
      this.#finish();
      this.cursor.hidden = true;
    });
  }

  #onKey(event) {
    const control = event.ctrlKey || event.metaKey;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (control && key === "z") event.shiftKey ? this.redo() : this.undo();
    else if (control && key === "y") this.redo();
    else if (control || event.altKey) return;
    else if (key in moves) this.#move(moves[key], event.shiftKey ? LEAP : STEP);
    else if (key === " ") this.stroke ? this.#finish() : this.#begin([...this.position], { straight: true });
    else if (key === "Escape") this.#finish();
    else if (key === "Delete" || key === "Backspace") this.clear();
    else if (key === "p" || key === "e") this.#choose({ erases: key === "e" });
    else if (key === "[" || key === "]") this.#choose({ width: this.width + (key === "]" ? 4 : -4) });
    else return;
    event.preventDefault();
    if (key in moves || key === " ") this.#moveCursor(true);
  }

  #move([x, y], by) {
    const within = (value, most) => Math.min(Math.max(value, 0), most);
    const [left, top] = this.position;
    this.position = [within(left + x * by, this.canvas.width), within(top + y * by, this.canvas.height)];
    if (this.stroke) this.#extend([[...this.position]]);
  }

  #choose({ erases = this.erases, width = this.width }) {
    this.erases = erases;
    this.width = Math.min(Math.max(width, 10), 56);
    this.dispatchEvent(new Event("tool"));
  }

  #moveCursor(shown = false) {
    if (shown) this.cursor.hidden = false;
    this.cursor.style.left = `${(100 * this.position[0]) / this.canvas.width}%`;
    this.cursor.style.top = `${(100 * this.position[1]) / this.canvas.height}%`;
    this.cursor.classList.toggle("down", this.stroke !== null);
  }
}
