// Image files: their pixels without premultiplied alpha, and the properties of each file.
import { PictureError } from "./imaging/rgba.js";

const MAX_BYTES = 64 * 2 ** 20;
const MAX_PIXELS = 64_000_000;

/**
 * Decode a file to {bitmap, rgba, jpeg, keyed, blob, name}, with the options of `prepare`.
 *
 * Colors are neither converted nor premultiplied by alpha. Throws PictureError.
 */
export async function decode(blob, name = blob.name ?? "picture") {
  if (!blob.size) throw new PictureError("the file is empty");
  if (blob.size > MAX_BYTES) throw new PictureError("the file is larger than 64 MiB");
  const head = new Uint8Array(await blob.slice(0, 2 ** 20).arrayBuffer());
  let bitmap;
  try {
    const options = { premultiplyAlpha: "none", colorSpaceConversion: "none" };
    bitmap = await createImageBitmap(blob, options);
  } catch {
    throw new PictureError("this browser cannot read the file as a picture");
  }
  if (bitmap.width * bitmap.height > MAX_PIXELS) {
    throw new PictureError("the picture has more than 64 million pixels; resize it");
  }
  const rgba = pixelsOf(bitmap);
  return { bitmap, rgba, jpeg: isJpeg(head), keyed: isKeyed(head), blob, name };
}

/** The RGBA pixels of a bitmap, including the colors of transparent pixels. */
export function pixelsOf(bitmap) {
  const { width, height } = bitmap;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, width, height);
  const rgba = { width, height, data: new Uint8Array(pixels.data.buffer) };
  const isOpaque = rgba.data.every((value, index) => index % 4 !== 3 || value === 255);
  // a 2D canvas discards the colors of transparent pixels; a texture keeps them
  return isOpaque ? rgba : texturePixels(bitmap) ?? rgba;
}

function texturePixels(bitmap) {
  const { width, height } = bitmap;
  const gl = document.createElement("canvas").getContext("webgl");
  if (!gl || Math.max(width, height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) return null;
  gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
  gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  const texture = gl.getParameter(gl.TEXTURE_BINDING_2D);
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
  const data = new Uint8Array(4 * width * height);
  if (gl.checkFramebufferStatus(gl.FRAMEBUFFER) === gl.FRAMEBUFFER_COMPLETE) {
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, data);
  }
  const isRead = gl.getError() === gl.NO_ERROR && data.some(Boolean);
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return isRead ? { width, height, data } : null;
}

/** Whether a file is a JPEG image, by its first bytes. */
export function isJpeg(head) {
  return head[0] === 0xff && head[1] === 0xd8 && head[2] === 0xff;
}

/**
 * Whether one color of a PNG or GIF file marks transparent pixels: either a color key instead of an
 * alpha channel, or a palette with exactly one transparent and no translucent entry.
 */
export function isKeyed(head) {
  const text = (at, length) => String.fromCharCode(...head.subarray(at, at + length));
  if (text(0, 3) === "GIF") return hasTransparentIndex(head);
  if (text(1, 3) !== "PNG") return false;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  for (let at = 8; at + 12 <= head.length; ) {
    const [length, kind] = [view.getUint32(at), text(at + 4, 4)];
    if (kind === "IDAT") return false;
    if (kind === "tRNS") {
      const opacities = [...head.subarray(at + 8, at + 8 + length)];
      const isPalette = head[25] === 3;
      const others = opacities.filter((opacity) => opacity !== 255);
      return !isPalette || (others.length === 1 && others[0] === 0);
    }
    at += 12 + length;
  }
  return false;
}

/** Whether the first frame of a GIF file has a transparent color. */
function hasTransparentIndex(head) {
  const table = (flags) => (flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0);
  let at = 13 + table(head[10]);
  while (head[at] === 0x21) {
    if (head[at + 1] === 0xf9) return (head[at + 3] & 1) === 1;
    at += 2;
    while (head[at]) at += head[at] + 1; // sub-blocks, up to an empty one
    at += 1;
  }
  return false;
}
