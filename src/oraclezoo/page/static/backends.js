// Backends: the server that sent the page, or ONNX Runtime in the browser. Both have the same
// methods. `models()` lists {name, about}; `select(name)` opens a model and returns its classes,
// size, smoothing and threshold; `read(picture)` classifies a picture from `decode` or from the
// surface; `probabilities(images)` classifies preprocessed images.
import { PictureError } from "./imaging/rgba.js";

const BATCH = 32; // images per request, well below the limit of servers

/** Calls to the worker, as promises. */
class Helper extends EventTarget {
  #worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  #waiting = new Map();
  #number = 0;

  constructor() {
    super();
    this.#worker.onmessage = ({ data }) => {
      if ("progress" in data) {
        this.dispatchEvent(new CustomEvent("progress", { detail: data.progress }));
        return;
      }
      const { resolve, reject } = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if (!("error" in data)) resolve(data.result);
      else reject(data.isPicture ? new PictureError(data.error) : new Error(data.error));
    };
    this.#worker.onerror = () => {
      const failure = new Error("The page's files cannot be loaded. Reload the page.");
      this.#waiting.forEach(({ reject }) => reject(failure));
      this.#waiting.clear();
    };
  }

  ask(call, argument) {
    const id = this.#number++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, call, argument });
    });
  }

  prepare({ rgba, jpeg = false, keyed = false }, { size, smoothing }) {
    const { width, height, data } = rgba;
    const options = { jpeg, keyed, smoothing };
    return this.ask("prepare", { rgba: { width, height, data }, size, options });
  }
}

/** Backend that runs the model in the browser; images never leave it. */
export class BrowserBackend extends Helper {
  isLocal = true;

  constructor(config) {
    super();
    this.config = config;
  }

  async models() {
    return this.config.models.map(({ name, summary }) => ({ name, about: summary }));
  }

  async select(name) {
    const model = await this.#open({ folder: new URL(`models/${name}`, document.baseURI).href });
    this.model = model; // on failure, the current model stays
    return model;
  }

  /** Open a custom model from the text of its card and the bytes of its ONNX file. */
  async adopt(card, graph) {
    const model = await this.#open({ card, graph });
    this.model = model;
    return model;
  }

  async read(picture) {
    const prepared = await this.prepare(picture, this.model);
    const { probabilities, unknown } = await this.probabilities([prepared.gray.data]);
    const score = unknown?.[0] ?? null;
    const { threshold } = this.model;
    const isUnknown = score === null || threshold === null ? null : score >= threshold;
    return { ...prepared, probabilities: probabilities[0], isUnknown };
  }

  probabilities(images) {
    return this.ask("probabilities", { images });
  }

  #open(model) {
    const { bytes, sha256 } = this.config.runtime;
    const folder = new URL("runtime", document.baseURI).href;
    return this.ask("open", { runtime: { folder, bytes, sha256 }, model });
  }
}

/** Backend that sends the image file to the server that served the page. */
export class ServerBackend extends Helper {
  isLocal = false;
  token = "";

  async models() {
    const { models } = await this.#fetch("v1/models");
    this.known = new Map(models.map((each) => [each.name, each]));
    return models.map(({ name, precision }) => ({ name, about: precision ?? "" }));
  }

  async select(name) {
    const { classes, image_size: size, jpeg_smoothing: smoothing } = this.known.get(name);
    this.name = name;
    this.model = { classes, size, smoothing: smoothing ?? 0, threshold: null };
    return this.model;
  }

  async read(picture) {
    const number = this.model.classes.length;
    const query = new URLSearchParams({ model: this.name, top: number });
    const document = await this.#fetch(`v1/predict?${query}`, { method: "POST", body: picture.blob });
    const { images, unreadable } = document.data;
    if (!images.length) throw new PictureError(unreadable[0]?.reason ?? "it cannot be read");
    const [row] = images;
    const probabilities = new Float32Array(number);
    for (const { label, probability } of row.top) probabilities[label] = probability;
    // the server decodes formats that the browser does not; such an image cannot be shown
    const view = picture.rgba ? await this.prepare(picture, this.model) : null;
    const { inverted, box } = row;
    return { gray: view?.gray ?? null, inverted, box, probabilities, isUnknown: row.unknown ?? null };
  }

  async probabilities(images) {
    const rows = [];
    for (let first = 0; first < images.length; first += BATCH) {
      rows.push(...(await this.#infer(images.slice(first, first + BATCH))));
    }
    return { probabilities: rows, unknown: null };
  }

  /** Use the Open Inference Protocol, with the images as binary data after the JSON header. */
  async #infer(images) {
    const { size, classes } = this.model;
    const shape = [images.length, size, size];
    const parameters = { binary_data_size: images.length * size * size };
    const head = JSON.stringify({
      inputs: [{ name: "images", datatype: "UINT8", shape, parameters }],
      outputs: [{ name: "probabilities", parameters: { binary_data: false } }],
    });
    const { outputs } = await this.#fetch(`v2/models/${encodeURIComponent(this.name)}/infer`, {
      method: "POST",
      headers: { "Inference-Header-Content-Length": new TextEncoder().encode(head).length },
      body: new Blob([head, ...images]),
    });
    const { data } = outputs.find((each) => each.name === "probabilities");
    const row = (_, index) => data.slice(index * classes.length, (index + 1) * classes.length);
    return images.map(row);
  }

  async #fetch(path, options = {}) {
    const headers = { ...options.headers };
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    const url = new URL(path, document.baseURI);
    const response = await fetch(url, { ...options, headers }).catch(() => {
      throw new Error("The server does not answer.");
    });
    if (response.status === 401) throw new TokenError("The server asks for a token.");
    const content = await response.json().catch(() => ({}));
    const isVerdict = response.ok || content.data?.unreadable; // 422: no image could be read
    if (!isVerdict) throw new Error(content.error ?? `The server failed (${response.status}).`);
    return content;
  }
}

/** The server requires a bearer token. */
export class TokenError extends Error {}
