// Scaling and smoothing: the counterpart of `fit` and `smooth` in oraclezoo.imaging.prepare. Pillow
// scales 8-bit images in fixed point, so the weights below are rounded as in Pillow.
import { image, replicated, rint, zeros } from "./gray.js";

const BITS = 22; // fraction bits of a weight
const REACH = 2; // radius of the bicubic kernel in pixels

/** The cubic convolution kernel with a = -1/2 (Keys, 1981), evaluated in Pillow's order. */
function bicubic(distance) {
  const a = -0.5;
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

/** For each of the `to` output pixels, the first of its input pixels and their weights. */
function weightsOf(from, to) {
  const scale = from / to;
  const spread = Math.max(scale, 1);
  const support = REACH * spread;
  return Array.from({ length: to }, (_, index) => {
    const center = (index + 0.5) * scale;
    const first = Math.max(Math.trunc(center - support + 0.5), 0);
    const last = Math.min(Math.trunc(center + support + 0.5), from);
    const weights = [];
    let total = 0;
    for (let pixel = 0; pixel < last - first; pixel++) {
      const weight = bicubic((pixel + first - center + 0.5) * (1 / spread));
      weights.push(weight);
      total += weight;
    }
    const fixed = weights.map((weight) => {
      const scaled = (total ? weight / total : weight) * 2 ** BITS;
      return Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    });
    return [first, fixed];
  });
}

const clipped = (sum) => Math.min(Math.max(sum >> BITS, 0), 255);

/** Resize a uint8 image, rows first, then columns. */
export function resize(gray, width, height) {
  let scaled = gray;
  if (width !== gray.width) {
    scaled = zeros(width, gray.height);
    weightsOf(gray.width, width).forEach(([first, weights], x) => {
      for (let y = 0; y < gray.height; y++) {
        let sum = 1 << (BITS - 1);
        weights.forEach((weight, step) => (sum += gray.data[y * gray.width + first + step] * weight));
        scaled.data[y * width + x] = clipped(sum);
      }
    });
  }
  if (height === gray.height) return scaled;
  const result = zeros(width, height);
  weightsOf(gray.height, height).forEach(([first, weights], y) => {
    for (let x = 0; x < width; x++) {
      let sum = 1 << (BITS - 1);
      weights.forEach((weight, step) => (sum += scaled.data[(first + step) * width + x] * weight));
      result.data[y * width + x] = clipped(sum);
    }
  });
  return result;
}

/** Resize the longest side to `size` (bicubic) and center the image on zeros. */
export function fit(gray, size) {
  const longest = Math.max(gray.width, gray.height);
  const edge = (length) => Math.max(1, rint((length * size) / longest));
  const [width, height] = [edge(gray.width), edge(gray.height)];
  const scaled = resize(gray, width, height);
  const padded = zeros(size, size);
  const at = Math.floor((size - height) / 2) * size + Math.floor((size - width) / 2);
  for (let y = 0; y < height; y++) {
    padded.data.set(scaled.data.subarray(y * width, (y + 1) * width), at + y * size);
  }
  return padded;
}

/** Apply a Gaussian blur with a standard deviation of at most 1 pixel and replicated borders. */
export function smooth(gray, deviation) {
  const { width, height } = gray;
  const powers = [-3, -2, -1, 0, 1, 2, 3].map((step) => Math.exp(-0.5 * (step / deviation) ** 2));
  const total = powers.reduce((sum, power) => sum + power, 0);
  const taps = powers.map((power) => power / total);
  const doubles = replicated(image(width, height, Float64Array.from(gray.data)), 3);
  const wide = doubles.width;
  const rows = new Float64Array(wide * height); // blurred along the columns, which comes first
  for (let index = 0; index < rows.length; index++) {
    taps.forEach((tap, step) => (rows[index] += tap * doubles.data[index + step * wide]));
  }
  const blurred = zeros(width, height);
  for (let y = 0, index = 0; y < height; y++) {
    for (let x = 0; x < width; x++, index++) {
      let value = 0;
      taps.forEach((tap, step) => (value += tap * rows[y * wide + x + step]));
      blurred.data[index] = rint(value);
    }
  }
  return blurred;
}
