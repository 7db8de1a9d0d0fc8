// Adds sorting, choosing and folding to a leaderboard that is whole without it. Asks nothing of any host.
(function () {
  "use strict";

  const number = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  /** The value of a body's cell: a number or null in a numeric column, else its text. */
  function valueOf(body, column) {
    const cell = body.rows[0].querySelector(`[data-key="${column.key}"]`);
    if (!column.numeric) return cell.textContent.trim() || null;
    const given = cell.dataset.value;
    return given === undefined ? null : Number(given);
  }

  /** Order two values; what is missing comes last whichever way the rest goes. */
  function order(a, b, column, descending) {
    if (a === null || b === null) return (a === null) - (b === null);
    const by = column.numeric ? a - b : number.compare(a, b);
    return descending ? -by : by;
  }

  function columnsOf(table) {
    return Array.from(table.tHead.rows[0].cells, (head) => ({
      head,
      key: head.dataset.key,
      numeric: head.dataset.type === "number",
    }));
  }

  function sort(table, key, descending) {
    const columns = columnsOf(table);
    const column = columns.find((each) => each.key === key);
    if (!column) return;
    const bodies = Array.from(table.tBodies, (body) => ({ body, value: valueOf(body, column) }));
    const original = (body) => Number(body.dataset.row);
    bodies.sort(
      (a, b) =>
        order(a.value, b.value, column, descending) || original(a.body) - original(b.body),
    );
    table.append(...bodies.map((each) => each.body));
    for (const each of columns) each.head.removeAttribute("aria-sort");
    column.head.setAttribute("aria-sort", descending ? "descending" : "ascending");
  }

  /** Turn the headings into buttons; a second press turns the order round. */
  function addSorting(table) {
    for (const column of columnsOf(table)) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...column.head.childNodes);
      button.addEventListener("click", () =>
        sort(table, column.key, column.head.getAttribute("aria-sort") === "ascending"),
      );
      column.head.append(button);
    }
    table.tHead.rows[0].cells[0].setAttribute("aria-sort", "ascending");
  }

  /** Hide what is behind a row until its name is pressed. */
  function addFolding(body) {
    const more = body.querySelector(".oz-more");
    const details = more.querySelector("details");
    const name = body.querySelector(".oz-name");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "oz-open";
    button.title = "command and provenance";
    button.setAttribute("aria-controls", details.id);
    button.append(...name.childNodes);
    name.append(button);
    const show = (open) => {
      more.hidden = !open;
      details.open = open;
      button.setAttribute("aria-expanded", String(open));
    };
    button.addEventListener("click", () => show(more.hidden));
    show(location.hash === `#${body.id}` || location.hash === `#${details.id}`);
  }

  /** Mark the rows that the one under the pointer, or with the focus, ties with. */
  function addTies(table) {
    const mark = (event) => {
      const body = event.target.closest && event.target.closest("tbody[data-row]");
      const ties = body ? body.dataset.ties.split(" ") : [];
      for (const each of table.tBodies)
        each.classList.toggle("oz-tied", ties.includes(each.dataset.row));
    };
    for (const kind of ["mouseover", "focusin", "mouseleave", "focusout"])
      table.addEventListener(kind, kind.startsWith("mouseo") || kind === "focusin" ? mark : () => mark({ target: {} }));
  }

  function matches(body, chosen, words) {
    const text = Object.values(body.dataset).join(" ") + " " + body.rows[0].textContent;
    return (
      Object.entries(chosen).every(([name, value]) => !value || body.dataset[name] === value) &&
      words.every((word) => text.toLowerCase().includes(word))
    );
  }

  function choose(board, form) {
    const { words, sort: _, ...chosen } = Object.fromEntries(new FormData(form));
    const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    let all = 0;
    for (const section of board.querySelectorAll(".oz-table")) {
      let here = 0;
      for (const body of section.querySelector("table").tBodies) {
        const fits = matches(body, chosen, wanted);
        body.hidden = !fits;
        here += fits;
        all += 1;
        for (const point of section.querySelectorAll(`.oz-point[data-row="${body.dataset.row}"]`))
          point.classList.toggle("oz-off", !fits);
      }
      section.hidden = here === 0;
      shown += here;
    }
    form.querySelector(".oz-status").textContent =
      shown === all ? `${all} rows` : `${shown} of ${all} rows; ranks are those among all`;
  }

  /** Sorting for narrow screens, where the headings are out of sight. */
  function addOrder(board, form) {
    const select = form.elements.sort;
    const seen = new Set();
    for (const head of board.querySelectorAll(".oz-table > .oz-scroll > table > thead th")) {
      if (seen.has(head.dataset.key)) continue;
      seen.add(head.dataset.key);
      for (const [mark, way] of [["↑", "up"], ["↓", "down"]])
        select.add(new Option(`${head.textContent} ${mark}`, `${head.dataset.key} ${way}`));
    }
    select.addEventListener("change", () => {
      const [key, way] = select.value.split(" ");
      for (const table of tablesOf(board)) sort(table, key, way === "down");
    });
  }

  function tablesOf(board) {
    return board.querySelectorAll(".oz-table > .oz-scroll > table");
  }

  for (const board of document.querySelectorAll(".oz-board")) {
    const form = board.querySelector(".oz-form");
    addOrder(board, form);
    for (const table of tablesOf(board)) {
      addSorting(table);
      addTies(table);
      for (const body of table.tBodies) addFolding(body);
    }
    form.addEventListener("input", () => choose(board, form));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () =>
      setTimeout(() => {
        choose(board, form);
        for (const table of tablesOf(board)) sort(table, "number", false);
      }),
    );
    form.hidden = false;
    board.classList.add("oz-live");
    choose(board, form);
  }
})();
