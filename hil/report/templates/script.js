"use strict";
(() => {
  const all = (selector, from = document) => Array.from(from.querySelectorAll(selector));
  const FIRST = 60; // cards shown before "show all"

  // --- tables: click a column's head to sort by it ---
  const unknown = new Set(["", "–", "unknown", "no clock"]);
  const number = (text) => {
    const found = text.replaceAll(",", "").replaceAll("−", "-").match(/-?\d+(\.\d+)?(e[-+]?\d+)?/i);
    return found ? Number(found[0]) : NaN;
  };
  const sort = (table, column, head) => {
    const down = head.getAttribute("aria-sort") === "ascending";
    all("thead th", table).forEach((th) => th.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const numeric = head.classList.contains("number");
    const value = (row) => row.cells[column].textContent.trim();
    const rows = all("tbody tr", table);
    rows.sort((a, b) => {
      const [one, other] = [value(a), value(b)];
      const [lost, none] = [unknown.has(one), unknown.has(other)];
      if (lost || none) return lost - none; // unknown values come last in either direction
      const order = numeric
        ? number(one) - number(other)
        : one.localeCompare(other, "en", { numeric: true });
      return down ? -order : order;
    });
    table.tBodies[0].append(...rows);
  };
  for (const table of all("table.wide")) {
    if (table.tBodies[0].rows.length < 2) continue;
    all("thead th", table).forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, column, head));
      head.append(button);
    });
  }

  // --- samples: filters ---
  for (const filter of all(".filter")) {
    const cards = all(".card", filter.parentElement);
    const pick = (name) => filter.querySelector(`[name=${name}]`);
    const [kind, run, label, answer, wrong] =
      ["kind", "run", "label", "answer", "wrong"].map(pick);
    const more = filter.parentElement.querySelector(".more");
    let every = false;
    const fits = ({ dataset }) => {
      if (kind.value && dataset.kind !== kind.value) return false;
      if (label?.value && dataset.label !== label.value) return false; // none if not labelled
      const given = dataset.answers.split(" ");
      const asked = run.value ? [given[Number(run.value)]] : given;
      return asked.some((said) =>
        said !== "-" && (!answer.value || said === answer.value)
        && (!wrong?.checked || said !== dataset.label));
    };
    const show = () => {
      const found = cards.filter(fits);
      const shown = new Set(every ? found : found.slice(0, FIRST));
      cards.forEach((card) => { card.hidden = !shown.has(card); });
      filter.querySelector("output").textContent = `${shown.size} of ${found.length} shown`;
      more.hidden = shown.size === found.length;
      more.textContent = `Show all ${found.length}`;
    };
    more.addEventListener("click", () => { every = true; show(); });
    filter.addEventListener("change", () => { every = false; show(); });
    // a browser may restore the choices after a reload
    all("select", filter).forEach((one) => { one.value = ""; });
    if (wrong) wrong.checked = false;
    filter.hidden = false;
    show();
  }

  // --- print collapsed parts too ---
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = all("details:not([open])");
    opened.forEach((fold) => { fold.open = true; });
  });
  addEventListener("afterprint", () => { opened.forEach((fold) => { fold.open = false; }); });
})();
