"use strict";

// Theme: as the system has it, light or dark; kept where the browser keeps anything for this page.
const themes = ["auto", "light", "dark"];
const themeButton = document.getElementById("theme");
function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  themeButton.textContent = `Theme: ${theme}`;
  try { localStorage.setItem("harness-theme", theme); } catch { /* a page without storage */ }
}
let remembered = null;
try { remembered = localStorage.getItem("harness-theme"); } catch { /* a page without storage */ }
setTheme(themes.includes(remembered) ? remembered : "auto");
themeButton.hidden = false;
themeButton.addEventListener("click", () => {
  const now = document.documentElement.dataset.theme ?? "auto";
  setTheme(themes[(themes.indexOf(now) + 1) % themes.length]);
});

// Tables: a heading sorts, a second time the other way round; what has no value stays last.
function orderOf(row, column) {
  const cell = row.cells[column];
  return cell.dataset.order === undefined ? cell.textContent.trim() : Number(cell.dataset.order.replace("inf", "Infinity"));
}
function compare(a, b, sign) {
  const missing = (value) => value === "" || value === Infinity || Number.isNaN(value);
  if (missing(a) || missing(b)) return missing(a) - missing(b);
  if (typeof a === "number" && typeof b === "number") return sign * (a - b);
  return sign * String(a).localeCompare(String(b), "en", { numeric: true });
}
for (const heading of document.querySelectorAll("th")) {
  heading.firstElementChild.addEventListener("click", () => {
    const sign = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
    const body = heading.closest("table").tBodies[0], column = heading.cellIndex;
    const keyed = [...body.rows].map((row) => [orderOf(row, column), row]);
    keyed.sort(([a], [b]) => compare(a, b, sign));
    body.append(...keyed.map(([, row]) => row));
  });
}

// A filter keeps the rows in which every word occurs.
for (const tools of document.querySelectorAll(".tools")) {
  const input = tools.querySelector("input"), output = tools.querySelector("output");
  const rows = [...document.getElementById(input.getAttribute("aria-controls")).tBodies[0].rows];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((row, i) => { row.hidden = !words.every((word) => texts[i].includes(word)); });
    const shown = rows.filter((row) => !row.hidden).length;
    output.textContent = shown === rows.length ? `${shown} rows` : `${shown} of ${rows.length} rows`;
  });
  tools.hidden = false;
}

// A link to a row that a filter hides, or a fold, shows it.
function reveal() {
  const row = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const fold = row?.closest("details:not([open])");
  if (!row?.hidden && !fold) return;
  if (fold) fold.open = true;
  if (row.hidden) {
    const input = row.closest(".table").querySelector("input");
    input.value = "";
    input.dispatchEvent(new Event("input"));
  }
  row.scrollIntoView({ block: "center" });
}
addEventListener("hashchange", reveal);
reveal();

// Paper has no folds.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  folded.forEach((one) => { one.open = true; });
});
addEventListener("afterprint", () => { folded.forEach((one) => { one.open = false; }); });

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  });
}
