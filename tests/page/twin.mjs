// Prepare the pictures of an exchange file with the page's code: node twin.mjs IN OUT.
//
// IN is a line of JSON (size, and for each picture its width, height and options), then the RGBA
// bytes of all pictures. OUT is a line of JSON (inverted and box of each picture, or the reason why
// it cannot be read), then the prepared bytes of those that can.
import { readFileSync, writeFileSync } from "node:fs";
import { PictureError, prepare } from "../../src/oraclezoo/page/static/imaging/prepare.js";

const [input, output] = process.argv.slice(2);
const content = readFileSync(input);
const end = content.indexOf(10);
const { size, pictures } = JSON.parse(content.subarray(0, end).toString());
let at = end + 1;
const rows = [];
const images = [];
for (const { width, height, options } of pictures) {
  const data = content.subarray(at, at + 4 * width * height);
  at += data.length;
  try {
    const { gray, inverted, box } = prepare({ width, height, data }, size, options);
    rows.push({ inverted, box });
    images.push(gray.data);
  } catch (error) {
    if (!(error instanceof PictureError)) throw error;
    rows.push({ reason: error.message });
  }
}
writeFileSync(output, Buffer.concat([Buffer.from(`${JSON.stringify(rows)}\n`), ...images]));
