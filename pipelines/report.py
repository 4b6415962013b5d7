"""Report: one self-contained HTML page of everything that was run."""

from agser_core.experiment import Experiment
from agser_core.report.assemble import assemble, check_something_ran
from agser_core.report.export import to_latex, to_markdown
from agser_core.report.page import build_page
from agser_core.storage import Location
from pipelines.stage import say, stage_command


def run(experiment: Experiment) -> None:
    """Write the report as one HTML page.

    Reads whatever the other stages have finished; what was not run is named as such. The page needs nothing but itself;
    its tables lie beside it as Markdown and LaTeX.
    """
    inputs = assemble(experiment)
    check_something_ran(inputs)
    folder = Location.parse(experiment.output)
    folder.join("tables.md").write_text(to_markdown(inputs))
    folder.join("tables.tex").write_text(to_latex(inputs))
    folder.join("report.html").write_text(build_page(inputs))
    say(f"report: {folder.join('report.html').uri} (its tables also as tables.md and tables.tex)")


main = stage_command("report")(run)

if __name__ == "__main__":
    main()
