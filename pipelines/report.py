"""Report: one self-contained HTML page of everything that was run."""

from agser_core.experiment import Experiment
from agser_core.report.assemble import assemble, check_something_ran
from agser_core.report.page import build_page
from agser_core.storage import Location
from pipelines.stage import say, stage_command


def run(experiment: Experiment) -> None:
    """Write the report as one HTML page.

    Reads whatever the other stages have finished; what was not run is named as such. The page needs nothing but itself.
    """
    inputs = assemble(experiment)
    check_something_ran(inputs)
    page = Location.parse(experiment.output).join("report.html")
    page.write_text(build_page(inputs))
    say(f"report: {page.uri}")


main = stage_command("report")(run)

if __name__ == "__main__":
    main()
