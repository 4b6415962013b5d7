"""Card: what each extracted corpus holds, as Markdown."""

from agser_core.corpora.card import data_card
from agser_core.experiment import Experiment
from agser_core.extracted import extracted_corpora
from agser_core.storage import Location
from pipelines.stage import say, stage_command


def run(experiment: Experiment) -> None:
    """Write a data card of every extracted corpus: counts, hours, speakers, label rule, failures, licence."""
    for name, corpus in extracted_corpora(experiment).items():
        card = Location.parse(experiment.output).join("cards", f"{name}.md")
        card.write_text(data_card(experiment.corpora[name], corpus))
        say(f"card: {card.uri}")


main = stage_command("card")(run)

if __name__ == "__main__":
    main()
