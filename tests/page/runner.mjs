// Classify images with the page's code and ONNX Runtime for the web: node runner.mjs DIST MODEL IMAGES
//
// DIST holds the runtime's files, MODEL a model folder, IMAGES the bytes of prepared images. Prints
// what the model's card says to the page, and the outputs.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Classifier } from "../../src/oraclezoo/page/static/classifier.js";

const [dist, folder, file] = process.argv.slice(2);

async function loadRuntime() {
  const ort = await import(pathToFileURL(join(dist, "ort.wasm.bundle.min.mjs")).href);
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = readFileSync(join(dist, "ort-wasm-simd-threaded.wasm"));
  return ort;
}

const card = readFileSync(join(folder, "model.json"), "utf8");
const graph = new Uint8Array(readFileSync(join(folder, "model.onnx")));
try {
  const classifier = await Classifier.open(loadRuntime, { card, graph });
  const { size } = classifier.summary;
  const pixels = new Uint8Array(readFileSync(file));
  const images = Array.from({ length: pixels.length / size ** 2 }, (_, index) =>
    pixels.slice(index * size ** 2, (index + 1) * size ** 2),
  );
  const { probabilities, unknown } = await classifier.run(images);
  const rows = probabilities.map((row) => [...row]);
  console.log(JSON.stringify({ summary: classifier.summary, probabilities: rows, unknown }));
} catch (error) {
  console.log(JSON.stringify({ error: error.message }));
}
