// A model in ONNX Runtime Web; used by the worker, and by Node.js in the tests.
import { answered } from "./loading.js";

/** Maximum height and width of a model's input, in pixels. */
const LARGEST = 1024;

/** An ONNX file with its card, as `oraclezoo export` writes them. */
export class Classifier {
  constructor(ort, session, card) {
    this.ort = ort;
    this.session = session;
    this.card = card;
  }

  /** The properties of the model that the page uses. */
  get summary() {
    const { card } = this;
    return {
      classes: card.classes.map((name, label) => ({ name, glyph: card.glyphs?.[label] ?? "" })),
      size: card.input.image_size,
      smoothing: card.preprocessing.jpeg_smoothing ?? 0.4,
      threshold: card.unknown?.threshold ?? null,
      precision: card.onnx.precision,
    };
  }

  /**
   * Open a model.
   *
    * `loadRuntime` returns a promise of ONNX Runtime. `model` has a `folder` on the server, or the
    * `card` (text) and `graph` (bytes) of a custom model. Throws an Error with a message for the
    * visitor.
   */
  static async open(loadRuntime, model) {
    const card = readCard(model.card ?? (await textOf(`${model.folder}/model.json`)));
    const graph = model.graph ?? (await bytesOf(`${model.folder}/${card.onnx.file}`));
    await verify(graph, card.onnx.sha256);
    const ort = await loadRuntime();
    let session;
    try {
      session = await ort.InferenceSession.create(graph, { executionProviders: ["wasm"] });
    } catch (error) {
      throw new Error(`The model cannot be read: ${error.message}`);
    }
    if (!session.inputNames.includes("images")) {
      throw new Error("The model has no input named images: export it with oraclezoo.");
    }
    const classifier = new Classifier(ort, session, card);
    await classifier.#check();
    return classifier;
  }

  /** Run the model on a blank image. Throws an Error if its outputs do not fit the card. */
  async #check() {
    const { input } = this.card;
    let probabilities;
    try {
      ({ probabilities } = await this.run([new Uint8Array(input.image_size ** 2)]));
    } catch (error) {
      throw new Error(`The model cannot be run as model.json says: ${error.message}`);
    }
    const [row] = probabilities;
    if (![...row].every(Number.isFinite)) throw new Error("The model's outputs are not probabilities.");
  }

  /**
   * Classify images, each uint8 of size x size: {probabilities: an array for each image, unknown:
   * a score for each image or null}.
   */
  async run(images) {
    const size = this.card.input.image_size;
    const pixels = new Uint8Array(images.length * size * size);
    images.forEach((each, index) => pixels.set(each, index * size * size));
    const outputs = await this.session.run({ images: this.#input(pixels, images.length, size) });
    const values = outputs.probabilities ?? outputs.logits;
    const number = this.card.classes.length;
    if (values.data.length !== images.length * number) {
      throw new Error(`${values.data.length / images.length} outputs for ${number} classes`);
    }
    const rows = images.map((_, row) => values.data.slice(row * number, (row + 1) * number));
    const probabilities = outputs.probabilities ? rows : rows.map(softmax);
    return { probabilities, unknown: outputs.unknown ? [...outputs.unknown.data] : null };
  }

  #input(pixels, count, size) {
    if (this.session.outputNames.includes("probabilities")) {
      return new this.ort.Tensor("uint8", pixels, [count, size, size]);
    }
    const { mean, std } = this.card.preprocessing; // the graph takes standardized images
    const scaled = Float32Array.from(pixels, (value) => value / (255 * std) - mean / std);
    return new this.ort.Tensor("float32", scaled, [count, 1, size, size]);
  }
}

/** Parse the card in a model.json. Throws an Error if it is not valid. */
function readCard(text) {
  let card;
  try {
    card = JSON.parse(text);
  } catch {
    throw new Error("model.json is not JSON.");
  }
  if (card?.schema !== "oraclezoo/model/1" || !Array.isArray(card.classes)) {
    throw new Error("model.json is not a model card of oraclezoo.");
  }
  if (!card.onnx) throw new Error("model.json names no ONNX file: run oraclezoo export.");
  const { in_chans: channels, image_size: size } = card.input ?? {};
  if (!Number.isInteger(size) || size < 1 || size > LARGEST) {
    throw new Error(`model.json must have an input size from 1 to ${LARGEST} pixels.`);
  }
  if (!card.preprocessing) throw new Error("model.json has no preprocessing.");
  if (channels !== 1) throw new Error("The model does not take gray images.");
  return card;
}

async function verify(graph, sha256) {
  if (!globalThis.crypto?.subtle) return; // available only on HTTPS and localhost
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", graph));
  const hex = [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  if (hex !== sha256) throw new Error("The ONNX file is not the one that model.json names.");
}

function softmax(logits) {
  const most = Math.max(...logits);
  const powers = logits.map((value) => Math.exp(value - most));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

const textOf = async (url) => (await answered(url)).text();
const bytesOf = async (url) => new Uint8Array(await (await answered(url)).arrayBuffer());
