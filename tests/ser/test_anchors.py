"""What each method takes as keys, and the parts of LA, SAPA and DANN, on corpora of a hundred clips."""

import doctest
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from agser_core.errors import ConfigError
from agser_core.evaluation.planted import Sizes, planted_pair
from agser_core.ser import styles
from agser_core.ser.anchors import METHODS, build_anchor, la, sapa
from agser_core.ser.anchors.base import View
from agser_core.ser.anchors.dann import DomainAdversary
from agser_core.ser.anchors.keyed import KeyedAnchor, Keys
from agser_core.ser.settings import GESTURE_METHODS, METHOD_NAMES, AnchorSettings, TrainSettings, method_parts


def sides(pair):
    return pair.source.take(pair.source_partition == "train"), pair.target.take(
        pair.target_partition == "train"
    ).without_labels()


def anchor_of(pair, method, **fields):
    return build_anchor(TrainSettings(method=method, anchor=AnchorSettings(**fields)), *sides(pair), seed=0)


def test_keys_are_what_the_methods_say(small_pair):
    source, target = sides(small_pair)
    assert np.array_equal(anchor_of(small_pair, "ag").source[0], source.gesture)
    assert np.array_equal(anchor_of(small_pair, "pa").target[0], np.where(target.is_vowel, target.phone, -1))
    deaf = replace(source, has_mouth=source.has_mouth & (source.phone != 2))
    keys = METHODS["hard_ag"](deaf, target, TrainSettings(), 0).source[0].numpy()
    assert 2 not in keys and np.array_equal(keys >= 0, deaf.has_mouth)


def test_random_clusters_keep_the_sizes_and_lose_the_rest(small_pair):
    source, _ = sides(small_pair)
    keys = anchor_of(small_pair, "random_clusters").source[0].numpy()
    vowels = source.gesture >= 0
    assert np.array_equal(np.bincount(keys[vowels]), np.bincount(source.gesture[vowels]))
    assert abs(adjusted_rand_score(keys[vowels], source.gesture[vowels])) < 0.05
    membership = anchor_of(small_pair, "random_clusters").source[1].numpy()[vowels]
    assert (membership.argmax(1) == keys[vowels]).mean() > 0.99  # each key brings its own membership along
    again, other = (
        METHODS["random_clusters"](*sides(small_pair), TrainSettings(), seed).source[0].numpy() for seed in (0, 1)
    )
    assert np.array_equal(keys, again) and not np.array_equal(keys, other)


def test_acoustic_clusters_follow_the_sound_not_the_corpus(small_pair):
    source, target = sides(small_pair)
    anchor = anchor_of(small_pair, "acoustic_clusters")
    vowels = source.is_vowel
    assert adjusted_rand_score(anchor.source[0].numpy()[vowels], source.phone[vowels]) > 0.1
    common = np.unique(anchor.target[0].numpy()[target.is_vowel & (anchor.target[0].numpy() >= 0)])
    assert len(common) >= 7  # acoustic clusters that both corpora use evenly enough to be anchors
    assert set(common) <= set(anchor.source[0].numpy()[source.is_vowel])


def test_acoustic_clusters_are_of_sounds_where_half_of_a_vector_is_of_its_clip(small_pair):
    """As with the embedded encoder, which appends functionals of the whole clip: here 30 of them, far louder."""

    def with_functionals(data):
        functionals = np.random.default_rng(len(data)).normal(0, 5, (len(data), 1, 30))[data.clip_of_phone]
        heard = data.read(np.arange(len(data.phone)))
        functionals = np.broadcast_to(functionals, (len(heard), heard.shape[1], 30))
        vectors = np.concatenate([heard, functionals], axis=2).astype(np.float32)
        return replace(data, vectors=vectors, rows=None)

    source, target = sides(small_pair)
    plain = METHODS["acoustic_clusters"](source, target, TrainSettings(), 0).source[0].numpy()
    loud = METHODS["acoustic_clusters"](*map(with_functionals, (source, target)), TrainSettings(), 0).source[0].numpy()
    assert np.array_equal(plain, loud)


def test_a_key_that_one_corpus_hardly_uses_takes_no_part():
    """Shares of key 2: 40 % in the source, 4 % in the target: a ratio of 10 %, below the threshold of 25 %."""
    source = Keys(np.repeat([0, 1, 2], [30, 30, 40]))
    target = Keys(np.repeat([0, 1, 2], [48, 48, 4]))
    anchor = KeyedAnchor("test", source, target, TrainSettings().anchor)
    assert set(anchor.target[0].tolist()) == {0, 1, -1} and set(anchor.source[0].tolist()) == {0, 1, 2}


def test_a_method_named_with_its_form_keeps_it(small_pair):
    assert anchor_of(small_pair, "ag", form="attention").settings.form == "attention"
    assert anchor_of(small_pair, "ag-triplet", form="attention").settings.form == "triplet"
    parts = anchor_of(small_pair, "pa+ag-prototype+la", form="attention").parts
    assert parts["pa"].settings.form == "attention" and parts["ag-prototype"].settings.form == "prototype"
    for name in ("la-triplet", "ag-triplets"):
        with pytest.raises(ConfigError, match="prototype, triplet, attention"):
            method_parts(name)


def test_overlap_weights_are_the_reliability_of_keys(small_pair):
    reliability = anchor_of(small_pair, "ag", weights="overlap").reliability
    assert reliability.shape == (10,) and 0 < float(reliability.min()) and float(reliability.max()) <= 1


def test_layer_anchoring_finds_the_layers_that_agree():
    source, target = sides(planted_pair("info", 1, Sizes((200, 4), (20, 1), (200, 4), (20, 1))))
    generator = np.random.default_rng(0)

    def layered(data, shifts):
        base = data.vectors[data.rows][:, 0].astype(np.float32)
        layers = [base @ turn + shift for turn, shift in shifts]
        return replace(data, vectors=np.stack(layers, 1), rows=np.arange(len(base)))

    same = [(np.eye(64, dtype=np.float32), 0.0)] * 6
    apart = [
        (generator.normal(size=(64, 64)).astype(np.float32) / 8, 2.0) if layer not in (2, 3) else same[0]
        for layer in range(6)
    ]
    source, other = layered(source, same), layered(source, apart)
    assert la.most_alike(la.layer_differences(source, other, 0), 3) == slice(2, 4)
    assert doctest.testmod(la).failed == 0


def test_communities_are_the_planted_styles():
    generator = np.random.default_rng(0)
    style = np.repeat(np.arange(4), 8)
    vectors = generator.normal(size=(4, 30))[style] + 0.3 * generator.normal(size=(32, 30))
    found, modularity = styles.communities(styles.neighbour_graph(vectors, neighbours=5), seed=0)
    assert adjusted_rand_score(found, style) == 1 and modularity > 0.6


def test_one_speaker_is_one_community():
    assert styles.communities(styles.neighbour_graph(np.ones((1, 5)), neighbours=5), seed=0)[0].tolist() == [0]


def test_style_nodes_are_speakers_by_emotion(small_pair):
    source = small_pair.source
    vectors = styles.clip_vectors(source)
    start, stop = source.offsets[3:5]
    assert np.allclose(vectors[3], source.read(np.arange(start, stop)).mean((0, 1)))
    nodes = styles.style_nodes(vectors, source, source.emotion)
    assert len(nodes) == len(set(zip(source.speaker, source.emotion, strict=True))) and nodes["clips"].sum() == len(
        source
    )
    table = styles.style_table(nodes, neighbours=3, seed=0)
    assert table.groupby("community")["emotion"].nunique().max() == 1


def test_the_analysis_of_styles_finds_what_was_planted():
    """Three ways of each emotion: communities of both corpora, one planted way each."""
    pair = planted_pair("styles", 0, Sizes((600, 15), (40, 1), (600, 15), (40, 1)), shift=0.0)
    corpora = [
        data.take(part == "train")
        for data, part in zip((pair.source, pair.target), (pair.source_partition, pair.target_partition), strict=True)
    ]
    languages = {(data.corpus, name): data.corpus for data in corpora for name in data.speaker}
    nodes, edges = styles.style_analysis(corpora, languages, neighbours=5, seed=0)
    assert len(nodes) == 2 * 15 * 4 and nodes["clips"].sum() == 1200 and nodes["modularity"].min() > 0.3
    assert nodes["silhouette"].between(0.1, 1).all()
    shared = nodes.groupby(["emotion", "community"])["language"].nunique()
    assert (shared == 2).mean() > 0.8
    ends = nodes["emotion"].to_numpy()[edges[["first", "second"]]]
    assert (ends == edges[["emotion"]].to_numpy()).all() and edges["weight"].between(0, 1).all()


def test_sapa_keys_follow_communities_and_pseudo_labels(small_pair):
    source, target = sides(small_pair)
    anchor = anchor_of(small_pair, "sapa")
    guess = np.random.default_rng(0).dirichlet(np.ones(4), size=len(target)).astype(np.float32)
    anchor.start_epoch(0, lambda data: guess)
    assert anchor.table is None
    anchor.start_epoch(1, lambda data: guess)
    guess = sapa.balanced(guess)
    row = anchor.table.set_index(["corpus", "speaker", "emotion"])["community"]
    for clip in (0, 7, 50):
        assert anchor.keys[1][clip] == row[("target", target.speaker[clip], guess[clip].argmax())]
        assert anchor.keys[0][clip] == row[("source", source.speaker[clip], source.emotion[clip])]
        assert anchor.trust[1][clip] == pytest.approx(guess[clip].max())


def test_pseudo_labels_are_balanced_where_the_network_calls_all_clips_one_emotion():
    generator = np.random.default_rng(0)
    truth = np.arange(400) % 4
    scores = 2.0 * np.eye(4)[truth] + 0.5 * generator.normal(size=(400, 4)) + np.array([5.0, 0, 0, 0])
    skewed = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    assert (skewed.argmax(1) == 0).mean() > 0.95
    found = sapa.balanced(skewed)
    assert np.allclose(found.mean(0), 0.25, atol=0.01) and np.allclose(found.sum(1), 1)
    assert (found.argmax(1) == truth).mean() > 0.9
    assert doctest.testmod(sapa).failed == 0


def views(pair, width=8):
    generator = torch.Generator().manual_seed(0)
    found = []
    for data in sides(pair):
        clip = np.arange(12)
        phones = int(data.offsets[12])
        draws = [torch.randn(count, width, generator=generator).requires_grad_() for count in (12, phones, 12)]
        found.append(View(data, clip, np.arange(phones), torch.zeros(12, 4), draws[0], draws[1], draws[2]))
    return found


def test_the_adversary_hides_what_the_discriminator_wants(small_pair):
    anchor = DomainAdversary(8, AnchorSettings(dann_weight=0.5, gamma=2.0))
    source, target = views(small_pair)
    loss, figures = anchor.loss(source, target, progress=1.0)
    loss.backward()
    clips = torch.cat([source.clips, target.clips]).detach().requires_grad_()
    corpus = torch.cat([torch.zeros(12), torch.ones(12)])
    plain = torch.nn.functional.binary_cross_entropy_with_logits(anchor.discriminator(clips)[:, 0], corpus)
    plain.backward()
    ramp = 2 / (1 + np.exp(-10.0)) - 1
    assert torch.allclose(torch.cat([source.clips.grad, target.clips.grad]), -0.5 * 2 * ramp * clips.grad, atol=1e-6)
    assert 0 <= figures["discriminator_accuracy"] <= 1


@pytest.mark.parametrize("method", ["ag", "pa", "mean_matching", "coral", "dann"])
def test_the_anchor_loss_reaches_both_corpora(small_pair, method):
    settings = TrainSettings(method=method, network={"width": 8, "heads": 2})
    for detach in (False, True):
        anchor = build_anchor(
            settings.model_copy(update={"anchor": AnchorSettings(detach_source=detach)}), *sides(small_pair), 0
        )
        source, target = views(small_pair)
        anchor.loss(source, target, 0.5)[0].backward()
        moved = [
            any(part.grad is not None and part.grad.abs().sum() > 0 for part in (view.clips, view.phones))
            for view in (source, target)
        ]
        assert moved == [not (detach and method in ("ag", "pa")), True]


def test_a_sum_adds_the_losses_of_its_parts(small_pair):
    source, target = views(small_pair)
    values = {
        method: float(anchor_of(small_pair, method).loss(source, target, 0.5)[0].detach())
        for method in ("ag", "la", "ag+la")
    }
    assert values["ag+la"] == pytest.approx(values["ag"] + values["la"])


def test_labelled_target_clips_are_refused(small_pair):
    source, _ = sides(small_pair)
    with pytest.raises(ConfigError, match="without_labels"):
        build_anchor(TrainSettings(method="ag"), source, small_pair.target, 0)


def test_the_names_that_settings_accept_are_those_that_there_are():
    assert set(METHOD_NAMES) == set(METHODS) and GESTURE_METHODS <= set(METHODS)
