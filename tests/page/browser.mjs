// Use the page in a headless browser: node browser.mjs URL FOLDER SCENARIO...
//
// FOLDER holds node_modules. Prints one JSON document: what each scenario saw, the requests that
// left the page's origin, and the errors in the browser's console.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [url, folder, chromium, ...names] = process.argv.slice(2);
const require = createRequire(pathToFileURL(join(folder, "package.json")));
const { chromium: launcher } = require("playwright-core");

const FLAGS = [
  ..."--headless --no-sandbox --disable-gpu --disable-quic --no-first-run".split(" "),
  ..."--disable-background-networking --disable-component-update --disable-sync".split(" "),
  "--enable-unsafe-swiftshader", // WebGL without a graphics card
];

/** Polylines of three characters in a unit square. */
const STROKES = {
  田: [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]], [[0.5, 0], [0.5, 1]], [[0, 0.5], [1, 0.5]]],
  日: [[[0.1, 0], [0.9, 0.02], [1, 0.4], [0.9, 0.8], [0.1, 0.8], [0, 0.4], [0.1, 0]], [[0.35, 0.4], [0.65, 0.4]]],
  木: [
    [[0.5, 0], [0.5, 1]],
    [[0.02, 0.02], [0.1, 0.25], [0.5, 0.45], [0.9, 0.25], [0.98, 0.02]],
    [[0.05, 1], [0.5, 0.6], [0.95, 1]],
  ],
};

/** Places on the sheet: left, top and edge as fractions. */
const PLACES = { large: [0.16, 0.16, 0.68], small: [0.4, 0.38, 0.22], corner: [0.66, 0.05, 0.28] };

async function idle(page) {
  await page.waitForFunction(() => document.body.dataset.state === "idle", null, { timeout: 120_000 });
}

async function verdict(page) {
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))));
  await idle(page);
  return page.evaluate(() => {
    const rows = [...document.querySelectorAll(".classes tbody tr")];
    const values = rows.map((row) => row.querySelector("progress").value);
    const best = rows[values.indexOf(Math.max(...values))]; // also if a detector rejects the drawing
    const notice = document.querySelector("#notice");
    return {
      glyph: best.querySelector(".han").textContent,
      meaning: best.querySelector(".meaning").textContent,
      words: document.querySelector("#status").textContent,
      notice: notice.hidden ? "" : notice.textContent,
      shares: rows.map((row) => row.querySelector(".share").textContent),
      sum: values.reduce((sum, value) => sum + value, 0),
    };
  });
}

async function draw(page, glyph, [left, top, edge]) {
  const sheet = await page.locator("#canvas").boundingBox();
  const at = ([x, y]) => [sheet.x + sheet.width * (left + edge * x), sheet.y + sheet.height * (top + edge * y)];
  for (const stroke of STROKES[glyph]) {
    await page.mouse.move(...at(stroke[0]));
    await page.mouse.down();
    for (const point of stroke.slice(1)) await page.mouse.move(...at(point), { steps: 6 });
    await page.mouse.up();
  }
}

/** A key of the surface, several times. */
async function press(page, key, times = 1) {
  for (let count = 0; count < times; count++) await page.keyboard.press(key);
}

const scenarios = {
  /** Each character at each place. */
  async draws(page) {
    const seen = {};
    for (const glyph of Object.keys(STROKES)) {
      for (const [name, place] of Object.entries(PLACES)) {
        await page.fill("#width", name === "large" ? "26" : "12"); // a finer pen for small drawings
        await draw(page, glyph, place);
        seen[`${glyph} ${name}`] = await verdict(page);
        await page.click("#clear");
      }
    }
    return seen;
  },

  /** 日 by the keyboard alone, and then undo, redo and clear. */
  async keyboard(page) {
    for (let count = 0; count < 20; count++) {
      await page.keyboard.press("Tab");
      if (await page.evaluate(() => document.activeElement.id === "canvas")) break;
    }
    await press(page, "Shift+ArrowUp", 2);
    await press(page, "Shift+ArrowLeft", 2);
    await press(page, "Space");
    for (const key of ["ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"]) await press(page, `Shift+${key}`, 4);
    await press(page, "Space");
    await press(page, "Shift+ArrowDown", 2);
    await press(page, "Shift+ArrowRight", 1);
    await press(page, "Space");
    await press(page, "Shift+ArrowRight", 2);
    await press(page, "Space");
    const drawn = await verdict(page);
    await page.waitForTimeout(900); // until the announcement
    const announced = await page.textContent("#announce");
    await press(page, "Control+z");
    const undone = await verdict(page);
    await press(page, "Control+y");
    const redone = await verdict(page);
    await press(page, "Delete");
    const cleared = await verdict(page);
    return { drawn, announced, undone, redone, cleared };
  },

  /** The example pictures, by a click on each. */
  async examples(page) {
    const seen = {};
    for (const button of await page.locator(".examples button").all()) {
      const name = await button.locator("img").getAttribute("alt");
      await button.click();
      seen[name.replace("Example: ", "")] = await verdict(page);
    }
    return seen;
  },

  /** Several files at once, one of them no picture. */
  async files(page) {
    const png = await page.evaluate(async () => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 120, height: 120 });
      const context = canvas.getContext("2d");
      context.fillStyle = "#fff";
      context.fillRect(0, 0, 120, 120);
      context.lineWidth = 6;
      context.strokeRect(30, 30, 60, 60);
      context.strokeRect(60, 30, 0, 60);
      context.strokeRect(30, 60, 60, 0);
      return canvas.toDataURL().split(",")[1];
    });
    const picture = { name: "field.png", mimeType: "image/png", buffer: Buffer.from(png, "base64") };
    const text = { name: "text.png", mimeType: "image/png", buffer: Buffer.from("no picture") };
    await page.setInputFiles("#files", [picture, text]);
    await page.waitForFunction(() => document.querySelectorAll("#pictures li").length === 2, null, { timeout: 60_000 });
    const rows = await page.locator("#pictures button").allTextContents();
    return { rows, shown: await verdict(page) };
  },

  /** What mattered, as the number of red pixels. */
  async explains(page) {
    await draw(page, "木", PLACES.large);
    await verdict(page);
    await page.click("#explain");
    await page.waitForFunction(() => !document.querySelector("#why").ariaLabel.startsWith("Not"), null, { timeout: 120_000 });
    const red = await page.evaluate(() => {
      const { width, height } = document.querySelector("#why");
      const { data } = document.querySelector("#why").getContext("2d").getImageData(0, 0, width, height);
      return [...data].filter((value, index) => index % 4 === 0 && value > data[index + 1] + 60).length;
    });
    return { red };
  },

  /** A model of the visitor's own, from a model folder; and files that do not fit. */
  async own(page, folder) {
    const [graph, card] = ["model.onnx", "model.json"].map((name) => readFileSync(join(folder, name)));
    const onnx = (buffer) => ({ name: "model.onnx", mimeType: "application/octet-stream", buffer });
    const json = { name: "model.json", mimeType: "application/json", buffer: card };
    const notice = async (files) => {
      await page.evaluate(() => (document.querySelector("#notice").hidden = true));
      await page.setInputFiles("#own-files", files);
      await page.waitForTimeout(500);
      await idle(page); // a reading that follows must not hide it
      await page.waitForFunction(() => !document.querySelector("#notice").hidden, null, { timeout: 60_000 });
      return page.textContent("#notice");
    };
    await page.setInputFiles("#own-files", [onnx(graph), json]);
    await page.waitForFunction(() => document.querySelector("#model").value === "", null, { timeout: 60_000 });
    const option = await page.evaluate(() => document.querySelector("#model").selectedOptions[0].text);
    await draw(page, "木", PLACES.large);
    const seen = { option, verdict: await verdict(page) };
    seen.alone = await notice([json]);
    seen.wrong = await notice([onnx(Buffer.from("no graph")), json]);
    const { classes, ...rest } = JSON.parse(card);
    const shorter = Buffer.from(JSON.stringify({ ...rest, classes: classes.slice(1) }));
    seen.shorter = await notice([onnx(graph), { ...json, buffer: shorter }]);
    await page.route("**/oraclenet_s/model.json", (route) => route.abort());
    await page.evaluate(() => (document.querySelector("#notice").hidden = true));
    await page.selectOption("#model", "oraclenet_s");
    await page.waitForFunction(() => !document.querySelector("#notice").hidden, null, { timeout: 60_000 });
    await idle(page);
    seen.offline = await page.textContent("#notice");
    seen.selected = await page.evaluate(() => document.querySelector("#model").selectedOptions[0].text);
    await page.click("#clear");
    await draw(page, "木", PLACES.small);
    seen.after = await verdict(page);
    return seen;
  },

  /** A model for which everything is unknown. */
  async unknown(page) {
    await page.selectOption("#model", "strict");
    await page.waitForFunction(() => document.querySelectorAll(".classes tbody tr").length === 4, null, { timeout: 60_000 });
    await draw(page, "木", PLACES.large);
    const { words } = await verdict(page);
    const shows = await page.textContent("#shows");
    await page.waitForTimeout(900);
    const announced = await page.textContent("#announce");
    const names = await page.locator(".classes .meaning").allTextContents();
    return { words, shows, announced, names };
  },

  /** The colors of transparent pixels reach the preprocessing: a red one of opacity 0. */
  async transparent(page) {
    return page.evaluate(async () => {
      const { decode } = await import("./pictures.js");
      // 2 x 1 pixels, RGBA: (200, 10, 20, 0) and (1, 2, 3, 255)
      const bytes = Uint8Array.from(
        atob("iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAYAAAD0In+KAAAAEUlEQVR4nGM4wSXCwMjE/B8ACBYB7CWoEAQAAAAASUVORK5CYII="),
        (letter) => letter.charCodeAt(0),
      );
      const { rgba, keyed, jpeg } = await decode(new File([bytes], "a.png", { type: "image/png" }));
      return { data: [...rgba.data], keyed, jpeg };
    });
  },

  /** A stroke by finger does not scroll a page that is longer than the screen. */
  async finger(page) {
    const { x, y, width } = await page.locator("#canvas").boundingBox();
    const session = await page.context().newCDPSession(page);
    const touch = (type, points) => session.send("Input.dispatchTouchEvent", { type, touchPoints: points });
    const before = await page.evaluate(() => scrollY);
    const column = x + width / 2;
    await touch("touchStart", [{ x: column, y: y + width * 0.8 }]);
    for (let step = 1; step <= 10; step++) {
      await touch("touchMove", [{ x: column, y: y + width * (0.8 - 0.06 * step) }]);
    }
    await touch("touchEnd", []);
    await idle(page);
    const ink = await page.evaluate(() => {
      const canvas = document.querySelector("#canvas");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return data.filter((value, index) => index % 4 === 3 && value > 0).length;
    });
    const isLonger = await page.evaluate(() => document.documentElement.scrollHeight > innerHeight);
    return { moved: (await page.evaluate(() => scrollY)) - before, ink, isLonger };
  },

  /** Findings of axe-core that are serious or worse, empty and with a result. */
  async axe(page) {
    const source = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
    const findings = [];
    const check = async () => {
      await page.evaluate(source);
      const { violations } = await page.evaluate(() => axe.run());
      for (const { id, impact, nodes } of violations) {
        if (["serious", "critical"].includes(impact)) findings.push(`${id}: ${nodes.map((node) => node.html.slice(0, 120))}`);
      }
    };
    await check();
    await draw(page, "木", PLACES.large);
    await verdict(page);
    await check();
    await page.emulateMedia({ colorScheme: "dark" });
    await check();
    return { findings };
  },
};

/** Screenshots of the page with a drawing, by width and color scheme. */
async function screenshots(context, target) {
  for (const [name, viewport] of [["desktop", [1280, 900]], ["phone", [390, 844]]]) {
    for (const colorScheme of ["light", "dark"]) {
      const page = await context.newPage();
      await page.setViewportSize({ width: viewport[0], height: viewport[1] });
      await page.emulateMedia({ colorScheme });
      await page.goto(url);
      await idle(page);
      await draw(page, "木", PLACES.large);
      await verdict(page);
      await page.click("#explain");
      await page.waitForFunction(() => !document.querySelector("#why").ariaLabel.startsWith("Not"), null, { timeout: 120_000 });
      await page.evaluate(() => scrollTo(0, 0));
      await page.screenshot({ path: join(target, `${name}-${colorScheme}.png`), fullPage: true });
      await page.close();
    }
  }
}

const profile = mkdtempSync(join(tmpdir(), "browser-"));
const context = await launcher.launchPersistentContext(profile, {
  executablePath: chromium,
  args: FLAGS,
  viewport: { width: 1000, height: 760 },
  hasTouch: true,
});
const outcome = { foreign: [], errors: [], loads: 0, seen: {} };
const { origin } = new URL(url);
context.on("request", (request) => {
  const target = new URL(request.url());
  if (target.pathname.endsWith(".wasm")) outcome.loads += 1;
  if (["http:", "https:", "ws:"].includes(target.protocol) && target.origin !== origin) outcome.foreign.push(target.href);
});
context.on("page", (page) => {
  page.on("console", (message) => message.type() === "error" && outcome.errors.push(message.text()));
  page.on("pageerror", (error) => outcome.errors.push(String(error)));
});
try {
  for (const [name, argument] of names.map((each) => each.split("="))) {
    if (name === "screenshots") {
      await screenshots(context, argument);
      continue;
    }
    const page = await context.newPage();
    await page.goto(url);
    await idle(page);
    outcome.seen[name] = await scenarios[name](page, argument);
    await page.close();
  }
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}
console.log(JSON.stringify(outcome));
