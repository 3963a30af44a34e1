"""What pages of pairs add to the style sheet: two faces, three bars a concept, several curves in one chart."""

CURVE_COLOURS = ("accent", "wr", "rr", "wrong", "quiet")
DASHES = ("none", "7 3", "2 3", "9 3 2 3")
"""Colours and dashes have no common divisor: twenty curves look different, neighbours in both."""

_CURVES = "".join(f".c{place}{{stroke:var(--{colour})}}\n" for place, colour in enumerate(CURVE_COLOURS))
_CURVES += "".join(f".d{place}{{stroke-dasharray:{dash}}}\n" for place, dash in enumerate(DASHES))

PAIR_STYLE = f"""
{_CURVES}
.several{{fill:none;stroke-width:2;stroke-linejoin:round}}
.keys{{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;margin-top:.6rem;font-size:.875rem}}
.keys+.scroll,.keys+.small,.scroll+.small,.scroll+.quiet,.quiet+.small{{margin-top:1rem}}
.keys li{{display:flex;gap:.45rem;align-items:center}}
.keys svg{{flex:none}}

h5{{margin:0;font-size:.95rem;line-height:1.3}}
h5::first-letter{{text-transform:uppercase}}
.first{{fill:var(--rw);background:var(--rw)}}
.second{{fill:var(--wr);background:var(--wr)}}
.plus{{fill:var(--rr)}}
.minus{{fill:var(--wrong)}}
.even,.zero{{stroke:var(--ink);stroke-width:1.5px}}
.even{{stroke-dasharray:2 2}}
.chip{{display:inline-block;width:.7rem;height:.7rem;border-radius:3px;margin-right:.4rem;forced-color-adjust:none}}
.pair{{display:grid;grid-template-columns:minmax(0,20rem) minmax(0,1fr);gap:1.25rem 2rem;align-items:start}}
.pair .faces{{display:grid;grid-template-columns:1fr 1fr;gap:.9rem;align-items:start}}
.pair img{{display:block;width:100%;height:auto;border-radius:10px;outline:1px solid var(--line);outline-offset:-1px}}
.pair figcaption{{margin:.45rem 0 0;line-height:1.35}}
.pair h4{{margin-top:1.1rem}}
.pair .compared{{display:block;font-weight:400;font-size:1rem;line-height:1.4}}
.pair .gold{{margin-top:.15rem;font-size:.9rem}}
.pair .groups{{display:grid;gap:1.25rem 2rem;align-items:start;margin-top:.7rem;
 grid-template-columns:repeat(auto-fill,minmax(min(100%,17rem),1fr))}}
.pair .concept{{margin-top:.45rem;font-size:.9rem;line-height:1.35}}
.pair .amounts{{display:grid;grid-template-columns:3.1rem minmax(0,1fr) 4.6rem;gap:.1rem .4rem;align-items:center;
 margin-top:.2rem;font-size:.8125rem}}
.pair .amounts div{{display:contents}}
.pair .amounts dt{{color:var(--quiet)}}
.pair .amounts .bar{{border-radius:0}}
.pair .amounts .bar rect{{stroke:none}}
.pair .value{{text-align:right;font-weight:600;font-variant-numeric:tabular-nums}}
.pair .every{{grid-column:1/-1}}
.every th small{{display:block;font-weight:400;color:var(--quiet)}}
.every tbody th{{font-weight:400}}
@media (max-width:600px){{.every th,.every td{{padding:.4rem .25rem;font-size:.8125rem}}
 .every th:first-child{{min-width:5rem}}}}
@media (max-width:760px){{.pair{{grid-template-columns:minmax(0,1fr)}}}}
"""
