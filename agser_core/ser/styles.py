"""Speaker styles: which speakers of both corpora express an emotion alike (SAPA, arXiv 2509.20373).

A node is one speaker in one emotion: the mean vector of these clips. Nodes of one emotion form a graph of nearest
neighbours by cosine; its communities are the styles of that emotion.
"""

from __future__ import annotations

import networkx
import numpy as np
import pandas as pd

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
    corpus and
    emotion is subtracted: what is left is how this speaker differs from the others of the corpus ([ours]; without it
    the corpora themselves would be the communities).
    """
    chosen = np.flatnonzero(emotion >= 0)
    frame = pd.DataFrame({"speaker": data.speaker[chosen], "emotion": emotion[chosen], "clip": chosen})
    nodes = frame.groupby(["speaker", "emotion"])["clip"].agg(list).reset_index()
    means = np.stack([vectors[clips].mean(0) for clips in nodes["clip"]])
    for label in np.unique(nodes["emotion"]):
        same = (nodes["emotion"] == label).to_numpy()
        means[same] -= means[same].mean(0)
    return nodes.assign(corpus=data.corpus, clips=nodes["clip"].map(len), vector=list(means)).drop(columns="clip")


def communities(vectors: np.ndarray, neighbours: int, seed: int) -> tuple[np.ndarray, float]:
    """Louvain communities of the cosine kNN graph of nodes [n, D] -> (community int64 [n], modularity in [-0.5, 1]).

    Edges join nodes of which one is among the other's nearest, weight = cosine (> 0). Blondel et al. 2008.
    """
    count = len(vectors)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    graph = networkx.Graph()
    graph.add_nodes_from(range(count))
    nearest = np.argsort(-cosine, axis=1, kind="stable")[:, : min(neighbours, count - 1)]
    for node in range(count):
        graph.add_weighted_edges_from(
            (node, int(other), float(cosine[node, other])) for other in nearest[node] if cosine[node, other] > 0
        )
    parts = networkx.community.louvain_communities(graph, seed=seed)
    found = np.empty(count, dtype=np.int64)
    for index, part in enumerate(sorted(parts, key=min)):
        found[list(part)] = index
    modularity = networkx.community.modularity(graph, parts) if graph.number_of_edges() else 0.0
    return found, modularity


def style_table(nodes: pd.DataFrame, neighbours: int, seed: int) -> pd.DataFrame:
    """Nodes of several corpora with their community (numbered over all emotions) and their graph's modularity."""
    parts, first = [], 0
    for _, part in nodes.groupby("emotion", sort=True):
        found, modularity = communities(np.stack(part["vector"].to_list()), neighbours, seed)
        parts.append(part.assign(community=found + first, modularity=modularity))
        first += int(found.max()) + 1
    return pd.concat(parts, ignore_index=True)
