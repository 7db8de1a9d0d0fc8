// Gray images and masks: {width, height, data}, rows from the top. The counterpart of the NumPy
// arrays in oraclezoo.imaging: integers are exact, and doubles are computed in the same order.

/** An image with `data` of any array type. */
export function image(width, height, data) {
  return { width, height, data };
}

/** A uint8 image of zeros, also used as a mask of 0 and 1. */
export function zeros(width, height) {
  return image(width, height, new Uint8Array(width * height));
}

/** Part of an image: left, top, right and bottom (exclusive); an empty part has no pixels. */
export function crop(from, [left, top, right, bottom]) {
  const width = Math.max(right - left, 0);
  const height = Math.max(bottom - top, 0);
  const part = image(width, height, new from.data.constructor(width * height));
  for (let y = 0; y < height; y++) {
    const start = (top + y) * from.width + left;
    part.data.set(from.data.subarray(start, start + width), y * width);
  }
  return part;
}

/** An image of the same size with `value(pixel, index)` for each pixel. */
export function mapped(from, value) {
  return image(from.width, from.height, from.data.map(value));
}

/** The values of an image where a mask is true. */
export function values(from, mask) {
  return from.data.filter((_, index) => mask.data[index]);
}

/** The outermost pixels of an image, each once. */
export function border({ width, height, data }) {
  if (Math.min(width, height) <= 2) return data;
  const inner = height - 2;
  const ring = new data.constructor(2 * width + 2 * inner);
  ring.set(data.subarray(0, width), 0);
  ring.set(data.subarray((height - 1) * width), width);
  for (let y = 0; y < inner; y++) {
    ring[2 * width + y] = data[(y + 1) * width];
    ring[2 * width + inner + y] = data[(y + 2) * width - 1];
  }
  return ring;
}

export function sum(data) {
  let total = 0;
  for (const value of data) total += value;
  return total;
}

/** The mean; NaN if there are no values. */
export function mean(data) {
  return sum(data) / data.length;
}

/** The smallest and the largest value. */
export function extent(data) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of data) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/** The number of pixels of each gray value. */
export function histogram(data) {
  const counts = new Float64Array(256);
  for (const value of data) counts[value]++;
  return counts;
}

/** The smallest value such that `part / of` of the values are at most that large. */
export function quantile(data, part, of) {
  const counts = histogram(data);
  let below = 0;
  for (let value = 0; value < 256; value++) {
    below += counts[value];
    if (below * of >= data.length * part) return value;
  }
  return 256;
}

/** The k-th smallest of uint8 values, from 0. */
function ordered(counts, k) {
  let below = 0;
  for (let value = 0; value < 256; value++) {
    below += counts[value];
    if (k < below) return value;
  }
  return 255;
}

/** The median of uint8 values. */
export function median(data) {
  const counts = histogram(data);
  const half = data.length >> 1;
  const upper = ordered(counts, half);
  return data.length % 2 ? upper : (ordered(counts, half - 1) + upper) / 2;
}

/** A percentile of uint8 values with linear interpolation, as NumPy rounds it. */
export function percentile(data, percent) {
  const counts = histogram(data);
  const place = (percent / 100) * (data.length - 1);
  const first = Math.floor(place);
  const share = place - first;
  const low = ordered(counts, first);
  const step = ordered(counts, Math.min(first + 1, data.length - 1)) - low;
  return share >= 0.5 ? low + step - step * (1 - share) : low + step * share;
}

/** Round to the nearest integer, ties to even. */
export function rint(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** The image with `by` replicated pixels on each side. */
export function replicated({ width, height, data }, by) {
  const wide = width + 2 * by;
  const padded = image(wide, height + 2 * by, new data.constructor(wide * (height + 2 * by)));
  for (let y = 0; y < padded.height; y++) {
    const row = Math.min(Math.max(y - by, 0), height - 1) * width;
    for (let x = 0; x < wide; x++) {
      padded.data[y * wide + x] = data[row + Math.min(Math.max(x - by, 0), width - 1)];
    }
  }
  return padded;
}
