"""The style sheet of every page: two palettes and one layout, from a phone to a wide screen."""

LIGHT = {
    "page": "#f5f4f0",
    "card": "#ffffff",
    "inset": "#f3f4f6",
    "line": "#dcdee3",
    "ink": "#171b26",
    "quiet": "#565e6e",
    "accent": "#4338ca",
    "rr": "#0f766e",
    "on-rr": "#ffffff",
    "rw": "#2f86d1",
    "on-rw": "#07101c",
    "wr": "#d97706",
    "on-wr": "#1c1003",
    "ww": "#6b7280",
    "on-ww": "#ffffff",
    "right": "#0b6a5d",
    "wrong": "#b42318",
}
DARK = {
    "page": "#0f1218",
    "card": "#181d27",
    "inset": "#222936",
    "line": "#333c4c",
    "ink": "#eceff5",
    "quiet": "#a9b3c3",
    "accent": "#a5b4fc",
    "rr": "#2dd4bf",
    "on-rr": "#04211d",
    "rw": "#60a5fa",
    "on-rw": "#04132b",
    "wr": "#f59e0b",
    "on-wr": "#231502",
    "ww": "#8b95a5",
    "on-ww": "#0b0f16",
    "right": "#4fd9c4",
    "wrong": "#ff9c92",
}


def _variables(palette: dict[str, str]) -> str:
    return "".join(f"--{name}:{colour};" for name, colour in palette.items())


_OUTCOMES = "".join(
    f".{name}{{fill:var(--{name});color:var(--{name})}}.on-{name}{{fill:var(--on-{name})}}"
    f".badge.{name}{{background:var(--{name});color:var(--on-{name})}}\n"
    for name in ("rr", "rw", "wr", "ww")
)

STYLE = f"""
:root{{color-scheme:light dark;{_variables(LIGHT)}}}
@media (prefers-color-scheme:dark){{:root{{{_variables(DARK)}}}}}
{_OUTCOMES}"""

STYLE += """
*{box-sizing:border-box}
html{scroll-behavior:auto;-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);overflow-wrap:anywhere;
 font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif}
header,nav,main,footer{max-width:76rem;margin:0 auto;padding:0 1.25rem}
h1,h2,h3,h4,p,ol,ul,dl,dd{margin:0;padding:0}
h1{font-size:clamp(1.75rem,1.2rem + 2.6vw,2.75rem);line-height:1.12;letter-spacing:-.025em;text-wrap:balance}
h2{font-size:1.5rem;line-height:1.25;letter-spacing:-.015em}
h3{font-size:1.15rem;line-height:1.3}
h4{font-size:.95rem;line-height:1.3}
a{color:var(--accent)}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.skip{position:absolute;left:-99rem}
.skip:focus{left:1rem;top:1rem;padding:.5rem 1rem;background:var(--card);z-index:1}
.quiet{color:var(--quiet);font-size:.875rem}
.lead{max-width:46rem;text-wrap:pretty;margin-top:.4rem;color:var(--quiet)}
.card{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:1.25rem}

header{padding-top:clamp(2rem,6vw,4rem)}
header .eyebrow{color:var(--accent);font-weight:650;font-size:.875rem;margin-bottom:.5rem}
header .intro{max-width:46rem;margin-top:1rem;font-size:1.1rem;color:var(--quiet)}
.facts{display:flex;flex-wrap:wrap;gap:.9rem 2.5rem;
 margin-top:1.75rem;padding-top:1.25rem;border-top:1px solid var(--line)}
.facts dt{color:var(--quiet);font-size:.8125rem}
.facts dd{font-weight:600}
nav ul{display:flex;flex-wrap:wrap;gap:.5rem;list-style:none;margin-top:1.75rem}
nav a{display:block;padding:.35rem .85rem;border:1px solid var(--line);border-radius:99px;
 background:var(--card);font-size:.9rem;text-decoration:none}
nav a:hover{border-color:var(--accent)}
section.part{margin-top:3rem;scroll-margin-top:1rem}
.part>.card,.part>.grid,.part>ul,.part>pre{margin-top:1.25rem}
footer{margin-top:4rem;padding-top:1.25rem;padding-bottom:3rem}

.legend{display:grid;grid-template-columns:repeat(auto-fit,minmax(15rem,1fr));gap:.6rem 1.5rem;
 margin-top:1.25rem;font-size:.9375rem}
.legend div{display:grid;grid-template-columns:auto 1fr;gap:0 .6rem;align-items:start;align-content:start}
.legend dd{grid-column:2;color:var(--quiet);font-size:.875rem;line-height:1.4}
.badge{margin-top:.12rem;border-radius:5px;padding:0 .4rem;font-size:.75rem;font-weight:700;line-height:1.5}
.legend dt{font-weight:600}
.bars{display:grid;gap:1.1rem}
.bars .row{display:grid;grid-template-columns:minmax(7rem,11rem) 1fr;gap:.1rem 1.25rem;align-items:center}
.bars .name{font-weight:650}
.bars .score{font-size:1.6rem;font-weight:700;line-height:1.15;letter-spacing:-.02em;
 font-variant-numeric:tabular-nums}
svg{display:block}
.bar{border-radius:5px;forced-color-adjust:none}
.bar rect{stroke:var(--card);stroke-width:2px}
.bar text{font-size:.8125rem;font-weight:650;text-anchor:middle}
.mini{margin-top:.3rem}

.scroll{overflow-x:auto}
.bars+.scroll{margin-top:1.5rem}
table{width:100%;border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--quiet);font-size:.875rem;padding-bottom:.5rem}
caption span{display:block;max-width:calc(100vw - 5rem)}
th,td{padding:.45rem .7rem;text-align:right;border-top:1px solid var(--line);vertical-align:top;
 overflow-wrap:normal}
thead th{border-top:0;color:var(--quiet);font-weight:600;white-space:nowrap}
th:first-child{text-align:left;padding-left:0;overflow-wrap:anywhere;min-width:6.5rem}
th:last-child,td:last-child{padding-right:0}
td{white-space:nowrap}
td small{display:block;color:var(--quiet);font-size:.75rem}

.grid{display:grid;gap:1.25rem;grid-template-columns:repeat(auto-fill,minmax(min(100%,19rem),1fr))}
.grid.wide{grid-template-columns:repeat(auto-fill,minmax(min(100%,34rem),1fr));align-items:start}
.cards{display:grid;gap:1.25rem;margin-top:1.25rem}
.cards.single{grid-template-columns:repeat(auto-fill,minmax(min(100%,31rem),1fr))}
.picture{display:grid;grid-template-columns:12rem minmax(0,1fr);gap:1.25rem;align-items:start}
.picture img{display:block;max-width:100%;height:auto;margin:0 auto;border-radius:10px;
 outline:1px solid var(--line);outline-offset:-1px}
.picture .methods{display:grid;gap:1.25rem 1.75rem;margin-top:1rem;
 grid-template-columns:repeat(auto-fit,minmax(min(100%,15rem),1fr))}
.single .picture{grid-template-columns:10rem minmax(0,1fr)}
.method .vote{margin-top:.15rem;line-height:1.35}
.method .verdict{display:flex;flex-wrap:wrap;gap:.1rem .6rem;font-size:.875rem;margin-top:.2rem}
.right,.wrong{font-weight:650}
.right{color:var(--right)}
.wrong{color:var(--wrong)}
.pairs{list-style:none;display:grid;gap:.55rem;margin-top:.7rem;font-size:.875rem;line-height:1.35}
.pairs .words{display:flex;justify-content:space-between;gap:.75rem;align-items:baseline}
.pairs .value{font-variant-numeric:tabular-nums;font-weight:600;white-space:nowrap}
.pairs .track{margin-top:.2rem;background:var(--inset);border-radius:4px}
.pairs .bar{border-radius:4px}
.pairs .bar rect{stroke:none}
.pairs .plain{fill:var(--accent)}
.pairs .because{color:var(--quiet)}

.chart{width:100%;height:auto;max-width:27rem}
.chart text{fill:var(--quiet);font-size:11px}
.x-tick{text-anchor:middle}
.y-tick{text-anchor:end}
.chart .grid{stroke:var(--line);fill:none}
.curve{fill:none;stroke:var(--accent);stroke-width:2;stroke-linejoin:round}
.ideal{fill:none;stroke:var(--quiet);stroke-dasharray:4 4}
.dot{fill:var(--accent);stroke:var(--card);stroke-width:1.5}
figure{margin:0}
figcaption{font-size:.9rem;margin-bottom:.6rem}
figcaption b{display:block}
summary{cursor:pointer;font-weight:600}
details[open]>summary{margin-bottom:.8rem}
details.small summary{font-weight:400;margin:0}
details.small ul,.notes{padding-left:1.2rem}
.notes{display:grid;gap:.5rem;max-width:46rem}
pre{margin:0;padding:.9rem 1rem;background:var(--inset);border:1px solid var(--line);border-radius:10px;
 font:.85rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;
 white-space:pre-wrap;overflow-wrap:anywhere}
pre+pre{margin-top:.6rem}

@media (max-width:600px){
 .picture,.single .picture{grid-template-columns:minmax(0,1fr)}
 .bars .row{grid-template-columns:1fr auto;align-items:baseline}
 .bars .row .bar{grid-column:1/-1}
 .card{padding:1rem}
}
@media print{
 nav,.skip{display:none}
 .card{break-inside:avoid}
}
"""
