"""Speaker styles: which speakers of both corpora express an emotion alike (SAPA, arXiv 2509.20373).

A node is one speaker in one emotion: the mean vector of these clips. Nodes of one emotion form a graph of nearest
neighbours by cosine; its communities are the styles of that emotion.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import networkx
import numpy as np
import pandas as pd
from sklearn.metrics import silhouette_score

from agser_core.ser.dataset import SpeechData


def clip_vectors(data: SpeechData) -> np.ndarray:
    """Mean over phones and layers of the (normalised) vectors of each clip, float64 [C, D]."""
    means = np.empty((len(data), data.dimension))
    for start in range(0, len(data), 512):
        stop = min(start + 512, len(data))
        vectors = data.read(np.arange(data.offsets[start], data.offsets[stop])).mean(1).astype(np.float64)
        edges = data.offsets[start:stop] - data.offsets[start]
        means[start:stop] = np.add.reduceat(vectors, edges) / data.lengths[start:stop, None]
    return means


def style_nodes(vectors: np.ndarray, data: SpeechData, emotion: np.ndarray) -> pd.DataFrame:
    """One row a speaker and emotion: corpus, speaker, emotion, clips (their number), vector [D]. At least one clip
    has an emotion.

    vectors [C, D] of `clip_vectors`; emotion int [C], labels or pseudo-labels, -1 left out. The mean node of the same
    corpus and emotion is subtracted: what is left is how this speaker differs from the others of the corpus ([ours];
    without it the corpora themselves would be the communities).
    """
    chosen = np.flatnonzero(emotion >= 0)
    frame = pd.DataFrame({"speaker": data.speaker[chosen], "emotion": emotion[chosen], "clip": chosen})
    nodes = frame.groupby(["speaker", "emotion"])["clip"].agg(list).reset_index()
    means = np.stack([vectors[clips].mean(0) for clips in nodes["clip"]])
    for label in np.unique(nodes["emotion"]):
        same = (nodes["emotion"] == label).to_numpy()
        means[same] -= means[same].mean(0)
    return nodes.assign(corpus=data.corpus, clips=nodes["clip"].map(len), vector=list(means)).drop(columns="clip")


def neighbour_graph(vectors: np.ndarray, neighbours: int) -> networkx.Graph:
    """Cosine kNN graph of nodes [n, D]: edges join nodes of which one is among the other's nearest, weight = cosine
    (> 0)."""
    count = len(vectors)
    cosine = _cosines(vectors)
    np.fill_diagonal(cosine, -np.inf)
    graph = networkx.Graph()
    graph.add_nodes_from(range(count))
    nearest = np.argsort(-cosine, axis=1, kind="stable")[:, : min(neighbours, count - 1)]
    for node in range(count):
        graph.add_weighted_edges_from(
            (node, int(other), float(cosine[node, other])) for other in nearest[node] if cosine[node, other] > 0
        )
    return graph


def communities(graph: networkx.Graph, seed: int) -> tuple[np.ndarray, float]:
    """Louvain communities (Blondel et al. 2008) of a graph of n nodes: community int64 [n], modularity in [-0.5, 1]."""
    parts = networkx.community.louvain_communities(graph, seed=seed)
    found = np.empty(len(graph), dtype=np.int64)
    for index, part in enumerate(sorted(parts, key=min)):
        found[list(part)] = index
    modularity = networkx.community.modularity(graph, parts) if graph.number_of_edges() else 0.0
    return found, modularity


def style_table(nodes: pd.DataFrame, neighbours: int, seed: int) -> pd.DataFrame:
    """Nodes of several corpora with their community (numbered over all emotions) and their graph's modularity."""
    parts, first = [], 0
    for _, part in nodes.groupby("emotion", sort=True):
        found, modularity = communities(neighbour_graph(np.stack(part["vector"].to_list()), neighbours), seed)
        parts.append(part.assign(community=found + first, modularity=modularity))
        first += int(found.max()) + 1
    return pd.concat(parts, ignore_index=True)


def style_analysis(
    corpora: Iterable[SpeechData], languages: Mapping[tuple[str, str], str], neighbours: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Who shares a style with whom, by the labels of all corpora: an analysis after the fact, nothing trains on it.

    corpora: labelled clips, one SpeechData a corpus. languages: by (corpus, speaker).

    Returns nodes: emotion (its name), corpus, speaker, language, clips, community (numbered within its emotion),
    modularity and silhouette (by cosine, nan for one community) of the emotion's graph, x, y (a layout of the graph,
    for the eye alone); and edges: emotion, first, second (rows of nodes), weight.
    """
    corpora = list(corpora)
    parts = [style_nodes(clip_vectors(data.normalised("corpus")), data, data.emotion) for data in corpora]
    nodes, found, edges, first = pd.concat(parts, ignore_index=True), [], [], 0
    for label, part in nodes.groupby("emotion", sort=True):
        vectors, emotion = np.stack(part["vector"].to_list()), corpora[0].classes[label]
        graph = neighbour_graph(vectors, neighbours)
        community, modularity = communities(graph, seed)
        place = networkx.spring_layout(graph, seed=seed)
        found.append(
            part.drop(columns="vector").assign(
                emotion=emotion,
                language=[languages.get(person) for person in zip(part["corpus"], part["speaker"], strict=True)],
                community=community,
                modularity=modularity,
                silhouette=_silhouette(vectors, community),
                x=[place[node][0] for node in range(len(part))],
                y=[place[node][1] for node in range(len(part))],
            )
        )
        edges += [(emotion, first + one, first + other, weight) for one, other, weight in graph.edges(data="weight")]
        first += len(part)
    return pd.concat(found, ignore_index=True), pd.DataFrame(edges, columns=["emotion", "first", "second", "weight"])


def _silhouette(vectors: np.ndarray, community: np.ndarray) -> float:
    if not 1 < len(np.unique(community)) < len(community):
        return float("nan")
    distances = np.clip(1 - _cosines(vectors), 0, None)
    np.fill_diagonal(distances, 0)
    return float(silhouette_score(distances, community, metric="precomputed"))


def _cosines(vectors: np.ndarray) -> np.ndarray:
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit @ unit.T
