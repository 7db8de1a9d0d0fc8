// Connected components of a mask, from runs: the counterpart of oraclezoo.imaging.components.
import { zeros } from "./gray.js";

/**
 * The 8-connected components of a mask, in the order of their first pixel, row by row.
 *
 * Each has its `area` in pixels, its `box` (left, top, right, bottom; the last two exclusive) and
 * its `runs`: row, first column, last column plus one.
 */
export function components({ width, height, data }) {
  const runs = [];
  const root = [];
  const find = (run) => {
    while (root[run] !== run) run = root[run] = root[root[run]];
    return run;
  };
  let above = 0; // the first run of the row above that may touch the next run
  let rowStart = 0;
  for (let y = 0; y < height; y++) {
    above = rowStart;
    rowStart = runs.length;
    const aboveEnd = rowStart;
    for (let x = 0; x < width; ) {
      if (!data[y * width + x]) {
        x++;
        continue;
      }
      const start = x;
      while (x < width && data[y * width + x]) x++;
      const run = runs.length;
      runs.push([y, start, x]);
      root.push(run);
      while (above < aboveEnd && (runs[above][0] < y - 1 || runs[above][2] < start)) above++;
      for (let each = above; each < aboveEnd && runs[each][1] <= x; each++) {
        const [one, other] = [find(each), find(run)];
        root[Math.max(one, other)] = Math.min(one, other);
      }
    }
  }
  const parts = new Map();
  runs.forEach((run, number) => {
    const [y, start, end] = run;
    const first = find(number);
    if (!parts.has(first)) parts.set(first, { area: 0, box: [start, y, end, y + 1], runs: [] });
    const part = parts.get(first);
    part.area += end - start;
    part.box[0] = Math.min(part.box[0], start);
    part.box[2] = Math.max(part.box[2], end);
    part.box[3] = y + 1;
    part.runs.push(run);
  });
  return [...parts.values()];
}

/** A mask of one component. */
export function maskOf(part, width, height) {
  const mask = zeros(width, height);
  for (const [y, start, end] of part.runs) mask.data.fill(1, y * width + start, y * width + end);
  return mask;
}
