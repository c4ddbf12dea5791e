"""How every page looks, and the few lines of script that move its slider: both stand in the page itself."""

CSS = """
:root { color-scheme: light dark;
  --paper: #fcfcfb; --ink: #1d1f21; --quiet: #5f6468; --line: #d9dbdc; --soft: #f1f2f2; --link: #0b5cad;
  --c0: #0072b2; --c1: #b9540a; --c2: #00795a; --c3: #a8468a; --c4: #6b6f73; --c5: #7a6a00; --c6: #2a7fbf;
  --c7: #8b3a3a; --good: #00694d; --bad: #a32020; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #16181a; --ink: #e4e6e7; --quiet: #a0a6ab; --line: #3a3e42; --soft: #202326; --link: #7db8f0;
  --c0: #56b4e9; --c1: #f0a35e; --c2: #4cc39b; --c3: #e39ac8; --c4: #b0b4b8; --c5: #d8c84a; --c6: #8ecbf5;
  --c7: #e08a8a; --good: #57cfa6; --bad: #f28b82; } }
* { box-sizing: border-box; }
html { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  background: var(--paper); color: var(--ink); -webkit-text-size-adjust: 100%; scroll-padding-top: 1rem; }
body { margin: 0 auto; max-width: 68rem; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; font-weight: 650; letter-spacing: -.01em; margin: 0 0 .25rem;
  overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; font-weight: 650; margin: 0 0 .75rem; }
h3 { font-size: 1rem; font-weight: 600; margin: 1.5rem 0 .5rem; overflow-wrap: anywhere; }
section { border-top: 1px solid var(--line); margin-top: 2.25rem; padding-top: 1.25rem; }
p { margin: 0 0 .75rem; max-width: 44rem; overflow-wrap: anywhere; }
.about, .lead, figcaption, caption, .quiet { color: var(--quiet); }
.about, figcaption, caption { font-size: .875rem; }
a { color: var(--link); }
nav ul { list-style: none; margin: 1rem 0 0; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1.1rem;
  font-size: .9rem; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; border-radius: 2px; }
dl { margin: 0 0 1rem; }
dl > div { display: grid; grid-template-columns: minmax(7rem, 11rem) 1fr; gap: 0 1rem; padding: .2rem 0; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: 0 0 1rem; max-width: 100%; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: 0 0 .35rem; }
th, td { padding: .28rem .9rem .28rem 0; text-align: left; vertical-align: top; font-weight: 400; }
thead th { color: var(--quiet); border-bottom: 1px solid var(--line); vertical-align: bottom; }
tbody tr + tr > * { border-top: 1px solid var(--soft); }
.numbers td, .numbers thead th + th { text-align: right; white-space: nowrap; }
.text td { overflow-wrap: anywhere; min-width: 9rem; }
tbody th { white-space: nowrap; }
td b, .best { font-weight: 680; }
pre { background: var(--soft); padding: .7rem .9rem; overflow-x: auto; font-size: .85rem; line-height: 1.5;
  margin: 0 0 1rem; border-radius: 4px; }
code { font-family: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, monospace; }
summary { cursor: pointer; padding: .25rem 0; }
details[open] > summary { margin-bottom: .5rem; }
details { margin: 0 0 .75rem; }
figure { margin: 0; }
.charts { display: grid;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); gap: 1.5rem;
  margin: 0 0 1.5rem; }
.charts figcaption { color: var(--ink); font-weight: 600; padding-bottom: .25rem; }
svg { display: block; max-width: 100%; height: auto; }
svg text { font: 11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: var(--quiet);
  font-variant-numeric: tabular-nums; }
svg .name { fill: var(--ink); }
svg .axis { stroke: var(--line); stroke-width: 1; fill: none; }
svg .zero { stroke: var(--quiet); stroke-width: 1; stroke-dasharray: 3 3; }
.s { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; }
.dashed { stroke-dasharray: 5 4; }
.c0 { stroke: var(--c0); } .c1 { stroke: var(--c1); } .c2 { stroke: var(--c2); } .c3 { stroke: var(--c3); }
.c4 { stroke: var(--c4); } .c5 { stroke: var(--c5); } .c6 { stroke: var(--c6); } .c7 { stroke: var(--c7); }
.f0 { fill: var(--c0); } .f1 { fill: var(--c1); } .f2 { fill: var(--c2); } .f3 { fill: var(--c3); }
.f4 { fill: var(--c4); } .f5 { fill: var(--c5); } .f6 { fill: var(--c6); } .f7 { fill: var(--c7); }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .1rem 1rem; margin: .25rem 0 0; padding: 0;
  font-size: .82rem; color: var(--quiet); }
.legend svg { display: inline-block; vertical-align: middle; margin-right: .35rem; }
.good { color: var(--good); } .bad { color: var(--bad); }
svg .good { stroke: var(--good); fill: var(--good); } svg .bad { stroke: var(--bad); fill: var(--bad); }
svg .neutral { stroke: var(--c0); fill: var(--c0); }
svg.wide { max-width: none; }
svg .span { fill: none; stroke-width: 2.5; } svg .guard { stroke: var(--bad); stroke-width: 1.5; }
svg .strong { font-weight: 680; }
.verdict { font-size: 1.25rem; line-height: 1.4; max-width: 46rem; margin: 1rem 0; }
.verdict b { display: inline-block; } .verdict b::first-letter { text-transform: uppercase; }
.slider { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem 1rem; margin: 0 0 .75rem; }
.slider input { width: min(24rem, 100%); accent-color: var(--link); height: 2rem; }
.slider output { font-weight: 600; font-variant-numeric: tabular-nums; }
.frames.live .stacked { display: none; }
[hidden] { display: none !important; }
.panels { display: grid;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 15rem), 1fr)); gap: 1rem;
  margin: 0 0 1.25rem; }
.panels img { display: block; width: 100%; height: auto; image-rendering: pixelated;
  border: 1px solid var(--line);
  background: repeating-linear-gradient(45deg, var(--soft) 0 4px, var(--line) 4px 5px); }
.panels figcaption { padding-top: .25rem; }
.plain { width: 100%; height: auto; background: #fff; border-radius: 4px; }
.clips { display: grid; grid-template-columns: minmax(0, 1fr); gap: 1.75rem; }
.clip p { margin: .35rem 0; }
.clip .sentence { font-size: 1.1rem; }
.clip ul { margin: 0; padding: 0 0 0 1.1rem; color: var(--quiet); font-size: .9rem; }
.clip h3 { margin: 0 0 .35rem; color: var(--quiet); font-weight: 400; font-size: .85rem; }
.picture img { max-width: none; width: 60rem; }
.film img, .film svg { display: block; max-width: none; height: auto; }
svg .heat { fill: var(--c0); stroke: none; }
svg .cell { fill: none; stroke: var(--line); stroke-width: .5; }
footer { border-top: 1px solid var(--line); margin-top: 2.5rem; padding-top: 1rem; color: var(--quiet);
  font-size: .85rem; }
@media (max-width: 30rem) { body { padding: 1.25rem .9rem 3rem; } h1 { font-size: 1.3rem; }
  dl > div { grid-template-columns: 1fr; padding: .3rem 0; } }
@media print { .slider { display: none !important; }
  .frames.live .stacked { display: block; } .frame[hidden] { display: block !important; }
  .scroll { overflow: visible; } section { break-inside: auto; } figure, .clip { break-inside: avoid; } }
"""

SCRIPT = """
document.querySelectorAll('.frames').forEach(function (box) {
  var frames = box.querySelectorAll('.frame'), slider = box.querySelector('.slider');
  if (!slider || frames.length < 2) { return; }
  var input = slider.querySelector('input'), output = slider.querySelector('output');
  function show() {
    frames.forEach(function (frame, number) { frame.hidden = number !== input.valueAsNumber; });
    var name = frames[input.valueAsNumber].getAttribute('data-name');
    output.textContent = name;
    input.setAttribute('aria-valuetext', name);
  }
  input.addEventListener('input', show);
  slider.hidden = false;
  box.classList.add('live');
  show();
});
if (location.protocol === 'blob:') {
  document.querySelectorAll('nav a').forEach(function (link) {
    link.addEventListener('click', function (event) {
      event.preventDefault();
      document.getElementById(link.getAttribute('href').slice(1)).scrollIntoView();
    });
  });
}
"""
"""Links within the page do not work at blob addresses, where MLflow shows it; there the script follows them.
Without it (scripts off, paper) the frames stand one below the other, and nothing is missing."""
