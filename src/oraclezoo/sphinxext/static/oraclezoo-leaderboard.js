// Sorting, filtering, copying and notes for a leaderboard that is complete without them.
// Makes no request. The state of the page is in its address: ?table=&sort=&words=&columns=&family=...
(function () {
  "use strict";

  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const FACETS = ["family", "optimizer", "scheduler", "compression", "hardware"];

  // ---- one table -------------------------------------------------------------------------------

  class Board {
    /** @param {HTMLElement} root @param {string} prefix of the names in the address */
    constructor(root, prefix) {
      this.root = root;
      this.prefix = prefix;
      this.form = root.querySelector(".oz-form");
      this.sections = [...root.querySelectorAll(".oz-table")];
      this.tabs = [...root.querySelectorAll(".oz-tabs a")];
      this.boxes = [...root.querySelectorAll('.oz-columns input[type="checkbox"]')];
      this.addSorting();
      this.addTies();
      this.addPlots();
      this.form.hidden = false;
      root.classList.add("oz-live");
      this.listen();
      this.restore();
    }

    get section() {
      return this.sections.find((section) => section.dataset.table === this.table) || this.sections[0];
    }

    rows(section) {
      return [...section.querySelector("tbody").rows];
    }

    // ---- state and address ---------------------------------------------------------------------

    /** Take the state from the address, and show it. */
    restore() {
      const given = new URLSearchParams(location.search);
      const get = (name) => given.get(this.prefix + name) || "";
      const anchored = location.hash && document.getElementById(location.hash.slice(1));
      const around = anchored && anchored.closest(".oz-table");
      const inside = around && this.root.contains(around);
      this.table = inside ? around.dataset.table : get("table");
      if (!this.sections.some((section) => section.dataset.table === this.table)) this.table = this.sections[0].dataset.table;
      this.form.elements.words.value = get("words");
      for (const name of FACETS) {
        const select = this.form.elements[name];
        if (!select) continue;
        select.value = get(name);
        if (select.selectedIndex < 0) select.value = "";
      }
      const columns = get("columns").split(",");
      for (const box of this.boxes) box.checked = columns.includes(box.value);
      this.sort = get("sort");
      if (!this.head(this.sort.replace(/^-/, ""))) this.sort = "";
      this.show();
      if (inside && anchored.matches("tr")) anchored.scrollIntoView({ block: "center" });
    }

    /** Write the state to the address; defaults are left out. */
    remember(push) {
      const url = new URL(location.href);
      const set = (name, value) => (value ? url.searchParams.set(this.prefix + name, value) : url.searchParams.delete(this.prefix + name));
      set("table", this.table === this.sections[0].dataset.table ? "" : this.table);
      set("sort", this.sort);
      set("words", this.form.elements.words.value.trim());
      for (const name of FACETS) if (this.form.elements[name]) set(name, this.form.elements[name].value);
      set("columns", this.boxes.filter((box) => box.checked).map((box) => box.value).join(","));
      url.search = url.search.replaceAll("%2C", ",").replaceAll("%2F", "/");
      if (push) url.hash = "";
      history[push ? "pushState" : "replaceState"](null, "", url);
    }

    listen() {
      this.form.addEventListener("input", (event) => {
        if (event.target.name === "sort") this.sort = event.target.value;
        this.show();
        this.remember();
      });
      this.form.addEventListener("submit", (event) => event.preventDefault());
      this.form.addEventListener("reset", () => setTimeout(() => {
        this.sort = "";
        this.show();
        this.remember();
      }));
      for (const box of this.boxes)
        box.addEventListener("input", () => {
          this.fit();
          this.remember();
        });
      for (const tab of this.tabs)
        tab.addEventListener("click", (event) => {
          event.preventDefault();
          this.table = tab.dataset.table;
          this.show();
          this.remember(true);
        });
      const more = this.form.querySelector(".oz-more");
      more.addEventListener("click", () => more.setAttribute("aria-expanded", String(this.form.classList.toggle("oz-unfolded"))));
      const menu = this.root.querySelector(".oz-columns");
      document.addEventListener("click", (event) => menu.contains(event.target) || (menu.open = false));
      menu.addEventListener("keydown", (event) => {
        if (event.key !== "Escape" || !menu.open) return;
        menu.open = false;
        menu.querySelector("summary").focus();
      });
      for (const button of this.root.querySelectorAll(".oz-nothing button")) button.addEventListener("click", () => this.form.reset());
      addEventListener("popstate", () => this.restore());
      addEventListener("resize", () => this.fit());
    }

    // ---- showing -------------------------------------------------------------------------------

    show() {
      for (const section of this.sections) section.hidden = section !== this.section;
      for (const tab of this.tabs) tab.toggleAttribute("aria-current", tab.dataset.table === this.table);
      this.order();
      this.choose();
      this.fit();
    }

    head(key) {
      return this.section.querySelector(`thead th[data-key="${CSS.escape(key)}"]`);
    }

    /** Sort the rows: "key" is best first, "-key" worst first, "" by position. */
    order() {
      const key = this.sort.replace(/^-/, "") || "accuracy";
      const head = this.head(key);
      const falls = (head.dataset.best === "falls") !== this.sort.startsWith("-");
      const numeric = head.dataset.type === "number";
      const body = this.section.querySelector("tbody");
      const values = this.rows(this.section).map((row) => {
        const value = row.querySelector(`[data-key="${key}"]`).dataset.value;
        return { row, value: value === undefined ? null : numeric ? Number(value) : value };
      });
      const place = (row) => Number(row.dataset.row);
      values.sort((a, b) => {
        if (a.value === null || b.value === null) return (a.value === null) - (b.value === null) || place(a.row) - place(b.row);
        const by = numeric ? a.value - b.value : collator.compare(a.value, b.value);
        return (falls ? -by : by) || place(a.row) - place(b.row);
      });
      body.append(...values.map((each) => each.row));
      for (const each of this.section.querySelectorAll("thead th[data-key]")) each.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", falls ? "descending" : "ascending");
      this.form.elements.sort.value = this.sort;
    }

    /** Hide the rows and points that the filters leave out. */
    choose() {
      const data = new FormData(this.form);
      const words = data.get("words").toLowerCase().split(/\s+/).filter(Boolean);
      const chosen = FACETS.filter((name) => data.get(name));
      const rows = this.rows(this.section);
      for (const row of rows) {
        const text = `${row.querySelector('[data-key="recipe"]').textContent} ${FACETS.map((name) => row.dataset[name]).join(" ")}`.toLowerCase();
        row.hidden = !(chosen.every((name) => row.dataset[name] === data.get(name)) && words.every((word) => text.includes(word)));
      }
      const shown = rows.filter((row) => !row.hidden);
      this.section.querySelector(".oz-nothing").hidden = shown.length > 0;
      this.form.querySelector(".oz-status").textContent =
        shown.length === rows.length ? `${rows.length} rows` : `${shown.length} of ${rows.length} rows; ranks are among all`;
      const used = chosen.length ? ` (${chosen.length})` : "";
      this.form.querySelector(".oz-more").textContent = `Filters${used}`;
      this.form.querySelector('[type="reset"]').hidden = !chosen.length && !words.length && !this.sort;
      const numbers = new Map(shown.map((row) => [row.dataset.row, row]));
      for (const plot of this.section.querySelectorAll(".oz-chart")) draw(plot, numbers);
    }

    /** Make a table denser if more columns are chosen than fit; if they still don't, let it scroll. */
    fit() {
      const scroll = this.section.querySelector(".oz-scroll");
      const isWide = () => scroll.scrollWidth > scroll.clientWidth + 1;
      scroll.classList.remove("oz-wide", "oz-dense");
      scroll.classList.toggle("oz-dense", isWide());
      const wide = isWide();
      scroll.classList.toggle("oz-wide", wide);
      if (wide) scroll.tabIndex = 0;
      else scroll.removeAttribute("tabindex");
    }

    // ---- set-up --------------------------------------------------------------------------------

    /** Turn headings into buttons: the first press puts the best first, the second the worst. */
    addSorting() {
      const select = this.form.elements.sort;
      select.add(new Option("Accuracy, best first", ""));
      for (const head of this.root.querySelectorAll("thead th[data-key]")) {
        const { key } = head.dataset;
        const title = head.querySelector(".oz-top");
        const button = document.createElement("button");
        button.type = "button";
        button.className = "oz-by";
        button.append(...title.childNodes);
        title.append(button);
        button.addEventListener("click", () => {
          const now = this.sort || "accuracy";
          this.sort = now === key ? `-${key}` : key;
          if (this.sort === "accuracy") this.sort = "";
          this.show();
          this.remember();
        });
        if (![...select.options].some((option) => option.value === key)) {
          if (key !== "accuracy") select.add(new Option(`${button.textContent}, best first`, key));
          select.add(new Option(`${button.textContent}, worst first`, `-${key}`));
        }
      }
    }

    /** Mark the rows that tie with the one under the pointer or with the focus. */
    addTies() {
      for (const body of this.root.querySelectorAll(".oz-table tbody")) {
        const mark = (row) => {
          const ties = row ? row.dataset.ties.split(" ") : [];
          for (const each of body.rows) each.classList.toggle("oz-tied", ties.includes(each.dataset.row));
          for (const point of body.closest(".oz-table").querySelectorAll(".oz-point"))
            point.classList.toggle("oz-hot", Boolean(row) && point.dataset.row === row.dataset.row);
        };
        for (const kind of ["mouseover", "focusin"]) body.addEventListener(kind, (event) => mark(event.target.closest("tr[data-row]")));
        for (const kind of ["mouseleave", "focusout"]) body.addEventListener(kind, () => mark(null));
      }
    }

    /** A press on a point leads to its row's page. */
    addPlots() {
      for (const point of this.root.querySelectorAll(".oz-chart .oz-point")) {
        const row = point.closest(".oz-table").querySelector(`tbody tr[data-row="${point.dataset.row}"]`);
        const link = row && row.querySelector("a.oz-name");
        if (!link) continue;
        point.classList.add("oz-leads");
        point.addEventListener("click", () => link.click());
      }
    }
  }

  // ---- plots -----------------------------------------------------------------------------------

  /** Draw fronts, marks and labels again for the rows that are shown; the axes stay. */
  function draw(plot, rows) {
    const points = [...plot.querySelectorAll(".oz-point")].map((node) => ({
      node,
      x: Number(node.dataset.x),
      y: Number(node.dataset.y),
      row: rows.get(node.dataset.row),
      group: [...node.classList].find((name) => /^oz-group\d/.test(name)),
    }));
    for (const point of points) point.node.toggleAttribute("hidden", !point.row);
    const shown = points.filter((point) => point.row);
    for (const group of new Set(points.map((point) => point.group))) {
      const members = shown.filter((point) => point.group === group);
      const line = plot.querySelector(`.oz-line.${group}`);
      line.setAttribute("d", markFront(members));
    }
    placeLabels(plot, shown);
  }

  /** Set the state of each point of a group, and return the path of its Pareto front. */
  function markFront(members) {
    let path = "";
    let best = Infinity;
    let bestX = NaN;
    const cheaper = [];
    for (const point of [...members].sort((a, b) => a.x - b.x || a.y - b.y)) {
      point.front = point.y < best || (point.y === best && point.x === bestX);
      cheaper.push(point.node.dataset.row);
      point.beaten = point.row.dataset.beaten.split(" ").some((number) => number && cheaper.includes(number));
      if (point.y < best) {
        path += path ? `H${point.x}V${point.y}` : `M${point.x} ${point.y}`;
        best = point.y;
        bestX = point.x;
      }
      const state = point.front ? "oz-front" : point.beaten ? "oz-beaten" : "oz-open";
      point.node.classList.remove("oz-front", "oz-beaten", "oz-open");
      point.node.classList.add(state);
    }
    return path;
  }

  /** Label points where a label covers neither another label, nor a mark, nor the edge. */
  function placeLabels(plot, points) {
    for (const text of plot.querySelectorAll(".oz-point text")) text.remove();
    const frame = plot.viewBox.baseVal;
    const taken = points.map((point) => ({ owner: point, left: point.x - 6, right: point.x + 6, top: point.y - 6, bottom: point.y + 6 }));
    const few = points.length <= 12;
    const wanted = points.filter((point) => few || point.front || !point.beaten);
    wanted.sort((a, b) => b.front - a.front || a.y - b.y);
    for (const point of wanted) {
      const text = document.createElementNS("http://www.w3.org/2000/svg", "text");
      text.textContent = point.node.dataset.label;
      point.node.append(text);
      const width = text.getComputedTextLength();
      const spots = [
        ["start", 8, -5], ["start", 8, 13], ["end", -8, -5], ["end", -8, 13], ["middle", 0, -9], ["middle", 0, 18], ["start", 9, 4], ["end", -9, 4],
      ];
      const spot = spots.find(([anchor, dx, dy]) => {
        const left = point.x + dx - { start: 0, middle: width / 2, end: width }[anchor];
        const box = { owner: point, left: left - 1, right: left + width + 1, top: point.y + dy - 11, bottom: point.y + dy + 4 };
        const free =
          box.left >= 46 && box.right <= frame.width && box.top >= 0 && box.bottom <= frame.height - 46 &&
          taken.every((each) => (each.owner === point && !each.label) || each.right <= box.left || each.left >= box.right || each.bottom <= box.top || each.top >= box.bottom);
        if (free) taken.push({ ...box, label: true });
        return free;
      });
      if (!spot) {
        text.remove();
        continue;
      }
      text.setAttribute("text-anchor", spot[0]);
      text.setAttribute("x", point.x + spot[1]);
      text.setAttribute("y", point.y + spot[2]);
    }
  }

  // ---- notes and copying -----------------------------------------------------------------------

  /** Put a note next to its button, within the window. */
  function place(note, button) {
    const at = button.getBoundingClientRect();
    const width = note.offsetWidth;
    const height = note.offsetHeight;
    const left = Math.min(Math.max(at.left, 8), innerWidth - width - 8);
    const below = at.bottom + 6 + height <= innerHeight || at.top < height + 14;
    note.style.left = `${Math.max(left, 8)}px`;
    note.style.top = `${below ? at.bottom + 6 : at.top - height - 6}px`;
  }

  /** Notes open by a press, as without a script, and by the pointer resting on their button. */
  function addNotes() {
    let resting = null;
    for (const button of document.querySelectorAll(".oz-board button[popovertarget]")) {
      const note = document.getElementById(button.getAttribute("popovertarget"));
      if (!note.showPopover) return;
      let hovered = false;
      note.addEventListener("toggle", (event) => {
        if (event.newState === "open") place(note, button);
        else hovered = false;
      });
      button.addEventListener("pointerenter", (event) => {
        if (event.pointerType !== "mouse") return;
        resting = setTimeout(() => {
          if (note.matches(":popover-open")) return;
          hovered = true;
          note.showPopover();
        }, 180);
      });
      const leave = (event) => {
        clearTimeout(resting);
        const inside = event.relatedTarget instanceof Node && (note.contains(event.relatedTarget) || button.contains(event.relatedTarget));
        if (hovered && !inside) note.hidePopover();
      };
      button.addEventListener("pointerleave", leave);
      note.addEventListener("pointerleave", leave);
      button.addEventListener("click", (event) => {
        clearTimeout(resting);
        if (!hovered) return;
        event.preventDefault(); // a press keeps the note that the pointer opened
        hovered = false;
      });
    }
    addEventListener("scroll", () => {
      for (const note of document.querySelectorAll(".oz-note:popover-open")) note.hidePopover();
    }, { passive: true });
  }

  function addCopying() {
    const said = document.createElement("p");
    said.className = "oz-hidden";
    said.setAttribute("role", "status");
    document.querySelector(".oz-board").append(said);
    for (const button of document.querySelectorAll(".oz-board .oz-copy[data-command]")) {
      button.hidden = false;
      button.addEventListener("click", async () => {
        const copied = await copy(button.dataset.command);
        button.textContent = copied ? "Copied" : "Failed";
        said.textContent = copied ? `Copied: ${button.dataset.command}` : "The browser did not allow copying.";
        setTimeout(() => (button.textContent = "Copy"), 1600);
      });
    }
  }

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = document.createElement("textarea"); // pages without https have no clipboard
      area.value = text;
      area.style.position = "fixed";
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  }

  document.querySelectorAll(".oz-board:not(.oz-row)").forEach((root, index) => new Board(root, index ? `${index + 1}.` : ""));
  if (document.querySelector(".oz-board")) {
    addNotes();
    addCopying();
  }
})();
