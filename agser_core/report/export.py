"""The tables of the report as Markdown and as LaTeX, for papers and notes."""

from __future__ import annotations

from collections.abc import Iterable

from agser_core.report.inputs import ReportInputs
from agser_core.report.tables import ReportTable, report_tables

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "−": "$-$",
    "→": r"$\rightarrow$",
    "–": "--",
    "|": r"\textbar{}",
}


def to_markdown(inputs: ReportInputs) -> str:
    """All tables as GitHub-flavoured Markdown, a heading each; published columns say so in their heading."""
    return "\n".join([f"# {inputs.name}", "", *(_markdown_table(table) for table in report_tables(inputs).values())])


def _markdown_table(table: ReportTable) -> str:
    rule = ["---:" if column in table.numeric else "---" for column in table.frame]
    lines = [f"## {table.title}", "", _markdown_row(_headings(table)), _markdown_row(rule)]
    lines += [_markdown_row(row) for row in table.frame.to_numpy().tolist()]
    return "\n".join([*lines, "", *([table.note, ""] if table.note else [])])


def _markdown_row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", r"\|") for cell in cells) + " |"


def to_latex(inputs: ReportInputs) -> str:
    """All tables as LaTeX `table` environments with `booktabs` rules and a label each (`tab:NAME`).

    IPA letters stand as they are: compile with XeLaTeX or LuaLaTeX and a font that has them.
    """
    return "\n".join(_latex_table(table) for table in report_tables(inputs).values())


def _latex_table(table: ReportTable) -> str:
    columns = "".join("r" if column in table.numeric else "l" for column in table.frame)
    rows = [[_latex(cell) for cell in row] for row in [_headings(table), *table.frame.to_numpy().tolist()]]
    heading, *body = [f"{' & '.join(row)} \\\\" for row in rows]
    caption = _latex(f"{table.title}. {table.note}".strip())
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{caption}}}",
            rf"\label{{tab:{table.name}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            heading,
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


def _headings(table: ReportTable) -> list[str]:
    """Column headings; a published column is marked even where its own heading does not say so."""
    return [
        f"{column} (published)" if column in table.published and "published" not in column else column
        for column in table.frame
    ]
