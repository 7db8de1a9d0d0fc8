// Preprocessing and, where no server does it, the model: off the page's thread.
import { PictureError, prepare } from "./imaging/prepare.js";
import { Classifier } from "./classifier.js";
import { loadRuntime } from "./loading.js";

let classifier = null;
let loading = null; // of the runtime, which is loaded once

function runtimeOf(settings) {
  loading ??= loadRuntime(settings, (progress) => postMessage({ progress }));
  return loading.catch((error) => {
    loading = null; // the next attempt loads again
    throw error;
  });
}

const calls = {
  prepare: ({ rgba, size, options }) => prepare(rgba, size, options),
  async open({ runtime, model }) {
    classifier = await Classifier.open(() => runtimeOf(runtime), model); // or the present one stays
    return classifier.summary;
  },
  probabilities: ({ images }) => classifier.run(images),
};

onmessage = async ({ data: { id, call, argument } }) => {
  try {
    postMessage({ id, result: await calls[call](argument) });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    postMessage({ id, error: message, isPicture: error instanceof PictureError });
  }
};
