import dataclasses
import re

import pandas as pd

from agser_core.report.export import to_latex, to_markdown
from agser_core.report.inputs import ReportInputs
from agser_core.report.tables import report_tables


def test_markdown_has_every_table_with_rows_of_one_width(inputs):
    text = to_markdown(inputs)
    blocks = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    tables = list(report_tables(inputs).values())
    assert [block.splitlines()[0] for block in blocks] == [table.title for table in tables]
    for block, table in zip(blocks, tables, strict=True):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len(rows) == len(table.frame) + 2
        assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {table.frame.shape[1] + 1}


def test_latex_has_every_table_with_rows_of_one_width(inputs):
    text = to_latex(inputs)
    for name, table in report_tables(inputs).items():
        block = text[text.index(rf"\label{{tab:{name}}}") :]
        block = block[: block.index(r"\end{tabular}")]
        rows = [line for line in block.splitlines() if line.endswith(r"\\")]
        assert len(rows) == len(table.frame) + 1
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {table.frame.shape[1] - 1}
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == len(report_tables(inputs))


def test_special_characters_survive(inputs):
    awkward = pd.DataFrame([{"corpus": "a_b", "uri": "50% & more|less\nnext", "reason": "#1 {x} ~ ^", "remedy": "$"}])
    odd = dataclasses.replace(ReportInputs("odd", "2025"), problems=awkward)
    assert r"| a_b | 50% & more\|less next |" in to_markdown(odd)
    latex = to_latex(odd)
    assert r"a\_b & 50\% \& more\textbar{}less" in latex
    assert r"\#1 \{x\} \textasciitilde{} \textasciicircum{} & \$" in latex


def test_published_columns_are_marked(inputs):
    assert "four classes (published)" in to_markdown(inputs)
    assert "| published |" in to_markdown(inputs)
