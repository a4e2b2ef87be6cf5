"""Figures, tables and texts for readers. Import the module you need, as in `from jointens.reports import tables`.

style.py              colours, the style of figures, and the line that says where their numbers come from
beta_sweep.py         figures of a β sweep
theory.py             figures of the theory chapters
imagenet.py           figures of the ImageNet chapter
diagnostics.py        figures of the paper's three diagnostics and of the regression sets
settings_map.py       figures of a map over many settings
forests.py            figure and table of forests whose leaf values are fitted jointly
remedies.py           figures of remedies for joint training
tables.py             tables and texts of sweeps
table1.py             the paper's Table 1, beside the paper's own numbers
flow_slider.py        a slider over time for learners that move in a plane
claims.py             the ledger of claims, `book/claims.yml`, and the verdict on each
claims_verdict.py     effects, residuals, and verdicts from them
claims_exact.py       checks of algebraic statements on random draws
claims_gradients.py   the same for gradient, curvature and training
claims_measured.py    checks of claims on published results
claims_data.py        these results by name, and their scale
claims_page.py        the ledger, and the index from the paper, as Markdown
published.py          published results, cell by cell
published_tables.py   published results on the regression sets, as tables
stored_diagnosis.py   the diagnosis of a stored ensemble as text
"""
