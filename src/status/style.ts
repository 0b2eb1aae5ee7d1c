/** Light and dark follow the system setting; the contrast is above 4.5 to 1 in both. */
export const style = `
:root{color-scheme:light dark;--back:#fff;--box:#f4f5f7;--ink:#16191d;--soft:#555b66;--edge:#d3d7de;--good:#1b7a3d;--fair:#8a4b00;--bad:#b3151d;--bar-first:#3f9d62;--bar-other:#d98a29;--bar-none:#d23f4a}
@media (prefers-color-scheme:dark){:root{--back:#14171b;--box:#1f232a;--ink:#f0f2f5;--soft:#a8b0bc;--edge:#3a414c;--good:#6fd08c;--fair:#f5b04d;--bad:#ff8088;--bar-first:#43a767;--bar-other:#d98f33;--bar-none:#e0555f}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:72rem;padding:0 1rem 3rem;background:var(--back);color:var(--ink);font:1rem/1.45 system-ui,sans-serif;overflow-wrap:break-word}
header{display:flex;justify-content:space-between;gap:1rem;padding:.8rem 0;color:var(--soft);font-size:.85rem}
header strong{color:var(--ink)}
.stale #age{color:var(--bad);font-weight:700}
h1{margin:0;font-size:1.3rem}
h2,caption{margin:1.6rem 0 .6rem;font-size:1rem;font-weight:700;text-align:left}
small{color:var(--soft);font-size:.82rem;font-weight:400}
.good{color:var(--good)}.fair{color:var(--fair)}.bad{color:var(--bad)}
.verdict{padding:.8rem 1.1rem;background:var(--box);border-left:.4rem solid var(--edge)}
.verdict p{margin:.2rem 0 0;color:var(--ink)}
.verdict.good{border-color:var(--good)}.verdict.fair{border-color:var(--fair)}.verdict.bad{border-color:var(--bad)}.verdict.idle{color:var(--soft)}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.6rem;margin:0}
.figures>div{padding:.6rem .75rem;background:var(--box)}
dt{color:var(--soft);font-size:.82rem}
dd{margin:0}dd b{display:block;font-size:1.35rem;font-variant-numeric:tabular-nums}
figure{margin:.7rem 0 0}
svg{display:block;width:100%;height:4.5rem;background:var(--box);border-bottom:1px solid var(--edge)}
.first{fill:var(--bar-first);background:var(--bar-first)}.other{fill:var(--bar-other);background:var(--bar-other)}.lost{fill:var(--bar-none)}.line{fill:var(--back)}
.none{background:repeating-linear-gradient(45deg,var(--bar-none) 0 3px,var(--back) 3px 4px)}
figcaption{display:flex;flex-wrap:wrap;gap:.2rem .9rem;margin-top:.3rem;color:var(--soft);font-size:.82rem}
.key i{display:inline-block;width:.75em;height:.75em;margin-right:.35em;border-radius:2px}
table{width:100%;margin-top:1.6rem;border-collapse:collapse}
caption{margin-top:0}
th,td{padding:.5rem .6rem .5rem 0;border-bottom:1px solid var(--edge);text-align:right;vertical-align:top;font-variant-numeric:tabular-nums}
thead th{color:var(--soft);font-size:.82rem;font-weight:400}
th:first-child,td:nth-child(2),th:nth-child(2){text-align:left}
tbody th{min-width:9rem;font-weight:700;overflow-wrap:anywhere}
th small,td small{display:block}
code{font-size:.8rem;overflow-wrap:anywhere}
.hidden{position:absolute;width:1px;height:1px;margin:-1px;overflow:hidden;clip-path:inset(50%)}
@media (max-width:44rem){
table,caption,tbody{display:block}
thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
tr{display:block;margin-bottom:.7rem;padding:.6rem .8rem;border:1px solid var(--edge)}
tbody th,td{display:block;min-width:0;padding:.12rem 0;border:0;text-align:left}
td{display:flex;justify-content:space-between;gap:1rem}
td::before{content:attr(data-label);color:var(--soft);white-space:nowrap}
td>span{min-width:0;text-align:right}
.figures{grid-template-columns:repeat(2,minmax(0,1fr))}}
@media (prefers-reduced-motion:no-preference){.verdict{transition:border-color .3s}}
`.trim()
