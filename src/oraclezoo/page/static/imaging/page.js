// Model of the page around a character: its tone at every pixel, and the pixels that differ. The
// counterpart of oraclezoo.imaging.page; docs/internals/finding.md specifies the algorithm.
import { components, maskOf } from "./components.js";
import { border, crop, image, mapped, mean, median, quantile, replicated, sum } from "./gray.js";
import { extent, values, zeros } from "./gray.js";

const SPREAD = 3;
const HOPELESS = 8;
const FLATTEST = 6;
const ROUGHEST = 48;
const RULED_SHARE = 0.4;
const RULED_SPREAD = 2;
const RULED_RANGE = 3;
const MIN_SHARE = 0.1;
const DIFFERS = 10;
const DIFFERS_EXACT = 5;
const BAND = 0.12;
const BAND_FLAT = 0.35;
const RING = 0.72;

const constant = (level) => [level, 0, 0, 0, 0, 0];

/** Whether a tone is the same everywhere. */
export const isConstant = (tone) => tone.slice(1).every((factor) => factor === 0);

/** A page's tone `c0 + c1 x + c2 y + c3 x^2 + c4 x y + c5 y^2` at positions in half pixels. */
export function toneAt(tone, xs, ys) {
  const [c0, c1, c2, c3, c4, c5] = tone;
  const level = image(xs.length, ys.length, new Float64Array(xs.length * ys.length));
  if (isConstant(tone)) {
    level.data.fill(c0);
    return level;
  }
  const squares = xs.map((x) => c3 * (x * x));
  ys.forEach((y, row) => {
    const base = c0 + c2 * y + c5 * (y * y);
    const slope = c1 + c4 * y;
    for (let x = 0; x < xs.length; x++) {
      level.data[row * xs.length + x] = base + slope * xs[x] + squares[x];
    }
  });
  return level;
}

/** The position of each pixel of an edge in half pixels from the edge's center. */
export function halfPixels(length) {
  return Float64Array.from({ length }, (_, index) => 1 - length + 2 * index);
}

/** Yield the page of an image, fitted as plain and then as ruled paper, where possible. */
export function* findPages(gray) {
  const variation = localRange(gray);
  const quarter = quantile(variation.data, 1, 4);
  const plain = fitPage(gray, variation, Math.min(2 * quarter + FLATTEST, ROUGHEST), false);
  if (plain) yield plain;
  if (quantile(variation.data, 1, 10) <= RULED_RANGE) {
    const ruled = fitPage(gray, variation, ROUGHEST, true);
    if (ruled) yield ruled;
  }
}

function fitPage(gray, variation, flattest, ruled) {
  const { width, height } = gray;
  const parts = components(mapped(variation, (value) => (value <= flattest ? 1 : 0)));
  if (!parts.length) return null;
  const largest = parts.reduce((best, part) => (part.area > best.area ? part : best));
  if (largest.area < (ruled ? RULED_SHARE : MIN_SHARE) * gray.data.length) return null;
  const mask = maskOf(largest, width, height);
  const [left, top, right, bottom] = largest.box;
  // a tinted object may have joined the page, so the tone is fitted to the outer band first
  const wide = Math.max(2, Math.trunc(BAND * Math.min(bottom - top, right - left)));
  const band = mapped(mask, (value) => value);
  for (let y = top + wide; y < bottom - wide; y++) {
    band.data.fill(0, y * width + left + wide, Math.max(y * width + right - wide, y * width + left + wide));
  }
  const inner = Math.max(bottom - top - 2 * wide, 0) * Math.max(right - left - 2 * wide, 0);
  const hasBand = sum(band.data) >= BAND_FLAT * ((bottom - top) * (right - left) - inner);
  let fitted = hasBand ? band : mask;
  let tone = fit(gray, fitted);
  let [level, distance, spread] = compare(gray, tone, fitted);
  if (spread > HOPELESS) return null;
  if (spread > 1) {
    tone = fit(gray, within(fitted, distance, Math.max(4, 2 * spread)));
    [level, distance, spread] = compare(gray, tone, fitted);
  }
  if (spread > (ruled ? RULED_SPREAD : SPREAD + 1)) return null;
  if (hasBand && !isConstant(tone)) {
    fitted = within(mask, distance, Math.max(DIFFERS, 4 * spread));
    tone = fit(gray, fitted);
    [level, distance, spread] = compare(gray, tone, fitted);
  }
  if (spread > SPREAD) return null;
  const least = ruled ? ROUGHEST + 8 : Math.max(spread ? DIFFERS : DIFFERS_EXACT, 4 * spread);
  const differs = mapped(distance, (value) => (value > least ? 1 : 0));
  const inset = Math.min(bottom - top, right - left) > 20 ? 2 : 0;
  const inside = crop(differs, [left + inset, top + inset, right - inset, bottom - inset]);
  if (mean(border(inside)) > 1 - RING) return null;
  return { tone, level, spread, distance, differs, edges: [left, top, right, bottom], ruled };
}

function within(mask, distance, most) {
  return mapped(mask, (value, index) => (value && distance.data[index] <= most ? 1 : 0));
}

/** The range of gray values in each 3 x 3 neighborhood; edges are replicated. */
function localRange(gray) {
  const { width, height } = gray;
  const padded = replicated(gray, 1);
  const wide = padded.width;
  const rows = [zeros(wide, height), zeros(wide, height)]; // largest and smallest of three rows
  for (let index = 0; index < wide * height; index++) {
    const [a, b, c] = [index, index + wide, index + 2 * wide].map((at) => padded.data[at]);
    rows[0].data[index] = Math.max(a, b, c);
    rows[1].data[index] = Math.min(a, b, c);
  }
  const variation = zeros(width, height);
  for (let y = 0, index = 0; y < height; y++) {
    for (let x = 0; x < width; x++, index++) {
      const at = y * wide + x;
      const [high, low] = rows.map((each) => each.data);
      variation.data[index] =
        Math.max(high[at], high[at + 1], high[at + 2]) - Math.min(low[at], low[at + 1], low[at + 2]);
    }
  }
  return variation;
}

/** The level of the page, the distance from it and the spread of the fitted pixels. */
function compare(gray, tone, fitted) {
  const level = toneAt(tone, halfPixels(gray.width), halfPixels(gray.height));
  const distance = mapped(gray, (value, index) =>
    Math.min(Math.abs(Math.floor(value - level.data[index] + 0.5)), 255),
  );
  return [level, distance, quantile(values(distance, fitted), 17, 25)];
}

const POWERS = [[0, 0], [1, 0], [0, 1], [2, 0], [1, 1], [0, 2]]; // of x and y, by coefficient

/** Fit the tone by least squares to the fitted pixels. */
function fit(gray, fitted) {
  const { width, height } = gray;
  const pixels = values(gray, fitted);
  const [lowest, highest] = extent(pixels);
  if (lowest === highest) return constant(lowest);
  const xs = halfPixels(width);
  const ys = halfPixels(height);
  // sums of x^i y^j by [i][j], exact: integers far below 2^53
  const sums = Array.from({ length: 5 }, () => new Float64Array(5));
  const weighted = Array.from({ length: 3 }, () => new Float64Array(3));
  for (let y = 0; y < height; y++) {
    const inRow = new Float64Array(5);
    const grays = new Float64Array(3);
    for (let x = 0; x < width; x++) {
      if (!fitted.data[y * width + x]) continue;
      const value = gray.data[y * width + x];
      for (let i = 0, power = 1; i < 5; i++, power *= xs[x]) {
        inRow[i] += power;
        if (i < 3) grays[i] += power * value;
      }
    }
    for (let j = 0, power = 1; j < 5; j++, power *= ys[y]) {
      for (let i = 0; i + j < 5; i++) sums[i][j] += inRow[i] * power;
      for (let i = 0; i + j < 3; i++) weighted[i][j] += grays[i] * power;
    }
  }
  const rows = POWERS.map(([i, j]) => [
    ...POWERS.map(([k, m]) => sums[i + k][j + m]),
    weighted[i][j],
  ]);
  return solve(rows) ?? constant(median(pixels)); // null: the pixels lie on a line
}

/**
 * Solve linear equations (last column: right-hand side) by Gauss-Jordan elimination. The pivot is
 * the largest of its column, the first if there are several.
 */
function solve(rows) {
  const size = rows.length;
  for (let k = 0; k < size; k++) {
    let pivot = k;
    for (let row = k + 1; row < size; row++) {
      if (Math.abs(rows[row][k]) > Math.abs(rows[pivot][k])) pivot = row;
    }
    [rows[k], rows[pivot]] = [rows[pivot], rows[k]];
    if (Math.abs(rows[k][k]) < 1e-6) return null;
    for (let row = 0; row < size; row++) {
      if (row === k) continue;
      const factor = rows[row][k] / rows[k][k];
      for (let column = k; column <= size; column++) rows[row][column] -= factor * rows[k][column];
    }
  }
  return rows.map((row, k) => row[size] / row[k]);
}
