// Find the object on a page, without specks, frames, lids and text: the counterpart of
// oraclezoo.imaging.objects.
import { components, maskOf } from "./components.js";
import { crop, mean, sum, values } from "./gray.js";

const GAP = 0.2;
const SPECK = 0.04;
const AROUND = 0.1;
const WHOLE = 0.8;
const LONG = 0.95;
const THIN = 0.15;
const LID_DISTANCE = 0.05;
const LID_AREA = 0.02;

const areaOf = ([left, top, right, bottom]) => (right - left) * (bottom - top);

/** The box of the object on a page, or null if there is none. */
export function findObject(gray, page) {
  const parts = components(page.differs);
  const pixels = gray.data.length;
  const lids = parts.filter((part) => isLid(part, gray));
  const others = parts.filter((part) => !lids.includes(part));
  const around = others.filter((part) => areaOf(part.box) > WHOLE * pixels);
  const inside = others.filter((part) => !around.includes(part));
  if (!inside.length) return null;
  const edges = grown(inside);
  const elsewhere = [...lids, ...around].reduce((total, part) => total + part.area, 0);
  if (isLittered(page, edges, elsewhere)) return null;
  if (!around.every((part) => isFrame(part, gray))) return null;
  if (lids.length && !isBeside(gray, page, lids, edges)) return null;
  return edges;
}

function isLid({ box }, { width, height }) {
  const [left, top, right, bottom] = box;
  const at = [left === 0, top === 0, right === width, bottom === height];
  if (at.filter(Boolean).length >= 3) return true;
  const wide = right - left > width * LONG;
  const high = bottom - top > height * LONG;
  return (wide && (at[1] || at[3])) || (high && (at[0] || at[2]));
}

/** The bounding box of the part with the largest box and, transitively, of all parts near it. */
function grown(parts) {
  const seed = parts.reduce((best, part) => (areaOf(part.box) > areaOf(best.box) ? part : best));
  const chosen = new Set([seed]);
  while (true) {
    const boxes = [...chosen].map((part) => part.box);
    const x0 = Math.min(...boxes.map((box) => box[0]));
    const y0 = Math.min(...boxes.map((box) => box[1]));
    const x1 = Math.max(...boxes.map((box) => box[2]));
    const y1 = Math.max(...boxes.map((box) => box[3]));
    const reach = GAP * Math.max(x1 - x0, y1 - y0);
    const least = SPECK * Math.max(...[...chosen].map((part) => part.area));
    const near = parts.filter(({ area, box: [left, top, right, bottom] }) => {
      const gap = Math.max(left - x1, x0 - right, top - y1, y0 - bottom);
      return gap <= reach && area >= least;
    });
    if (near.every((part) => chosen.has(part))) return [x0, y0, x1, y1];
    near.forEach((part) => chosen.add(part));
  }
}

/** Whether much of the page differs from it outside the object, frames and lids. */
function isLittered(page, edges, elsewhere) {
  const [left, top, right, bottom] = edges;
  const [x0, y0] = page.edges;
  const onPage = sum(crop(page.differs, page.edges).data);
  const shared = [Math.max(left, x0), Math.max(top, y0), right, bottom];
  const ofObject = sum(crop(page.differs, shared).data);
  const outside = areaOf(page.edges) - areaOf(edges);
  return onPage - ofObject - elsewhere > AROUND * outside;
}

function isFrame(part, { width, height }) {
  if (part.area > THIN * areaOf(part.box)) return false;
  const [x, y] = [Math.floor(width / 8), Math.floor(height / 8)];
  const inside = crop(maskOf(part, width, height), [x, y, width - x, height - y]);
  return !inside.data.some(Boolean);
}

/** Whether the lids are darker than the page and the object is inside the page. */
function isBeside(gray, page, lids, edges) {
  const { width, height } = gray;
  const [x0, y0, x1, y1] = page.edges;
  const clear = Math.min(edges[0] - x0, edges[1] - y0, x1 - edges[2], y1 - edges[3]);
  if (clear < LID_DISTANCE * Math.max(width, height)) return false;
  const level = page.level.data[((y0 + y1) >> 1) * width + ((x0 + x1) >> 1)];
  return lids
    .filter((part) => part.area > LID_AREA * gray.data.length)
    .every((part) => mean(values(gray, maskOf(part, width, height))) <= level);
}
