// Polarity detection: whether a character is lighter or darker than its background. The counterpart
// of oraclezoo.imaging.polarity, which explains the rules.
import { border, crop, histogram, mapped, mean } from "./gray.js";

const PREPARED_SHARE = 0.55;
export const FRAME_SHARE = 0.9;
const FRAME_SHARE_BY_MAJORITY = 0.75;
const SOLID_SHARE = 0.97;
const MAX_ASPECT = 1.75;
const STRAY_SHARE = 0.02;
const MIN_MARGIN_SHARE = 0.01;
const MIN_EDGE = 8;

/** Whether an image must be inverted to show a light character on dark. */
export function isDarkOnLight(gray, size) {
  const threshold = otsu(gray.data);
  const bright = mapped(gray, (value) => (value > threshold ? 1 : 0));
  const share = mean(border(bright));
  if (gray.width === size && gray.height === size) return share > PREPARED_SHARE;
  if (share === 0.5) return mean(bright.data) > 0.5;
  const lightBorder = share > 0.5;
  const other = mapped(bright, (value) => ((value === 1) !== lightBorder ? 1 : 0));
  return lightBorder !== isFramed(other);
}

/** Whether a character is darker than the page, whose gray value is `level`. */
export function isDarkOnPage(inside, level) {
  return level > otsu(inside.data);
}

/** Whether a mask shows a scan: a rectangle, mostly filled, with a margin around it. */
export function isFramed(other) {
  const { width, height, data } = other;
  const inRow = new Uint32Array(height);
  const inColumn = new Uint32Array(width);
  for (let y = 0, index = 0; y < height; y++) {
    for (let x = 0; x < width; x++, index++) {
      inRow[y] += data[index];
      inColumn[x] += data[index];
    }
  }
  const isRow = (count) => count > STRAY_SHARE * width;
  const isColumn = (count) => count > STRAY_SHARE * height;
  const [top, bottom] = [inRow.findIndex(isRow), inRow.findLastIndex(isRow) + 1];
  const [left, right] = [inColumn.findIndex(isColumn), inColumn.findLastIndex(isColumn) + 1];
  if (!bottom || !right) return false;
  const margin = Math.min(top, left, height - bottom, width - right);
  const inside = crop(other, [left, top, right, bottom]);
  if (margin < MIN_MARGIN_SHARE * Math.max(width, height)) return false;
  if (Math.min(inside.width, inside.height) < MIN_EDGE) return false;
  if (mean(inside.data) <= 0.5 || isBar(inside)) return false;
  const required = mean(data) > 0.5 ? FRAME_SHARE_BY_MAJORITY : FRAME_SHARE;
  return mean(border(inside)) > required;
}

/** Whether a rectangle that differs from its surroundings is a stroke, not a scan. */
export function isBar(other) {
  const { width, height, data } = other;
  const long = Math.max(width, height) > MAX_ASPECT * Math.min(width, height);
  return long && mean(data) > SOLID_SHARE;
}

/** Otsu's threshold: pixels above it form one class, the rest the other. */
export function otsu(data) {
  const counts = histogram(data);
  const below = new Float64Array(256);
  const weighted = new Float64Array(256);
  let [number, weight] = [0, 0];
  for (let value = 0; value < 256; value++) {
    number += counts[value];
    weight += counts[value] * value;
    below[value] = number;
    weighted[value] = weight;
  }
  let [best, threshold] = [-1, -1];
  for (let value = 0; value < 256; value++) {
    const above = number - below[value];
    const distance = weighted[value] / below[value] - (weight - weighted[value]) / above;
    const between = (below[value] * above * (distance * distance)) / (number * number);
    if (between > best) [best, threshold] = [between, value]; // false for NaN: an empty class
  }
  return threshold < 0 ? counts.findIndex((count) => count > 0) : threshold;
}
