import numpy as np
import pytest
import torch

from agser_core.ser.batches import make_batch
from agser_core.ser.network import Batch, EmotionNetwork, Masks, TransformerLayer, no_dropout
from agser_core.ser.settings import NetworkSettings

SMALL = NetworkSettings(width=16, heads=4, feed_forward=24, classifier=8, transformer_layers=2)


def test_the_layer_is_torchs_own_encoder_layer_on_packed_phones():
    torch.manual_seed(0)
    ours, theirs = TransformerLayer(16, 4, 24), torch.nn.TransformerEncoderLayer(16, 4, 24, 0.0, batch_first=True)
    pairs = {
        "self_attn.in_proj_": ours.query_key_value,
        "self_attn.out_proj.": ours.attended,
        "linear1.": ours.first,
        "linear2.": ours.second,
        "norm1.": ours.norm_attention,
        "norm2.": ours.norm_feed_forward,
    }
    theirs.load_state_dict(
        {f"{name}{part}": getattr(module, part) for name, module in pairs.items() for part in ("weight", "bias")}
    )
    lengths = torch.tensor([3, 7, 1, 5])
    valid = torch.arange(7)[None] < lengths[:, None]
    padded = torch.randn(4, 7, 16)
    slot = valid.flatten().nonzero()[:, 0]
    found = ours(padded[valid], slot, valid, no_dropout)
    expected = theirs.train()(padded, src_key_padding_mask=~valid)[valid]
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_clip_gives_the_same_logits_in_any_company(small_pair):
    torch.manual_seed(0)
    network = EmotionNetwork(1, 64, 4, SMALL)
    data = small_pair.source
    together = network(make_batch([(data, np.arange(12))]))
    alone = network(make_batch([(data, np.array([5]))]))
    assert torch.allclose(together.logits[5], alone.logits[0], atol=1e-5)
    assert torch.allclose(together.phones[data.offsets[5] : data.offsets[6]], alone.phones, atol=1e-5)


def test_layers_are_summed_by_softmax_weights():
    torch.manual_seed(0)
    network = EmotionNetwork(3, 5, 4, SMALL)
    vectors = torch.randn(4, 3, 5)
    batch = Batch(vectors, torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1]), 2)
    with torch.no_grad():
        network.layer_weights[:] = torch.tensor([0.0, 50.0, 0.0])
    assert torch.allclose(network(batch).inputs, network.project(vectors[:, 1]).view(2, 2, -1).mean(1), atol=1e-5)
    with torch.no_grad():
        network.layer_weights[:] = torch.tensor([50.0, 1.0, 1.0])
    network.read_only(slice(1, 3))
    assert torch.allclose(
        network(batch).inputs, network.project(vectors[:, 1:3].mean(1)).view(2, 2, -1).mean(1), atol=1e-5
    )


def test_dropout_masks_of_workers_are_rows_of_the_global_masks():
    values = torch.ones(10, 6)
    settings = NetworkSettings(dropout=0.5)
    whole = Masks(settings, 7, torch.arange(10), 10, torch.arange(3), 3)(values, "phone")
    parts = [
        Masks(settings, 7, rows, 10, torch.arange(3), 3)(values[: len(rows)], "phone")
        for rows in (torch.tensor([0, 1, 5]), torch.tensor([2, 3, 4, 6, 7, 8, 9]))
    ]
    assert torch.equal(parts[0], whole[[0, 1, 5]]) and torch.equal(parts[1], whole[[2, 3, 4, 6, 7, 8, 9]])
    assert set(whole.unique().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout_keeps_the_mean(rate):
    values = torch.ones(400, 100)
    for kind, settings in (("phone", {"dropout": rate}), ("input", {"input_dropout": rate})):
        masks = Masks(NetworkSettings(**settings), 1, torch.arange(400), 400, torch.arange(400), 400)
        assert float(masks(values, kind).mean()) == pytest.approx(1, abs=0.02)
        assert float((masks(values, kind) == 0).float().mean()) == pytest.approx(rate, abs=0.02)


def test_a_clip_loses_the_same_inputs_in_all_its_phones(small_pair):
    torch.manual_seed(0)
    settings = SMALL.model_copy(update={"dropout": 0.0, "input_dropout": 0.5, "transformer_layers": 0})
    network, batch = EmotionNetwork(1, 64, 4, settings), make_batch([(small_pair.source, np.arange(6))])
    rows, clips = torch.arange(len(batch.clip)), torch.arange(6)
    seen = network(batch, Masks(settings, 3, rows, len(rows), clips, 6)).phones
    kept = Masks(settings, 3, rows, len(rows), clips, 6)(torch.ones(6, 64), "input")
    assert torch.allclose(seen, network.project(batch.vectors[:, 0] * kept[batch.clip]), atol=1e-5)


def test_batches_lay_corpora_end_to_end(small_pair):
    source, target = small_pair.source, small_pair.target
    batch = make_batch([(source, np.array([3, 1])), (target, np.array([2]))])
    lengths = [source.lengths[3], source.lengths[1], target.lengths[2]]
    assert torch.bincount(batch.clip).tolist() == lengths and batch.n_clips == 3
    assert batch.position.tolist() == [place for length in lengths for place in range(length)]
    start = target.offsets[2]
    assert np.array_equal(batch.vectors[-lengths[2] :].numpy(), target.read(np.arange(start, start + lengths[2])))
