// A click on a box or a name opens what it stands for. (Inside MLflow's frame a plain `#` goes nowhere.)
const show = (id) => {
  const card = document.getElementById(id);
  if (!card) return;
  document.querySelectorAll(".card-of.target").forEach((each) => each.classList.remove("target"));
  card.open = true;
  card.hidden = false;
  card.classList.add("target");
  card.scrollIntoView({ behavior: "smooth", block: "start" });
};
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#']");
  if (!link) return;
  event.preventDefault();
  show(link.getAttribute("href").slice(1));
});
// Where a graph is wider than the screen, begin in its middle.
for (const graph of document.querySelectorAll("svg.graph")) {
  const scroll = graph.parentElement;
  scroll.scrollLeft = (scroll.scrollWidth - scroll.clientWidth) / 2;
}
// Searching: cards without a match are put away, those with one are opened, and its rows are marked.
const input = document.querySelector(".search input"), output = document.querySelector(".search output");
const atFirst = output.textContent, cards = [...document.querySelectorAll(".card-of")];
const rowsOf = (card) => [...card.querySelectorAll("tr, li")];
const known = new Map(cards.map((card) => [card, {
  text: card.textContent.toLowerCase(), open: card.open,
  rows: rowsOf(card).map((row) => [row, row.textContent.toLowerCase()]),
}]));
const find = () => {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean), is = (text) => words.every((word) => text.includes(word));
  const sums = { source: 0, product: 0, row: 0 };
  for (const [card, { text, open, rows }] of known) {
    const hits = words.length ? rows.filter(([, line]) => is(line)).map(([row]) => row) : [];
    const found = is(text);
    card.hidden = !found;
    card.open = words.length ? found && hits.length > 0 : open;
    for (const [row] of rows) {
      const hit = hits.includes(row);
      row.classList.toggle("found", hit);
      if (row.closest(".files")) row.hidden = hits.length > 0 && !hit;
    }
    for (const code of card.querySelectorAll(".code")) code.open = hits.some((row) => code.contains(row));
    if (found) sums[card.classList.contains("source") ? "source" : "product"] += 1;
    sums.row += hits.length;
  }
  for (const link of document.querySelectorAll(".graph a")) {
    const card = document.getElementById((link.getAttribute("href") || "#").slice(1));
    link.classList.toggle("out", !!words.length && !!card && card.hidden);
    link.classList.toggle("in", !!words.length && !!card && !card.hidden);
  }
  for (const box of document.querySelectorAll(".graph .node"))
    box.classList.toggle("out", !box.querySelector("a:not(.out)"));
  const many = (number, thing) => `${number} ${thing}${number === 1 ? "" : "s"}`;
  output.textContent = !words.length ? atFirst : sums.source + sums.product
    ? `${many(sums.row, "line")} in ${many(sums.source, "source")} and ${many(sums.product, "product")}` : "nothing found";
};
input.addEventListener("input", find);
