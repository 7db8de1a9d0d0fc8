// Find the character in a picture: its box, its polarity and the page around it. The counterpart of
// oraclezoo.imaging.find; docs/internals/finding.md specifies the algorithm.
import { border, crop, mapped, mean, quantile, zeros } from "./gray.js";
import { findObject } from "./objects.js";
import { findPages, toneAt } from "./page.js";
import { FRAME_SHARE, isBar, isDarkOnPage, otsu } from "./polarity.js";

const WORK = 112; // maximum edge of the downscaled picture that is searched for a character
const SHEETS = 3;
const LEAST_PIXELS = 12;
const LEAST = 0.12;
const FILLED = 0.9;
const FILLED_AT_EDGE = 0.8;
const STROKES = 0.85;
const STROKES_ON_CLEAN = 0.72;
const STROKES_ON_ROUGH = 0.55;
const SCAN_LEVEL = 80;
const SCAN_CONTRAST = 100;
const OUTLINE = 0.5;
const SOLID = 0.93;
const SOLID_PIXELS = 56;
const DENSE = 0.7;
const HOLLOW = 0.6;
const SHEET = 0.6;
const SIDE = 0.97;
const MAJORITY = 0.6;

const longestOf = ([left, top, right, bottom]) => Math.max(right - left, bottom - top);
const areaOf = ([left, top, right, bottom]) => (right - left) * (bottom - top);

/**
 * The character in a picture, or null if the picture is to be used unchanged: its `box` (x, y,
 * width, height), `darkOnLight`, `needsMargin` (whether the box ends at the strokes) and the
 * `surface` around it (tone, spread, part, factor), or null.
 */
export function find(gray) {
  let part = { x: 0, y: 0, width: gray.width, height: gray.height };
  let found = null;
  for (let sheet = 0; sheet <= SHEETS; sheet++) {
    const step = findIn(gray, part, found !== null);
    if (!step) break;
    found = step;
    if (step.surface) break;
    part = step.box;
  }
  return found;
}

/** The tone of a surface at every pixel of a box of the picture. */
export function surfaceLevel({ tone, part, factor }, box) {
  const positions = (first, count, length) => {
    const reduced = Math.ceil(length / factor);
    const at = (index) => (2 * (first + index) - (factor - 1)) / factor - (reduced - 1);
    return Float64Array.from({ length: count }, (_, index) => at(index));
  };
  const xs = positions(box.x - part.x, box.width, part.width);
  const ys = positions(box.y - part.y, box.height, part.height);
  return toneAt(tone, xs, ys);
}

/** Downscale by averaging blocks of `factor` pixels; 0.5 rounds up, edges are replicated. */
export function reduced(gray, factor) {
  if (factor === 1) return gray;
  const [width, height] = [Math.ceil(gray.width / factor), Math.ceil(gray.height / factor)];
  const sums = new Float64Array(width * height);
  // the last row and column count as often as they are replicated, which may be 100,000 times
  const below = height * factor - gray.height + 1;
  const beside = width * factor - gray.width + 1;
  for (let y = 0, index = 0; y < gray.height; y++) {
    const weight = y === gray.height - 1 ? below : 1;
    const into = Math.floor(y / factor) * width;
    for (let column = 0; column < width; column++) {
      const end = Math.min((column + 1) * factor, gray.width);
      let total = 0;
      for (let x = column * factor; x < end; x++) total += gray.data[index++];
      if (end === gray.width) total += (beside - 1) * gray.data[index - 1];
      sums[into + column] += weight * total;
    }
  }
  const area = factor * factor;
  const small = zeros(width, height);
  sums.forEach((sum, index) => {
    small.data[index] = Math.floor((2 * sum + area) / (2 * area));
  });
  return small;
}

/** The object in a region of the picture; the result for a sheet has no surface. */
function findIn(gray, part, onSheet) {
  const region = crop(gray, [part.x, part.y, part.x + part.width, part.y + part.height]);
  const factor = Math.ceil(Math.max(region.width, region.height) / WORK);
  const small = reduced(region, factor);
  const found = findOnPage(small);
  if (!found) return null;
  const { page } = found;
  let { edges } = found;
  const size = Math.max(small.width, small.height);
  const longest = longestOf(edges);
  if (longest < Math.max(LEAST * size, Math.ceil(LEAST_PIXELS / factor))) return null;
  const differs = crop(page.differs, edges);
  const [outline, cover] = [mean(border(differs)), mean(differs.data)];
  const [middleX, middleY] = [(edges[0] + edges[2]) >> 1, (edges[1] + edges[3]) >> 1];
  const level = page.level.data[middleY * small.width + middleX];
  let dark = isDarkOnPage(crop(small, edges), level);
  const solid = page.spread > 0 && longest * factor >= SOLID_PIXELS && outline + cover >= SOLID;
  let filled = outline >= OUTLINE || solid;
  const sheet = cover > SHEET && !page.ruled ? findSheet(small, page, edges, level) : null;
  if (sheet) {
    edges = sheet;
    dark = level <= otsu(crop(small, sheet).data);
    filled = true;
  }
  let limit = STROKES;
  if (filled) limit = clearance(edges, small) < 0.02 * size ? FILLED_AT_EDGE : FILLED;
  else if (!onSheet) limit = strokeLimit(page, edges, level, dark);
  if (longestOf(edges) > limit * size) return null;
  const [left, top, right, bottom] = edges.map((edge) => edge * factor);
  const box = {
    x: part.x + left,
    y: part.y + top,
    width: Math.min(right, part.width) - left,
    height: Math.min(bottom, part.height) - top,
  };
  const surface = sheet ? null : { tone: page.tone, spread: page.spread, part, factor };
  return { box, darkOnLight: dark, needsMargin: cover < (filled ? HOLLOW : DENSE), surface };
}

function findOnPage(gray) {
  if (Math.min(gray.width, gray.height) < 8) return null;
  for (const page of findPages(gray)) {
    const edges = findObject(gray, page);
    if (edges) return { page, edges };
  }
  return null;
}

/** The distance of a box from the nearest edge of the image. */
function clearance([left, top, right, bottom], { width, height }) {
  return Math.min(left, top, width - right, height - bottom);
}

/** The object as a sheet of the opposite tone, without folded corners, or null if it is none. */
function findSheet(gray, page, edges, level) {
  const inner = upright(page.differs, edges);
  if (2 * areaOf(inner) < areaOf(edges)) return null;
  const threshold = otsu(crop(gray, inner).data);
  const opposite = mapped(gray, (value) => (value > threshold !== level > threshold ? 1 : 0));
  if (isBar(crop(opposite, inner))) return null;
  if (mean(border(crop(opposite, edges))) >= FRAME_SHARE) return inner;
  const [left, top, right, bottom] = inner;
  const further = [left + 1, top + 1, right - 1, bottom - 1]; // the sheet's edge may be blurred
  if (mean(border(crop(opposite, further))) < MAJORITY) return null;
  return findOnPage(crop(gray, further)) ? further : null;
}

/** Shrink a box by the side that differs least, until every side differs from the page. */
function upright(differs, edges) {
  let [left, top, right, bottom] = edges;
  while (right - left > 6 && bottom - top > 6) {
    const sides = [
      [left, top, left + 1, bottom],
      [left, top, right, top + 1],
      [right - 1, top, right, bottom],
      [left, bottom - 1, right, bottom],
    ];
    const shares = sides.map((side) => mean(crop(differs, side).data));
    const worst = shares.indexOf(Math.min(...shares));
    if (shares[worst] >= SIDE) break;
    if (worst === 0) left++;
    else if (worst === 1) top++;
    else if (worst === 2) right--;
    else bottom--;
  }
  return [left, top, right, bottom];
}

/** The maximum longer edge of strokes, as a fraction of the picture's. */
function strokeLimit(page, edges, level, dark) {
  const contrast = quantile(crop(page.distance, edges).data, 99, 100);
  if (contrast < SCAN_CONTRAST || (dark ? 255 - level : level) > SCAN_LEVEL) return STROKES;
  if (dark) return STROKES_ON_CLEAN;
  const [left, top, right, bottom] = edges;
  const { width } = page.distance;
  const isOutside = page.distance.data.some((value, index) => {
    const [x, y] = [index % width, Math.floor(index / width)];
    const near = x >= left - 3 && x < right + 3 && y >= top - 3 && y < bottom + 3;
    return value > 2 && !near;
  });
  return isOutside ? STROKES_ON_ROUGH : STROKES_ON_CLEAN;
}
