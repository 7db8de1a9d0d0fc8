// Preprocess a picture for a model: the counterpart of `prepare` in oraclezoo.imaging.prepare.
import { cut, frameWidth, isOneBit, soften } from "./cutting.js";
import { find } from "./find.js";
import { crop, extent } from "./gray.js";
import { isDarkOnLight } from "./polarity.js";
import { fit, smooth } from "./resize.js";
import { PictureError, toGray } from "./rgba.js";

export { PictureError };

/**
 * Convert RGBA pixels to a model's input.
 *
 * `rgba` has width, height and data, four bytes per pixel, without premultiplied alpha. `keyed` says
 * that one color of the file marks transparent pixels, `jpeg` that the file is a JPEG image, and
 * `smoothing` is the blur of small JPEG images in pixels. Returns the `gray` of
 * `size` x `size`, a light character on zero; whether the picture was `inverted`; and the `box` of
 * the character in the picture. Throws PictureError.
 */
export function prepare(rgba, size, { keyed = false, jpeg = false, smoothing = 0 } = {}) {
  const gray = toGray(rgba, keyed);
  const [low, high] = extent(gray.data);
  if (low === high) {
    throw new PictureError("the image is blank: every pixel has the same gray value");
  }
  const found = findInFrame(gray, size);
  let light = cut(gray, found);
  if (Math.max(light.width, light.height) < 2 * size) {
    if (smoothing && jpeg) light = smooth(light, smoothing);
    else if (isOneBit(light)) light = soften(light);
  }
  return { gray: fit(light, size), inverted: found.darkOnLight, box: found.box };
}

/** The character in a picture, or the whole picture if there is nothing to crop. */
function findInFrame(gray, size) {
  const frame = frameWidth(gray);
  const inside = crop(gray, [frame, frame, gray.width - frame, gray.height - frame]);
  // a picture of the input's size, or smaller, is most likely preprocessed
  const found = (Math.max(inside.width, inside.height) > size && find(inside)) || {
    box: { x: 0, y: 0, width: inside.width, height: inside.height },
    darkOnLight: isDarkOnLight(inside, size),
    needsMargin: false,
    surface: null,
  };
  const shifted = (box) => ({ ...box, x: box.x + frame, y: box.y + frame });
  const surface = found.surface && { ...found.surface, part: shifted(found.surface.part) };
  return { ...found, box: shifted(found.box), surface };
}
