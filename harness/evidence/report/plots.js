"use strict";

// Plots: drawn by Vega-Lite once they come near the window, all of them for paper; a click on a mark leads to its row.
{
  const config = JSON.parse(document.getElementById("plot-config").textContent);
  const tip = document.body.appendChild(document.createElement("div"));
  tip.className = "tip";
  tip.hidden = true;

  function showTip(_handler, event, _item, text) {
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;                 // as text, whatever it holds
    const box = tip.getBoundingClientRect(), right = event.clientX + 14, below = event.clientY + 14;
    tip.style.left = `${Math.max(4, Math.min(right, innerWidth - box.width - 4))}px`;
    tip.style.top = `${below + box.height > innerHeight ? Math.max(4, event.clientY - box.height - 10) : below}px`;
  }

  async function draw(holder) {
    const source = holder.querySelector("script");
    if (!source) return;                    // drawn already
    const boxes = [...holder.parentElement.querySelectorAll("fieldset input")];
    const unlabelled = (key, value) => (key === "legend" && boxes.length ? null : value);      // the boxes are one
    const spec = { ...JSON.parse(source.textContent, unlabelled), width: "container" };
    const entry = spec.usermeta?.legendEntry;
    const columns = entry && Math.max(1, Math.floor(0.85 * holder.clientWidth / entry));
    const legend = { ...config.legend, ...(entry && { columns }) };
    source.remove();
    watcher.unobserve(holder);
    const { view } = await vegaEmbed(holder, spec, {
      mode: "vega-lite", renderer: "svg", actions: false, defaultStyle: false, tooltip: showTip, logLevel: 1,
      config: { ...config, legend, background: null } });
    const choose = () => view.signal("shown", boxes.filter((box) => box.checked).map((box) => box.value)).run();
    for (const box of boxes) box.addEventListener("change", choose);
    if (boxes.length) choose();
    view.addEventListener("click", (_event, item) => {
      if (item?.datum?.href?.startsWith("#")) location.hash = item.datum.href;
    });
  }

  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
  }, { rootMargin: "300px" });
  const holders = document.querySelectorAll(".plot");
  for (const holder of holders) watcher.observe(holder);
  addEventListener("beforeprint", () => holders.forEach(draw));
  addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
}
