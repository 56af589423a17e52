/** The one style sheet: system fonts, light and dark, readable on a phone. Contrast is at least 4.5 to 1. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --back: #f7f6f3; --front: #1d1c1a; --soft: #66625c; --line: #e4e0d8; --edge: #8a857c; --card: #fff; --accent: #1f5f8b; --good: #2c6e3f; --bad: #a4262c; --warn: #7a4b00;
}
@media (prefers-color-scheme: dark) {
  :root { --back: #141517; --front: #e8e6e1; --soft: #a19d95; --line: #2f3034; --edge: #7c7a75; --card: #1c1d20; --accent: #7cb7e8; --good: #7cc492; --bad: #ff8a8f; --warn: #f0b35a; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 1.5rem 1rem 3rem; background: var(--back); color: var(--front); font: 1rem/1.55 system-ui, sans-serif; }
header { display: flex; flex-wrap: wrap; gap: 0 1rem; align-items: baseline; justify-content: space-between; margin: 0 .25rem 1rem; }
h1 { margin: 0; font-size: 1.5rem; letter-spacing: -.01em; }
h2 { margin: 0 0 .75rem; font-size: 1.1rem; }
h3 { margin: 0; font-size: 1rem; overflow-wrap: anywhere; }
h3 a { color: inherit; }
h2 small, .soft { color: var(--soft); font-weight: normal; }
h2 small { margin-left: .35rem; font-size: .85rem; }
p { margin: .5rem 0; overflow-wrap: anywhere; }
p + h2, ul + h2 { margin-top: 1.75rem; }
section, #banner { margin: 1rem 0; padding: 1.25rem 1.5rem; border: 1px solid var(--line); border-radius: .75rem; background: var(--card); }
section > :last-child { margin-bottom: 0; }
.narrow { max-width: 40rem; margin-left: auto; margin-right: auto; }
footer { margin: 1.5rem .25rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .5rem 1.5rem; margin: 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .9rem; }
th, td { padding: .45rem 1rem .45rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th:last-child, td:last-child { padding-right: 0; }
tbody:last-child tr:last-child td, tfoot th, tfoot td { border-bottom: 0; }
thead th { color: var(--soft); font-weight: normal; white-space: nowrap; }
tfoot th, tfoot td { font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.time { font-variant-numeric: tabular-nums; white-space: nowrap; }
.model, .who, .state { overflow-wrap: anywhere; unicode-bidi: isolate; }
.live::before { content: ""; display: inline-block; width: .55em; height: .55em; margin-right: .4em; border-radius: 50%; background: var(--good); }
.good { color: var(--good); }
.bad, .error { color: var(--bad); }
.warn { color: var(--warn); font-weight: 600; }
.lead { font-size: 1.15rem; }
.message { margin: 1rem 0; padding: .6rem 1rem; border-left: .25rem solid currentColor; border-radius: .25rem; background: var(--card); }
.mark { font: 600 1.6rem/1.3 ui-monospace, monospace; letter-spacing: .2em; }
.rows { margin: 0 0 1rem; padding: 0; list-style: none; }
.rows li { padding: .4rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
button, select, input { font: inherit; color: inherit; padding: .45rem .9rem; border: 1px solid var(--edge); border-radius: .4rem; background: var(--back); }
button { cursor: pointer; border-color: var(--accent); color: var(--accent); background: transparent; }
button:hover { background: color-mix(in srgb, var(--accent) 12%, transparent); }
button.main { background: var(--accent); color: var(--card); }
button.main:hover { background: color-mix(in srgb, var(--accent) 88%, var(--front)); }
button.small { padding: .15rem .7rem; font-size: .85rem; }
button:disabled { opacity: .5; cursor: default; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
input, textarea { width: 100%; }
textarea { font: .88em/1.5 ui-monospace, monospace; color: inherit; padding: .6rem .8rem; border: 1px solid var(--edge); border-radius: .4rem; background: var(--back); }
select { max-width: 100%; }
summary { cursor: pointer; color: var(--accent); }
.approval { padding: .9rem 0; }
.approval:last-child { border-bottom: 0; padding-bottom: 0; }
.approval:first-child { padding-top: 0; }
.approval > dl { margin: .75rem 0; }
.decision { margin-top: 1rem; }
.approval:focus { outline: 0; }
.preview, .excerpt { padding: .1rem 0 .1rem .8rem; border-left: .2rem solid var(--line); unicode-bidi: isolate; }
.preview { font: .88em/1.5 ui-monospace, monospace; }
.call { max-height: 24rem; overflow: auto; font: .88em/1.5 ui-monospace, monospace; unicode-bidi: isolate; }
label { display: block; margin: 1rem 0 .35rem; }
section p:has(> button) { margin-top: .9rem; }
section p:has(> button[hidden]:only-child) { display: none; }
figure { margin: 1rem 0 0; }
figcaption { display: flex; gap: 1rem; justify-content: space-between; align-items: center; color: var(--soft); font-size: .9rem; }
pre { margin: .4rem 0 0; padding: .75rem 1rem; white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--line); border-radius: .4rem; background: var(--back); line-height: 1.5; }
code { font-family: ui-monospace, monospace; font-size: .88em; }
section ul:not(.rows) { margin: 1rem 0 0; padding-left: 1.2rem; color: var(--soft); }
a { color: var(--accent); }
[hidden] { display: none !important; }
@media (max-width: 40rem) {
  body { padding: 1rem .75rem 2rem; }
  section, #banner { padding: 1rem; }
  dl { display: block; }
  dd { margin-bottom: .6rem; }
  dd:last-child { margin-bottom: 0; }
  th, td { padding-right: .6rem; }
  .requests thead { position: absolute; clip-path: inset(50%); }
  .requests tr { display: grid; grid-template: "model model cost" auto "time who tokens" auto "state state state" auto / max-content 1fr max-content; gap: 0 .75rem; padding: .5rem 0; border-bottom: 1px solid var(--line); }
  .requests tr:last-child { border-bottom: 0; }
  .requests td { padding: 0; border: 0; }
  .requests .model { grid-area: model; font-weight: 600; }
  .requests .who { grid-area: who; }
  .requests .state { grid-area: state; }
  .requests .cost { grid-area: cost; }
  .requests .tokens { grid-area: tokens; }
  .requests .time { grid-area: time; color: var(--soft); }
  .requests .took, .requests .state.good { display: none; }
}
`;
