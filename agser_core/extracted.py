"""The extracted tables of a corpus, as the later stages read them."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from agser_core.chain import extract_output, has_mouths
from agser_core.corpora import published_rotations
from agser_core.corpora.clip import CLASSES, Clip
from agser_core.corpora.splits import LEFT_OUT, by_folds, own_rotations, rotation
from agser_core.errors import ConfigError
from agser_core.experiment import Experiment, SplitSettings
from agser_core.mouth.track import MouthTrack
from agser_core.mouth.trajectory import from_eye_coordinates
from agser_core.outputs import StageOutput


@dataclass(frozen=True)
class ExtractedCorpus:
    """One corpus after extraction."""

    name: str
    output: StageOutput

    @functools.cached_property
    def manifest(self) -> dict:
        return self.output.manifest()

    @functools.cached_property
    def clips(self) -> pd.DataFrame:
        """The clips that take part: those of the four classes, or all clips of a corpus that has no label of them (a
        talking-head corpus can lend its mouths)."""
        clips = self.output.table("clips").to_pandas()
        chosen = clips["emotion"].isin(CLASSES)
        return clips[chosen].reset_index(drop=True) if chosen.any() else clips

    @functools.cached_property
    def segments(self) -> pa.Table:
        return self.output.table("segments")

    def phone_vectors(self) -> pa.Table:
        return self.output.table("phone_vectors")

    def frames(self) -> pa.Table:
        return self.output.table("frames")

    def tracks(self) -> dict[str, MouthTrack]:
        """The mouth tracks by clip, in inter-pupil units."""
        return {
            row["clip_id"]: from_eye_coordinates(row["times"], row["lips"], row["confidence"])
            for row in self.output.table("tracks").to_pylist()
        }

    @property
    def has_mouths(self) -> bool:
        return has_mouths(self.output)

    @property
    def has_emotions(self) -> bool:
        return bool(self.clips["emotion"].isin(CLASSES).any())

    def partition(self, split: SplitSettings, fold: int) -> pd.Series:
        """train, dev, test or "left out" of each of `clips` in one fold, by clip_id. No speaker is in two partitions.

        Raises ConfigError where the corpus has too few speakers, or not the folds of its own that are asked for.
        """
        people = [
            Clip(row.clip_id, self.name, row.speaker, "", gender=row.gender, fold=row.fold)
            for row in self.clips.itertuples()
        ]
        try:
            if split.by == "corpus":
                parts = self._own_partition(people, fold)
            else:
                speakers = rotation(people, split.groups, split.test_groups, fold, split.seed)
                parts = {clip.clip_id: speakers[clip.speaker] for clip in people}
        except ConfigError as error:
            remedy = "set split.by=speakers" if split.by == "corpus" else "choose fewer split.groups"
            raise ConfigError(
                f"the corpus {self.name!r} can't be split: {error}; {remedy}; to look at gestures only, set "
                "cluster.transductive=true"
            ) from None
        return pd.Series([parts[clip.clip_id] for clip in people], index=self.clips["clip_id"])

    def _own_partition(self, clips: list[Clip], fold: int) -> dict[str, str]:
        """The partition of each clip in one rotation of the corpus' own folds."""
        adapter = self.output.identity["corpus"]["adapter"]
        rotations = published_rotations(adapter) or own_rotations(clip.fold for clip in clips)
        if fold >= len(rotations):
            raise ConfigError(f"its own folds make {len(rotations)} rotation(s), fold {fold} is asked for (from 0)")
        parts = by_folds(clips, *rotations[fold])
        chosen = {clip.clip_id: part for part, members in parts.items() for clip in members}
        return {clip.clip_id: chosen.get(clip.clip_id, LEFT_OUT) for clip in clips}


def extracted_corpora(experiment: Experiment) -> dict[str, ExtractedCorpus]:
    """Every corpus of an experiment; reading one raises AgserError where it is not extracted yet."""
    return {name: ExtractedCorpus(name, extract_output(experiment, name)) for name in experiment.corpora}
