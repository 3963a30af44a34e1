"""What pages of diagnoses add to the style sheet of pairs: the notice, one image beside its evidence, intervals."""

STUDY_STYLE = """
#notice{margin-top:2rem;padding:1rem 1.25rem;background:var(--card);border:1px solid var(--line);
 border-left:6px solid var(--wrong);border-radius:10px}
#notice h2{font-size:1.15rem;color:var(--wrong)}
#notice .lead{color:var(--ink);max-width:none}
.study{display:grid;grid-template-columns:minmax(0,22rem) minmax(0,1fr);gap:1.25rem 2rem;align-items:start}
.study img{display:block;width:100%;height:auto;border-radius:10px;outline:1px solid var(--line);outline-offset:-1px}
.study>figure{position:sticky;top:1rem}
.study .diagnosis,.study .report{margin-top:1.1rem}
.study .diagnosis+.diagnosis,.study .report{padding-top:1.1rem;border-top:1px solid var(--line)}
.study h3{font-size:.95rem;font-weight:600;color:var(--quiet)}
.study h4{font-size:1.15rem}
.study h3+.diagnosis{margin-top:.35rem}
.study .what-ifs strong{white-space:nowrap}
.study summary h4{display:inline;font-weight:600}
.study .verdict{margin-top:.15rem;font-size:.9rem}
.study .kinds{display:grid;gap:1.25rem 2rem;align-items:start;margin-top:.9rem;
 grid-template-columns:repeat(auto-fill,minmax(min(100%,17rem),1fr))}
.study .track .bar{border-radius:0}
.study .sum{margin-top:1rem;max-width:24rem;font-size:.875rem}
.study .sum div{display:flex;justify-content:space-between;gap:1rem}
.study .sum dd{font-variant-numeric:tabular-nums;font-weight:600}
.study .sum .total{margin-top:.25rem;padding-top:.25rem;border-top:1px solid var(--line)}
.study .diagnosis h5{margin-top:0}
.study .sum+h5{margin-top:1rem}
.study .what-ifs,.study .report ul{margin-top:.4rem;padding-left:1.2rem;font-size:.9rem;display:grid;gap:.35rem}
.study .tables{grid-column:1/-1;display:grid;gap:.6rem;min-width:0}
.tables .every{min-width:0}
.interval{overflow:visible}
.interval line{stroke:var(--quiet);stroke-width:1.5px}
.interval .even{stroke:var(--ink)}
.interval .span{stroke:var(--accent);stroke-width:4px}
.interval circle{fill:var(--ink)}
.weights th small{display:block;font-weight:400;color:var(--quiet)}
.weights tbody th{font-weight:400}
.cards{grid-template-columns:minmax(0,1fr)}
.card>.quiet+.scroll{margin-top:1.25rem}
td .bar{min-width:4.5rem;margin-top:.25rem;border-radius:0}
td .bar rect{stroke:none}
@media (min-width:601px){.bars .row{grid-template-columns:minmax(7rem,15rem) 1fr}}
@media (max-width:600px){.tables .every th,.tables .every td{font-size:.75rem}}
@media (max-width:760px){.study{grid-template-columns:minmax(0,1fr)}.study>figure{position:static;max-width:22rem}}
"""
