// Convert RGBA pixels to gray values: the counterpart of `to_gray` in oraclezoo.imaging.decode.
import { extent, median, percentile, zeros } from "./gray.js";

const CONTRAST = 64; // minimum difference in gray between a character and its background

/** A picture that cannot be read; the message says why. */
export class PictureError extends Error {}

/**
 * The gray values of RGBA pixels (ITU-R 601-2 weights, in 16-bit fixed point).
 *
 * Transparent pixels become background; `keyed` says that one color of the file marks
 * transparent pixels. Throws PictureError if all pixels are transparent.
 */
export function toGray({ width, height, data }, keyed = false) {
  const gray = zeros(width, height);
  const alpha = new Uint8Array(width * height);
  let [least, most] = [255, 0];
  for (let index = 0, at = 0; index < alpha.length; index++, at += 4) {
    const level = 19595 * data[at] + 38470 * data[at + 1] + 7471 * data[at + 2] + 0x8000;
    gray.data[index] = level >>> 16;
    const opacity = (alpha[index] = data[at + 3]);
    if (opacity < least) least = opacity;
    if (opacity > most) most = opacity;
  }
  if (least === 255) return gray;
  if (most === 0) throw new PictureError("the image is blank: every pixel is transparent");
  const background = backgroundOf(gray, alpha, keyed);
  for (let index = 0; index < alpha.length; index++) {
    const mixed = gray.data[index] * alpha[index] + background * (255 - alpha[index]);
    gray.data[index] = Math.floor((mixed + 127) / 255);
  }
  return gray;
}

/** The gray value that replaces transparent pixels. */
function backgroundOf(gray, alpha, keyed) {
  const shade = gray.data;
  const visible = shade.filter((_, index) => alpha[index] >= 128);
  const erased = shade.filter((_, index) => alpha[index] === 0);
  const [low, high] = extent(erased);
  const color = low === high ? low : null;
  if (color !== null && (keyed || color > 0) && differs(visible, color)) return color;
  if (2 * visible.length > shade.length && contrast(visible) >= CONTRAST) {
    const near = dilated(gray.width, gray.height, alpha);
    const beside = shade.filter((_, index) => alpha[index] === 255 && near[index]);
    return Math.trunc(median(beside.length ? beside : visible));
  }
  let [weighted, weights] = [0, 0];
  for (let index = 0; index < alpha.length; index++) {
    weighted += shade[index] * alpha[index];
    weights += alpha[index];
  }
  return weighted / weights < 128 ? 255 : 0;
}

function contrast(visible) {
  return percentile(visible, 95) - percentile(visible, 5);
}

function differs(visible, background) {
  if (!visible.length) return false;
  return percentile(visible.map((value) => Math.abs(value - background)), 95) >= CONTRAST;
}

/** A mask of the pixels with a non-opaque pixel in their 3 x 3 neighborhood. */
function dilated(width, height, alpha) {
  const across = new Uint8Array(alpha.length);
  const near = new Uint8Array(alpha.length);
  for (let index = 0; index < alpha.length; index++) {
    const x = index % width;
    const left = x > 0 && alpha[index - 1] < 255;
    const right = x < width - 1 && alpha[index + 1] < 255;
    across[index] = left || right || alpha[index] < 255 ? 1 : 0;
  }
  for (let index = 0; index < alpha.length; index++) {
    near[index] = across[index] | (across[index - width] ?? 0) | (across[index + width] ?? 0);
  }
  return near;
}
