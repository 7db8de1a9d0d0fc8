// Crop the character with a margin as in training images, without page, shading and frame: the
// counterpart of oraclezoo.imaging.cutting.
import { border, crop, extent, mapped, mean, quantile, replicated, zeros } from "./gray.js";
import { surfaceLevel } from "./find.js";
import { isConstant } from "./page.js";
import { otsu } from "./polarity.js";

const MARGIN = 12;
const NOISE = 4;
const FAINT = 200;
const STRONG = 240;
const FRAME_TOLERANCE = 8;
const FRAME_SHARE = 8;
const LEAST_CONTRAST = 32;

/** The width of the frame around a picture in pixels, 0 if it has none. */
export function frameWidth(gray) {
  const { width, height } = gray;
  const tone = gray.data[0];
  const most = Math.floor(Math.min(width, height) / FRAME_SHARE);
  const inside = (by) => crop(gray, [by, by, width - by, height - by]);
  let frame = 0;
  for (; frame <= most; frame++) {
    const [low, high] = extent(border(inside(frame)));
    if (high - tone > FRAME_TOLERANCE || tone - low > FRAME_TOLERANCE) break;
  }
  if (frame === 0 || frame > most) return 0;
  const picture = inside(frame);
  const [low, high] = extent(picture.data);
  if (high - low < LEAST_CONTRAST) return 0;
  const threshold = otsu(picture.data);
  const isLight = mean(border(picture).map((value) => (value > threshold ? 1 : 0))) > 0.5;
  return tone > threshold !== isLight ? frame : 0;
}

/** A character, light on dark, with its margin; pixels outside the picture are 0. */
export function cut(gray, found) {
  const { box, surface, darkOnLight } = found;
  const longest = Math.max(box.width, box.height);
  const around = found.needsMargin ? Math.floor((MARGIN * longest + 50) / 100) : 0;
  const [left, top] = [Math.max(box.x - around, 0), Math.max(box.y - around, 0)];
  const right = Math.min(box.x + box.width + around, gray.width);
  const bottom = Math.min(box.y + box.height + around, gray.height);
  let light = crop(gray, [left, top, right, bottom]);
  if (surface) {
    light = freed(light, surface, darkOnLight, left, top);
    if (surface.spread || !isPlain(surface.tone)) {
      const [x, y] = [box.x - left, box.y - top];
      light = brightened(light, crop(light, [x, y, x + box.width, y + box.height]));
    }
  } else if (darkOnLight) {
    light = mapped(light, (value) => 255 - value);
  }
  if (!around) return light;
  const padded = zeros(box.width + 2 * around, box.height + 2 * around);
  const at = (top - box.y + around) * padded.width + left - box.x + around;
  for (let y = 0; y < light.height; y++) {
    const row = light.data.subarray(y * light.width, (y + 1) * light.width);
    padded.data.set(row, at + y * padded.width);
  }
  return padded;
}

/** Whether a page is plain black or white. */
function isPlain(tone) {
  return isConstant(tone) && (tone[0] === 0 || tone[0] === 255);
}

/** The difference from the page; `left` and `top` locate the first pixel of `gray`. */
function freed(gray, surface, darkOnLight, left, top) {
  const light = zeros(gray.width, gray.height);
  const noise = surface.spread ? NOISE : 0;
  for (let y = 0; y < gray.height; y++) {
    const row = { x: left, y: top + y, width: gray.width, height: 1 };
    const level = surfaceLevel(surface, row).data;
    for (let x = 0, index = y * gray.width; x < gray.width; x++, index++) {
      const value = gray.data[index];
      const difference = (darkOnLight ? level[x] - value : value - level[x]) - noise;
      light.data[index] = Math.min(Math.max(Math.floor(difference + 0.5), 0), 255);
    }
  }
  return light;
}

function brightened(light, inside) {
  const top = Math.max(quantile(inside.data, 99, 100), 1);
  if (top >= FAINT) return light;
  const half = top >> 1;
  return mapped(light, (value) => Math.min(Math.floor((value * STRONG + half) / top), 255));
}

/** Blur with the binomial kernel 1, 2, 1 in both directions; edges are replicated. */
export function soften(gray) {
  const { width, height } = gray;
  const { data, width: wide } = replicated(gray, 1);
  const blurred = zeros(width, height);
  const across = (at) => data[at] + 2 * data[at + 1] + data[at + 2];
  for (let y = 0, index = 0; y < height; y++) {
    for (let x = 0; x < width; x++, index++) {
      const at = y * wide + x;
      const sum = across(at) + 2 * across(at + wide) + across(at + 2 * wide);
      blurred.data[index] = (sum + 8) >> 4;
    }
  }
  return blurred;
}

/** Whether an image has at most two gray values. */
export function isOneBit(gray) {
  const [low, high] = extent(gray.data);
  return gray.data.every((value) => value === low || value === high);
}
