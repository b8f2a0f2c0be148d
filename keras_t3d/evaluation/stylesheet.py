"""CSS of the HTML report."""

STYLESHEET = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ground: #f3f5f8; --ink: #1c2430; --soft: #5a6675; --line: #d9dfe7;
  --strong: #0b4f9e; --good: #1a7f4b; --bad: #b42318;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #161b22; --ground: #0d1117; --ink: #dfe6ee; --soft: #9aa6b4; --line: #30363d;
    --strong: #6cb6ff; --good: #56d38f; --bad: #ff8f85;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
main, header, footer { max-width: 68rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 2rem; }
footer { padding-bottom: 3rem; color: var(--soft); font-size: .875rem; }
h1 { margin: 0; font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 0 0 .5rem; font-size: 1.15rem; }
header p { margin: .35rem 0 0; color: var(--soft); }
nav { margin: 1rem 0 0; font-size: .9rem; }
nav a { display: inline-block; margin: 0 1rem .4rem 0; }
a { color: var(--strong); }
section {
  background: var(--paper); border: 1px solid var(--line); border-radius: 10px;
  margin: 1rem 0; padding: 1rem 1.1rem;
}
section > p { margin: 0 0 .9rem; color: var(--soft); max-width: 46rem; font-size: .925rem; }
.figures {
  display: grid; gap: .75rem; margin: 1rem 0; padding: 0;
  grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr));
}
.figures div {
  background: var(--paper); border: 1px solid var(--line); border-radius: 10px; padding: .8rem 1rem;
}
.figures dt { color: var(--soft); font-size: .85rem; }
.figures dd { margin: 0; }
.figures .value { font-size: 1.7rem; font-weight: 650; line-height: 1.25; }
.figures .interval { color: var(--soft); font-size: .82rem; }
.facts {
  display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; margin: 0;
}
.facts dd { margin: 0; overflow-wrap: anywhere; }
.facts dt, .facts dd { padding: .3rem 0; border-top: 1px solid var(--line); }
.facts dt { color: var(--soft); padding-right: 1rem; }
.wide { overflow: auto; max-height: 85vh; border: 1px solid var(--line); border-radius: 8px; }
.wide img { display: block; max-width: none; margin: 0 auto; }
.chart { display: block; max-width: 100%; height: auto; }
.cards { display: grid; gap: 1rem; list-style: none; margin: 0; padding: 0; }
.pairs { grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); }
.worst { grid-template-columns: repeat(auto-fill, minmax(min(11rem, 100%), 1fr)); }
.cards > li { border: 1px solid var(--line); border-radius: 8px; padding: .7rem; }
.cards h3 { margin: 0 0 .5rem; font-size: .95rem; overflow-wrap: anywhere; }
.couple { display: grid; grid-template-columns: 1fr 1fr; gap: .6rem; }
figure { margin: 0; }
figure img, .missing {
  display: block; width: 100%; aspect-ratio: 4 / 3; object-fit: contain;
  background: var(--ground); border-radius: 6px;
}
.missing { display: grid; place-items: center; color: var(--soft); font-size: .8rem; }
figcaption { margin-top: .3rem; font-size: .82rem; line-height: 1.35; overflow-wrap: anywhere; }
.soft { color: var(--soft); }
.good { color: var(--good); }
.bad { color: var(--bad); }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { padding: .35rem .6rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, .name { text-align: left; min-width: 7rem; overflow-wrap: break-word; }
td { font-variant-numeric: tabular-nums; }
tbody th { font-weight: 500; }
thead th { position: sticky; top: 0; background: var(--paper); box-shadow: 0 1px 0 var(--line); }
@media print { .wide { max-height: none; } nav { display: none; } }
"""
