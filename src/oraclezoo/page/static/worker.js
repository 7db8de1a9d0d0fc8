// Preprocessing and, where no server does it, the model: off the page's thread.
import { PictureError, prepare } from "./imaging/prepare.js";
import { Classifier } from "./classifier.js";

let classifier = null;

const calls = {
  prepare: ({ rgba, size, options }) => prepare(rgba, size, options),
  async open({ runtime, model }) {
    classifier = null;
    classifier = await Classifier.open(runtime, model, (progress) => postMessage({ progress }));
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
