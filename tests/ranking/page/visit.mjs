// Use the leaderboard in a headless browser: node visit.mjs URL FOLDER CHROMIUM SCENARIO...
//
// FOLDER holds node_modules. Prints one JSON document: what each scenario saw, the requests that
// left the origin of the pages, and the errors in the browser's console.
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
];
const DESKTOP = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };
const EXTRA = "number,ties,spread,training,parameters,macs,ece,corrupted,hardware";

/** What a visitor sees of the table: its rows in order, and what says so. */
function look(page) {
  return page.evaluate(() => {
    const section = [...document.querySelectorAll(".oz-table")].find((each) => !each.hidden);
    const rows = [...section.querySelectorAll("tbody tr")].filter((row) => !row.hidden);
    const sorted = section.querySelector("thead [aria-sort]");
    return {
      table: section.dataset.table,
      rows: rows.map((row) => row.id),
      facets: rows.map((row) => ({ ...row.dataset })),
      values: Object.fromEntries(
        [...section.querySelectorAll("thead th[data-key]")].map(({ dataset: { key } }) => [
          key,
          rows.map((row) => row.querySelector(`[data-key="${key}"]`).dataset.value ?? null),
        ]),
      ),
      columns: [...section.querySelectorAll("thead th")]
        .filter((head) => head.offsetParent !== null)
        .map((head) => head.dataset.key || "command"),
      sorted: sorted && [sorted.dataset.key, sorted.getAttribute("aria-sort")],
      points: [...section.querySelectorAll(".oz-chart")].map((plot) =>
        [...plot.querySelectorAll(".oz-point:not([hidden])")].map((point) => point.dataset.row),
      ),
      status: document.querySelector(".oz-status").textContent,
      search: location.search,
    };
  });
}

/** Labels of plots that overlap another one or leave their plot. */
function overlaps(page) {
  return page.evaluate(() => {
    const bad = [];
    let count = 0;
    for (const plot of document.querySelectorAll(".oz-chart")) {
      if (plot.getBoundingClientRect().width === 0) continue;
      const frame = plot.getBoundingClientRect();
      const texts = [...plot.querySelectorAll("text")].filter((text) => text.getBoundingClientRect().width > 0);
      const boxes = texts.map((text) => ({ text: text.textContent, own: text.closest(".oz-point") !== null, box: text.getBoundingClientRect() }));
      count += boxes.filter((each) => each.own).length;
      boxes.forEach((a, i) => {
        if (a.own && (a.box.left < frame.left - 1 || a.box.right > frame.right + 1)) bad.push(`${a.text} leaves the plot`);
        for (const b of boxes.slice(i + 1)) {
          if (!a.own && !b.own) continue; // the axes have a test of their own
          const apart = a.box.right <= b.box.left || b.box.right <= a.box.left || a.box.bottom <= b.box.top || b.box.bottom <= a.box.top;
          if (!apart) bad.push(`${a.text} overlaps ${b.text}`);
        }
      });
    }
    return { bad, count };
  });
}

async function open(page, search = "", size = DESKTOP) {
  await page.setViewportSize(size);
  await page.goto(`${url}index.html${search}`);
  await page.waitForSelector(".oz-live");
}

async function findings(page) {
  await page.evaluate(readFileSync(require.resolve("axe-core/axe.min.js"), "utf8"));
  const { violations } = await page.evaluate(() => axe.run(document.querySelector(".oz-board")));
  return violations
    .filter(({ impact }) => ["serious", "critical"].includes(impact))
    .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 160))}`);
}

const note = (page) => page.evaluate(() => document.querySelector(".oz-note:popover-open")?.textContent ?? null);

const scenarios = {
  /** Each heading once and twice. */
  async sorts(page) {
    await open(page, `?columns=${EXTRA}`);
    const seen = {};
    const keys = (await look(page)).columns.filter((key) => key !== "command" && key !== "accuracy");
    for (const key of [...keys, "accuracy"]) {
      const button = page.locator(`.oz-table:not([hidden]) th[data-key="${key}"] .oz-by`);
      await button.click();
      const first = await look(page);
      await button.click();
      seen[key] = { first, second: await look(page) };
    }
    return seen;
  },

  /** Each choice of each filter, and words. */
  async filters(page) {
    await open(page);
    const seen = { all: await look(page), chosen: {} };
    for (const select of await page.locator(".oz-form select:not([name=sort])").all()) {
      const name = await select.getAttribute("name");
      for (const value of await select.locator("option").evaluateAll((options) => options.map((option) => option.value))) {
        if (!value) continue;
        await select.selectOption(value);
        seen.chosen[`${name}=${value}`] = await look(page);
      }
      await select.selectOption("");
    }
    await page.fill("input[name=words]", "MUON int8");
    seen.words = await look(page);
    await page.fill("input[name=words]", "no such row");
    seen.none = await look(page);
    seen.nothing = await page.locator(".oz-table:not([hidden]) .oz-nothing").isVisible();
    await page.click(".oz-table:not([hidden]) .oz-nothing button");
    await page.waitForFunction(() => document.querySelector(".oz-table:not([hidden]) tbody tr:not([hidden])"));
    seen.cleared = await look(page);
    return seen;
  },

  /** The address restores everything, after a reload and with the history. */
  async address(page) {
    await open(page);
    await page.click('.oz-tabs a[data-table="glyphs-3k-closed"]');
    await page.selectOption("select[name=optimizer]", "adamw");
    await page.click('.oz-table:not([hidden]) th[data-key="latency"] .oz-by');
    await page.click(".oz-columns summary");
    await page.check(".oz-columns input[value=macs]");
    const before = await look(page);
    await page.reload();
    await page.waitForSelector(".oz-live");
    const after = await look(page);
    await page.goBack();
    await page.waitForFunction(() => !location.search);
    const back = await look(page);
    await open(page, "?table=nowhere&sort=nothing&family=none&columns=rank,x&words=%3Cb%3E");
    const odd = await look(page);
    return { before, after, back, odd };
  },

  /** Without a pointer: sort, notes, columns, copying, and the page of a row. */
  async keyboard(page, context) {
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await open(page);
    const reach = async (selector) => {
      for (let count = 0; count < 120; count++) {
        await page.keyboard.press("Tab");
        if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return true;
      }
      return false;
    };
    const seen = {};
    seen.columns = await reach(".oz-columns summary");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Space");
    seen.added = (await look(page)).columns;
    await page.keyboard.press("Escape");
    seen.closed = await page.evaluate(() => !document.querySelector(".oz-columns").open);
    seen.heading = await reach('th[data-key="size"] .oz-by');
    await page.keyboard.press("Enter");
    seen.sorted = (await look(page)).sorted;
    seen.rank = await reach("tbody .oz-rank");
    await page.keyboard.press("Enter");
    seen.note = await note(page);
    await page.keyboard.press("Escape");
    seen.hidden = await note(page);
    seen.copy = await reach(".oz-copy");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.activeElement.textContent === "Copied");
    seen.copied = await page.evaluate(() => navigator.clipboard.readText());
    seen.name = await reach("a.oz-name");
    const name = await page.evaluate(() => document.activeElement.textContent);
    await page.keyboard.press("Enter");
    await page.waitForSelector(".oz-row h1");
    seen.page = [name, await page.locator(".oz-row h1").innerText()];
    return seen;
  },

  /** Notes by resting the pointer, by a press that keeps them, and by touch. */
  async notes(page) {
    await open(page);
    const button = page.locator('.oz-table:not([hidden]) tr[data-row="7"] .oz-rank');
    await button.hover();
    await page.waitForFunction(() => document.querySelector(".oz-note:popover-open"));
    const hovered = await note(page);
    await page.mouse.move(700, 30);
    await page.waitForFunction(() => !document.querySelector(".oz-note:popover-open"));
    await button.hover();
    await page.waitForFunction(() => document.querySelector(".oz-note:popover-open"));
    await button.click();
    await page.mouse.move(700, 30);
    await page.waitForTimeout(400);
    const kept = await note(page);
    await page.keyboard.press("Escape");
    await open(page, "", PHONE);
    await page.locator('.oz-table:not([hidden]) tr[data-row="1"] .oz-rank').tap();
    const touched = await note(page);
    const box = await page.locator(".oz-note:popover-open").boundingBox();
    return { hovered, kept, touched, box };
  },

  /** Widths, heights and headings that stay. */
  async layout(page) {
    const seen = {};
    for (const [name, size, search] of [
      ["desktop", DESKTOP, ""],
      ["all columns", DESKTOP, `?columns=${EXTRA}`],
      ["phone", PHONE, ""],
      ["phone, all columns", PHONE, `?columns=${EXTRA}`],
      ["small phone", { width: 320, height: 640 }, ""],
    ]) {
      await open(page, search, size);
      await page.evaluate(() => scrollTo({ top: document.querySelector(".oz-table:not([hidden]) tr[data-row='20']").getBoundingClientRect().top, behavior: "instant" }));
      await page.waitForTimeout(200);
      seen[name] = await page.evaluate(() => {
        const heads = [...document.querySelectorAll(".oz-table:not([hidden]) thead th")].filter((head) => head.offsetParent !== null);
        const boxes = heads.map((head) => head.getBoundingClientRect());
        const header = document.querySelector(".mobile-header").getBoundingClientRect();
        return {
          wide: document.documentElement.scrollWidth - innerWidth,
          right: Math.max(...boxes.map((box) => box.right)),
          top: boxes[0].top,
          under: header.height > 0 ? header.bottom : 0,
          height: document.documentElement.scrollHeight,
          columns: heads.map((head) => head.dataset.key || "command"),
        };
      });
    }
    return seen;
  },

  /** Labels of all plots of all tables, for several filters. */
  async labels(page) {
    const seen = {};
    for (const size of [DESKTOP, PHONE]) {
      for (const table of ["oracle-mnist-3k-closed", "oracle-mnist-3k-open", "glyphs-3k-closed"]) {
        for (const filter of ["", "&family=oraclenet", "&optimizer=adamw", "&words=backbones", "&compression=int8"]) {
          await open(page, `?table=${table}${filter}`, size);
          seen[`${size.width} ${table}${filter}`] = await overlaps(page);
        }
      }
    }
    return seen;
  },

  /** Findings of axe-core that are serious or worse: the table, with a note, and a row's page. */
  async axe(page) {
    const found = [];
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await open(page, `?columns=${EXTRA}`);
      found.push(...(await findings(page)));
      await page.click('.oz-table:not([hidden]) tr[data-row="7"] .oz-rank');
      found.push(...(await findings(page)));
      await open(page, "", PHONE);
      found.push(...(await findings(page)));
      await page.goto(new URL(await page.locator("a.oz-name").first().getAttribute("href"), page.url()).href);
      await page.waitForSelector(".oz-row h1");
      found.push(...(await findings(page)));
    }
    return { found };
  },

  /** The page of a row: sections, links, the way back. */
  async row(page) {
    await open(page);
    await page.click('.oz-table:not([hidden]) tr[data-row="3"] a.oz-name');
    await page.waitForSelector(".oz-row h1");
    const seen = await page.evaluate(() => ({
      title: document.title,
      description: document.querySelector('meta[name="description"]').content,
      sections: [...document.querySelectorAll(".oz-row section")].map((section) => section.id),
      links: [...document.querySelectorAll(".oz-row a")].map((link) => link.href),
      commands: [...document.querySelectorAll(".oz-command code")].map((code) => code.textContent),
      recalls: document.querySelectorAll(".oz-classes tbody tr").length,
      confusion: document.querySelectorAll(".oz-confusion tbody td").length,
      text: document.querySelector(".oz-row").textContent,
      stylesheets: document.styleSheets.length,
    }));
    seen.wide = {};
    for (const size of [DESKTOP, PHONE]) {
      await page.setViewportSize(size);
      seen.wide[size.width] = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    }
    seen.files = await page.evaluate(async () => {
      const links = [...document.querySelectorAll("#provenance table a")];
      const digests = [...document.querySelectorAll("#provenance table code")].map((code) => code.textContent);
      const actual = [];
      for (const link of links) {
        const bytes = await (await fetch(link.href)).arrayBuffer();
        const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
        actual.push([...hash].map((byte) => byte.toString(16).padStart(2, "0")).join(""));
      }
      return { digests, actual };
    });
    await page.setViewportSize(DESKTOP);
    await page.click(".oz-back");
    await page.waitForSelector(".oz-live");
    seen.back = await page.evaluate(() => ({ target: document.querySelector("tr:target")?.dataset.row, y: scrollY }));
    return seen;
  },

  /** Without JavaScript: every row, columns on demand and notes. */
  async plain(_, context) {
    const browser = context.browser() ?? (await launcher.launch({ executablePath: chromium, args: FLAGS }));
    const still = await browser.newContext({ javaScriptEnabled: false, viewport: DESKTOP });
    const page = await still.newPage();
    await page.goto(`${url}index.html`);
    const seen = {
      rows: await page.locator(".oz-table tbody tr").count(),
      visible: await page.locator(".oz-table tbody tr").last().isVisible(),
      form: await page.locator(".oz-form").isVisible(),
      copy: await page.locator(".oz-copy").first().isVisible(),
      before: await page.locator('th[data-key="macs"]').first().isVisible(),
    };
    await page.click(".oz-columns summary");
    await page.check(".oz-columns input[value=macs]");
    seen.macs = await page.locator('th[data-key="macs"]').first().isVisible();
    await page.locator(".oz-rank").first().click();
    seen.note = await page.locator(".oz-note >> visible=true").innerText();
    await browser.close();
    return seen;
  },
};

/** Screenshots of the table and of a row, by width and color scheme, for a person to look at. */
async function screenshots(context, target) {
  for (const [name, size] of [["desktop", DESKTOP], ["phone", PHONE]]) {
    for (const colorScheme of ["light", "dark"]) {
      const page = await context.newPage();
      await page.emulateMedia({ colorScheme });
      await open(page, "", size);
      await page.screenshot({ path: join(target, `table-${name}-${colorScheme}.png`), fullPage: true });
      await page.locator("a.oz-name").first().click();
      await page.waitForSelector(".oz-row h1");
      await page.screenshot({ path: join(target, `row-${name}-${colorScheme}.png`), fullPage: true });
      await page.close();
    }
  }
}

const profile = mkdtempSync(join(tmpdir(), "visit-"));
const context = await launcher.launchPersistentContext(profile, { executablePath: chromium, args: FLAGS, viewport: DESKTOP, hasTouch: true });
const outcome = { foreign: [], errors: [], seen: {} };
const { origin } = new URL(url);
context.on("request", (request) => {
  const target = new URL(request.url());
  if (["http:", "https:", "ws:"].includes(target.protocol) && target.origin !== origin) outcome.foreign.push(target.href);
});
context.on("page", (page) => {
  page.on("console", (message) => message.type() === "error" && !message.location().url.endsWith("/favicon.ico") && outcome.errors.push(message.text()));
  page.on("pageerror", (error) => outcome.errors.push(String(error)));
});
try {
  for (const [name, argument] of names.map((each) => each.split("="))) {
    if (name === "screenshots") {
      await screenshots(context, argument);
      continue;
    }
    const page = await context.newPage();
    outcome.seen[name] = await scenarios[name](page, context);
    await page.close();
  }
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}
console.log(JSON.stringify(outcome));
