// Occlusion sensitivity: the decrease in a class's probability when a part of the image is
// covered. Source: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks",
// ECCV 2014, section 4.2.

/** Edge of the occluding patch, and the distance between patches, for images of 28 pixels. */
const PATCH = 7 / 28;
const STEP = 3 / 28;

/**
 * Return the mean decrease in the probability of `label` under the patches over each pixel, as a
 * Float64Array.
 *
 * `whole` is the probability without a patch. `classify` maps an array of images, uint8 of size x
 * size, to {probabilities}; it is called only once. Patches over background change nothing and are
 * omitted.
 */
export async function occlusion(image, size, label, whole, classify) {
  const patch = Math.max(1, Math.round(PATCH * size));
  const step = Math.max(1, Math.round(STEP * size));
  const patches = [];
  for (let top = 0; top + patch <= size; top += step) {
    for (let left = 0; left + patch <= size; left += step) patches.push(pixelsUnder(left, top));
  }
  function pixelsUnder(left, top) {
    const rows = Array.from({ length: patch }, (_, y) => (top + y) * size + left);
    return rows.flatMap((first) => Array.from({ length: patch }, (_, x) => first + x));
  }
  const inked = patches.filter((pixels) => pixels.some((index) => image[index]));
  const covered = inked.map((pixels) => {
    const copy = Uint8Array.from(image);
    pixels.forEach((index) => (copy[index] = 0));
    return copy;
  });
  const { probabilities } = await classify(covered);
  const others = probabilities.map((row) => row[label]);
  const falls = new Float64Array(size * size);
  const counts = new Float64Array(size * size);
  patches.forEach((pixels) => pixels.forEach((index) => counts[index]++));
  inked.forEach((pixels, number) => {
    pixels.forEach((index) => (falls[index] += whole - others[number]));
  });
  return falls.map((fall, index) => (counts[index] ? fall / counts[index] : 0));
}
