// Web worker for preprocessing and, without a server, for the model.
import { PictureError, prepare } from "./imaging/prepare.js";
import { Classifier } from "./classifier.js";
import { loadRuntime } from "./loading.js";

let classifier = null;
let loading = null; // promise of the runtime, which is loaded once

function runtimeOf(settings) {
  loading ??= loadRuntime(settings, (progress) => postMessage({ progress }));
  return loading.catch((error) => {
    loading = null; // the next attempt loads it again
    throw error;
  });
}

const calls = {
  prepare: ({ rgba, size, options }) => prepare(rgba, size, options),
  async open({ runtime, model }) {
    classifier = await Classifier.open(() => runtimeOf(runtime), model); // on failure, the current one stays
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
