/** The one style sheet: system fonts, light and dark, readable on a phone. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --back: #fbfaf8; --front: #1d1c1a; --soft: #66625c; --line: #dcd8d0; --card: #fff; --accent: #1f5f8b; --bad: #a4262c; --warn: #7a4b00;
}
@media (prefers-color-scheme: dark) {
  :root { --back: #161719; --front: #e8e6e1; --soft: #a19d95; --line: #35363a; --card: #1f2023; --accent: #7cb7e8; --bad: #ff8a8f; --warn: #f0b35a; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 1rem; background: var(--back); color: var(--front); font: 1rem/1.5 system-ui, sans-serif; }
header { display: flex; flex-wrap: wrap; gap: 0 1rem; align-items: baseline; justify-content: space-between; }
h1 { margin: 0; font-size: 1.4rem; }
h2 { margin: 0 0 .5rem; font-size: 1.1rem; }
h2 small, .soft { color: var(--soft); font-weight: normal; }
section, .card { margin: 1rem 0; padding: 1rem; border: 1px solid var(--line); border-radius: .5rem; background: var(--card); }
p { margin: .25rem 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .9rem; }
th, td { padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; }
th { color: var(--soft); font-weight: normal; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.bad, .error { color: var(--bad); }
.warn { color: var(--warn); font-weight: 600; }
.message { padding: .5rem .75rem; border-left: .25rem solid currentColor; }
button, select, input { font: inherit; color: inherit; padding: .35rem .75rem; border: 1px solid var(--line); border-radius: .35rem; background: var(--back); }
button { cursor: pointer; border-color: var(--accent); color: var(--accent); }
button.main { background: var(--accent); color: var(--back); }
button:disabled { opacity: .5; cursor: default; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
input { width: 100%; max-width: 28rem; }
label { display: block; margin: .5rem 0 .25rem; }
figure { margin: .75rem 0; }
figcaption { display: flex; justify-content: space-between; align-items: center; color: var(--soft); }
pre { margin: .25rem 0 0; padding: .75rem; overflow-x: auto; border: 1px solid var(--line); border-radius: .35rem; background: var(--back); }
code { font: .85rem/1.45 ui-monospace, monospace; }
a { color: var(--accent); }
[hidden] { display: none !important; }
`;
