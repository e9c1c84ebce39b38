"""Generation from untrained networks: seeds, resume, what is refused."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.field_of_view import FieldOfView, FieldsOfView
from skfm_lib.generation import (
    LABELS,
    STAGES,
    Sampler,
    SkullGenerator,
    generate_skulls,
    load_generator,
    mix_of,
    trained_models,
    usual_sampler,
)
from skfm_lib.losses import ddpm
from skfm_lib.models import VQVAE, LinearShapeModel, UNet3D
from skfm_lib.presets import preset
from skfm_lib.study import open_study
from skfm_lib.training.checkpoints import save_weights
from skfm_lib.training.latents import LatentScale
from skfm_lib.utils.device import Device, pick_device
from skfm_lib.utils.errors import SkfmError

TINY = preset("tiny")
FLOAT32 = Device(torch.device("cpu"), torch.float32)
EULER, ANCESTRAL = Sampler("euler", 3), Sampler("ancestral", 3)


def untrained(objective="otfm", device=None, label_dropout=0.0, fields=None):
    """A generator of random weights whose volumes hold about half bone."""
    torch.manual_seed(0)
    device = device or pick_device()
    settings = TINY.denoiser.but(field_of_view=fields is not None)
    network = UNet3D(settings, leaps=objective == "shortcut")
    if fields:
        torch.nn.init.normal_(network.condition.heights[-1].weight)
    vqvae = VQVAE(TINY.vqvae)
    torch.nn.init.zeros_(vqvae.decoder[-1].bias)
    scale = LatentScale(torch.zeros(8, 1, 1, 1), torch.ones(8, 1, 1, 1), (-1.0, 1.0))
    return SkullGenerator(
        objective,
        device.to_device(network).eval(),
        device.to_device(vqvae).eval(),
        scale,
        device,
        label_dropout,
        fields=fields,
    )


@pytest.mark.parametrize(
    ("objective", "sampler"),
    [
        ("otfm", EULER),
        ("otfm", Sampler("midpoint", 2)),
        ("otfm", Sampler("heun", 2)),
        ("ddpm", ANCESTRAL),
        ("ddpm", Sampler("ddim", 3)),
        ("ddpm-v", ANCESTRAL),
        ("shortcut", Sampler("shortcut", 2)),
    ],
)
def test_the_same_seed_gives_the_same_latents_in_any_batch(objective, sampler):
    # To rounding: convolutions sum in another order when the batch is another.
    made, seeds, scores = untrained(objective, FLOAT32), [11, 12, 13, 14], [2, 6, 5, 2]
    together = made.latents(scores, seeds, sampler)
    assert together.shape == (4, 8, *TINY.vqvae.latent_shape)
    assert (together[0] - together[3]).abs().max() > 0.1  # same score, other seed
    turned = made.latents(scores[::-1], seeds[::-1], sampler).flip(0)
    pairs = [made.latents(scores[i : i + 2], seeds[i : i + 2], sampler) for i in (0, 2)]
    alone = [
        made.latents(scores[i : i + 1], seeds[i : i + 1], sampler) for i in range(4)
    ]
    for other in (turned, torch.cat(pairs), torch.cat(alone)):
        assert torch.allclose(together, other, atol=1e-4)


def test_the_same_batch_gives_the_same_bits_again():
    made = untrained()
    first, second = (made.latents([2, 6], [11, 12], EULER) for _ in range(2))
    assert torch.equal(first, second)
    alone = made.latents([2], [11], EULER)
    assert (alone - first[:1]).abs().max() < 0.05  # in bf16, where the CPU has it


def test_the_label_and_the_model_change_what_a_seed_gives():
    flow = untrained()
    assert not torch.equal(flow.latents([2], [5], EULER), flow.latents([6], [5], EULER))
    noise = {}
    for objective, method in (
        ("otfm", "euler"),
        ("ddpm", "ddim"),
        ("shortcut", "shortcut"),
    ):
        made = untrained(objective)
        made.network.forward = lambda z, *given, o=objective: noise.setdefault(o, z)
        made.latents([3, 4], [1, 2], Sampler(method, 1))
    assert torch.equal(noise["otfm"], noise["ddpm"])  # all start from the same noise
    assert torch.equal(noise["otfm"], noise["shortcut"])


def test_guidance_needs_dropout_and_pushes_away_from_no_label():
    with pytest.raises(SkfmError, match="guidance 2.*label_dropout"):
        untrained().latents([3], [1], Sampler("euler", 2, guidance=2.0))
    # Float32: the guided field is compared with its formula.
    made = untrained(
        device=Device(torch.device("cpu"), torch.float32), label_dropout=0.1
    )
    z = made.latents([3], [1], Sampler("euler", 1, guidance=3.0))
    start = []

    def seen(module, given):
        start.append(given[0])

    with made.network.register_forward_pre_hook(seen):
        made.latents([3], [1], Sampler("euler", 1))
    with torch.no_grad():
        conditional, free = (made.network(start[0], 1.0, q) for q in (3, 0))
    assert torch.allclose(z, start[0] - (free + 3 * (conditional - free)), atol=1e-5)


@pytest.mark.parametrize(
    ("objective", "method", "allowed"),
    [
        ("otfm", "ddim", "euler or midpoint or heun"),
        ("ddpm", "euler", "ancestral or ddim"),
        ("shortcut", "euler", "shortcut"),
    ],
)
def test_the_sampler_of_the_other_objective_is_refused(objective, method, allowed):
    with pytest.raises(SkfmError, match=f"'{method}' for {objective}.*{allowed}"):
        untrained(objective).latents([3], [1], Sampler(method, 2))


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        (("rk45", 2), "sampler 'rk45'; expected euler or .* or shortcut"),
        (("euler", 0), "0 sampling steps"),
        (("euler", 2, -1.0), "guidance -1.0"),
        (("euler", 2, float("nan")), "guidance nan"),
        (("euler", 2, 1.0, 0.0), "time shift 0.0"),
    ],
)
def test_a_sampler_out_of_range_is_refused(settings, found):
    with pytest.raises(SkfmError, match=found):
        Sampler(*settings)


@pytest.mark.parametrize("steps", [3, 256])
def test_a_shortcut_takes_a_power_of_two_of_steps(steps):
    with pytest.raises(SkfmError, match=f"{steps} shortcut steps.*1, 2, 4, .*128"):
        untrained("shortcut").latents([3], [1], Sampler("shortcut", steps))


def test_a_shortcut_network_is_told_the_size_of_its_steps():
    made, seen = untrained("shortcut"), []
    made.network.forward = lambda z, t, quality, d: seen.append((t, d)) or z
    made.latents([3], [1], Sampler("shortcut", 4))
    assert seen == [(1, 0.25), (0.75, 0.25), (0.5, 0.25), (0.25, 0.25)]


def test_a_shift_moves_the_times_of_the_flow():
    made, times = untrained(), []
    made.network.forward = lambda z, t, quality: times.append(t) or z
    made.latents([3], [1], Sampler("euler", 4, shift=3.0))
    assert times == pytest.approx([1, 9 / 10, 3 / 4, 1 / 2])


@pytest.mark.parametrize(
    ("objective", "method"),
    [("ddpm", "ddim"), ("ddpm", "ancestral"), ("shortcut", "shortcut")],
)
def test_where_no_grid_is_to_be_shifted_a_shift_is_refused(objective, method):
    with pytest.raises(SkfmError, match=f"time shift 2.0 with the sampler {method}"):
        untrained(objective).latents([3], [1], Sampler(method, 2, shift=2.0))


@pytest.mark.parametrize(
    ("scores", "sampler", "found"),
    [
        ([3], Sampler("ddim", 2, shift=2.0), "time shift"),
        ([3], Sampler("ddim", 301), "301 diffusion steps; expected 1 to 300"),
        ([3], Sampler("ddim", 2, guidance=2.0), "label_dropout"),
        ([], Sampler("ddim", 2), "0 skulls; expected at least one"),
    ],
)
def test_what_is_refused_leaves_no_folder_behind(tmp_path, scores, sampler, found):
    with pytest.raises(SkfmError, match=found):
        generate_skulls(untrained("ddpm"), tmp_path / "new", scores, 7, sampler, 1)
    assert not (tmp_path / "new").exists()


def test_evaluations_are_counted_by_the_network():
    made, calls = untrained(label_dropout=0.1), []
    made.network.forward = lambda z, t, quality: calls.append(1) or z
    for sampler in (
        Sampler("euler", 3),
        Sampler("midpoint", 3),
        Sampler("heun", 2),
        Sampler("heun", 2, guidance=2.0),
    ):
        calls.clear()
        made.latents([3], [1], sampler)
        assert len(calls) == sampler.evaluations


def contents(folder):
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


@pytest.mark.parametrize("objective", ["otfm", "ddpm"])
def test_a_resumed_set_equals_an_uninterrupted_one(tmp_path, objective):
    sampler = EULER if objective == "otfm" else ANCESTRAL
    made, scores = untrained(objective), [2, 2, 3, 6, 6]
    skulls = generate_skulls(made, tmp_path / "a", scores, 7, sampler, 2, "stl")
    whole = contents(tmp_path / "a")
    assert len(whole) == 5 + 5 + 2
    names = [f"{objective}-qs{q}-{n:04d}" for q, n in zip(scores, (1, 2, 1, 1, 2))]
    assert [s.name for s in skulls] == names

    # Killed in the second batch, one of whose volumes was there already.
    decode, calls = SkullGenerator.decode, []

    def killed(self, latents):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return decode(self, latents)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SkullGenerator, "decode", killed)
        generate_skulls(made, tmp_path / "b", scores, 7, sampler, 2, "stl")
    assert 0 < len(contents(tmp_path / "b")) < len(whole)
    generate_skulls(made, tmp_path / "b", scores, 7, sampler, 2, "stl")
    assert contents(tmp_path / "b") == whole


def test_a_finished_set_is_kept_and_another_is_not_mixed_into_it(tmp_path, monkeypatch):
    made = untrained()
    generate_skulls(made, tmp_path, [3, 5], 7, EULER, 2)
    before = contents(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(SkullGenerator, "latents", lambda *given: pytest.fail("again"))
        generate_skulls(made, tmp_path, [3, 5], 7, EULER, 2)
    others = (Sampler("heun", 3), Sampler("euler", 3, shift=2.0))
    for seed, sampler in ((8, EULER), *((7, other) for other in others)):
        with pytest.raises(SkfmError, match="holds another data set"):
            generate_skulls(made, tmp_path, [3, 5], seed, sampler, 2)
    assert contents(tmp_path) == before


def test_a_set_is_a_data_set_like_any_other(tmp_path):
    made = untrained()
    generate_skulls(made, tmp_path, [3, 5], 7, EULER, 1)
    skulls = SkullSet(tmp_path, "train")
    assert skulls.qualities == [3, 5] and skulls.shape == TINY.vqvae.output_shape
    assert skulls.grid.spacing == pytest.approx(made.grid.spacing)
    assert 0 < skulls.occupancy(0).mean() < 1 and skulls.volume(0).max() > 1
    sources = [skull.source for skull in skulls.skulls]
    assert len(set(sources)) == 2 and "otfm, 3 euler steps, seed" in sources[0]


def test_a_volume_without_bone_is_written_too(tmp_path):
    made = untrained()
    torch.nn.init.constant_(made.vqvae.decoder[-1].weight, 0.0)
    torch.nn.init.constant_(made.vqvae.decoder[-1].bias, -1.0)
    generate_skulls(made, tmp_path, [3], 7, EULER, 1, "ply")
    assert SkullSet(tmp_path, "train").occupancy(0).sum() == 0


def test_a_mix_is_in_proportion_and_ascending():
    mix = mix_of({2: 167, 3: 212, 4: 154, 5: 155, 6: 38}, 726)
    assert mix == sorted(mix) and Counter(mix) == {
        2: 167,
        3: 212,
        4: 154,
        5: 155,
        6: 38,
    }
    small = Counter(mix_of({2: 3, 3: 1}, 10))
    assert small[2] in (7, 8) and small.total() == 10


def test_a_generator_needs_its_training(project):
    study = open_study("new", "tiny")
    with pytest.raises(SkfmError, match="skfm run 01 02 04 --run new --preset tiny"):
        load_generator(study, "ddpm")
    with pytest.raises(
        SkfmError, match="skfm run 01 02 03 04 17 05 07 13 --run new --preset tiny"
    ):
        load_generator(study, "shortcut")
    with pytest.raises(
        SkfmError, match="'gan'.*otfm or ddpm or ddpm-v or ours or shortcut"
    ):
        load_generator(study, "gan")
    both = "skfm run 01 02 --run new .* && skfm run 04 --run new .* -p prediction v"
    with pytest.raises(SkfmError, match=both):
        load_generator(study, "ddpm-v")


def test_the_trained_models_are_listed(project):
    study = open_study("new", "tiny")
    assert trained_models(study) == []
    for name in ("04_train_ddpm_v", "03_train_otfm"):
        study.stage(name, {}).finish()
    assert trained_models(study) == ["otfm", "ddpm-v"]
    assert trained_models(study, "ddpm", "ddpm-v") == ["ddpm-v"]
    assert list(LABELS) == list(STAGES)


@pytest.mark.parametrize("method", ["ancestral", "ddim"])
def test_the_prediction_of_a_model_is_that_of_its_sampler(method):
    # The exact noise and velocity of data N(0, 1) are ε̂ = √(1 − ᾱ) z and v̂ = 0, so
    # both models sample the same.
    kept = ddpm.alpha_bar()

    def noise(z, t, *given):
        return (1 - kept[round(300 * t)].item()) ** 0.5 * z

    found = []
    for objective, answer in (("ddpm", noise), ("ddpm-v", lambda z, *given: 0 * z)):
        made = untrained(objective, FLOAT32)
        made = replace(made, scale=replace(made.scale, bounds=None))
        made.network.forward = answer
        found.append(made.latents([3, 4], [1, 2], Sampler(method, 5)))
    assert torch.allclose(*found, atol=1e-4) and found[0].std() > 0.3


def test_diffusion_samples_over_the_times_it_was_trained_for():
    seen = []
    made = replace(untrained("ddpm", FLOAT32), timesteps=50)
    made.network.forward = lambda z, t, *given: seen.append(t) or z
    made.latents([3], [1], Sampler("ddim", 50))
    assert [round(50 * t) for t in seen] == list(range(50, 0, -1))
    with pytest.raises(SkfmError, match="51 diffusion steps; expected 1 to 50"):
        made.latents([3], [1], Sampler("ddim", 51))


def test_only_diffusion_starts_at_another_time():
    seen = []
    made = untrained("ddpm-v", FLOAT32)
    made.network.forward = lambda z, t, *given: seen.append(t) or z
    made.latents([3], [1], Sampler("ancestral", 2, start=0.5))
    assert seen == [0.5, 0.25]
    with pytest.raises(SkfmError, match="200 diffusion steps; expected 1 to 150"):
        made.latents([3], [1], Sampler("ancestral", 200, start=0.5))
    with pytest.raises(SkfmError, match="start 0.5.*only diffusion"):
        untrained().latents([3], [1], Sampler("euler", 2, start=0.5))
    with pytest.raises(SkfmError, match="start 0.0"):
        Sampler("ddim", 2, start=0.0)
    assert "start" not in Sampler("ddim", 2).as_dict()
    assert Sampler("ddim", 2, start=0.5).as_dict()["start"] == 0.5


@pytest.mark.parametrize("about", [None, {}, {"denoiser": {}}])
def test_weights_of_another_program_are_reported(project, about):
    stage = open_study("new", "tiny").stage("03_train_otfm", {"denoiser": {}})
    path, network = stage.folder / "denoiser.safetensors", UNet3D(TINY.denoiser)
    save_file(network.state_dict(), path)
    if about is not None:
        save_weights(network, path, about)
    stage.finish()
    with pytest.raises(SkfmError, match=f"{path.name} has no record.*scale; next: run"):
        load_generator(stage.study, "otfm")


def test_a_folder_is_of_one_model_and_loses_no_skull(tmp_path):
    made = untrained("otfm")
    generate_skulls(made, tmp_path, [5, 5], 7, EULER, 2)
    generate_skulls(made, tmp_path, [5, 5, 3], 7, EULER, 2)  # a larger set
    before = contents(tmp_path)
    with pytest.raises(SkfmError, match="holds 3 other skulls|holds 2 other skulls"):
        generate_skulls(made, tmp_path, [3], 7, EULER, 2)
    other = replace(made, trained="of other weights")
    with pytest.raises(SkfmError, match="trained is '' there, 'of other weights'"):
        generate_skulls(other, tmp_path, [5, 5, 3], 7, EULER, 2)
    assert contents(tmp_path) == before


FIELDS = FieldsOfView.of([(-45, 60), (-40, 120), (-110, 30)], [4, 4, 6])


@pytest.mark.parametrize(
    ("objective", "sampler"),
    [
        ("otfm", EULER),
        ("ddpm", Sampler("ddim", 2)),
        ("shortcut", Sampler("shortcut", 2)),
    ],
)
def test_a_seed_has_its_field_of_view_whatever_the_batch(objective, sampler):
    made, seeds = untrained(objective, FLOAT32, fields=FIELDS), [11, 12, 13]
    together = made.latents([4, 6, 4], seeds, sampler)
    turned = made.latents([4, 6, 4], seeds[::-1], sampler)
    assert torch.allclose(turned[2], together[0], atol=1e-4)
    alone = made.latents([4], [13], sampler)
    assert torch.allclose(alone[0], together[2], atol=1e-4)
    field = tuple(made.fields_of_view([4], [13])[0].tolist())
    asked = made.latents([4], [13], sampler, field)
    assert torch.allclose(asked, alone, atol=1e-5)
    other = made.latents([4], [13], sampler, (field[0] + 1, field[1] - 1))
    assert (other - alone).abs().max() > 1e-3


def test_the_vault_that_is_asked_for_is_that_of_every_skull():
    made, seeds = untrained(fields=FIELDS), range(9)
    for vault, end in (("cut", 60), ("whole", 120)):
        found = made.fields_of_view([4] * 9, seeds, vault)
        assert (found[:, 1] - end).abs().max() <= 2.5


def test_guidance_keeps_the_field_of_view():
    made, seen = untrained(label_dropout=0.1, fields=FIELDS), []

    def forward(z, t, quality, field_of_view):
        seen.append(field_of_view)
        return z

    made.network.forward = forward
    made.latents([4], [3], Sampler("euler", 1, guidance=2.0))
    with_label, without = seen
    assert torch.equal(with_label, without)
    assert torch.equal(with_label, made.fields_of_view([4], [3]))


@pytest.mark.parametrize(
    ("fields", "asked", "message"),
    [
        (None, "whole", "asked of otfm; expected a model that was trained with"),
        (None, (-40.0, 60.0), "next: --model ours, or skfm train 03"),
        (FIELDS, (-40.0, 180.0), "-40 to 180 mm for QS 4"),
        (FIELDS, (60.0, -40.0), "expected one that begins below its end"),
    ],
)
def test_a_field_of_view_that_is_refused_leaves_no_folder(
    tmp_path, fields, asked, message
):
    given = [4], 7, EULER, 1, None, asked
    with pytest.raises(SkfmError, match=message):
        generate_skulls(untrained(fields=fields), tmp_path / "new", *given)
    assert not (tmp_path / "new").exists()


def test_sets_of_other_fields_of_view_are_not_mixed(tmp_path):
    made, given = untrained(fields=FIELDS), ([4, 6], 7, EULER, 2)
    skulls = generate_skulls(made, tmp_path / "drawn", *given)
    assert "seed" in skulls[1].source and "field of view -1" in skulls[1].source
    given = ([4, 4], 7, EULER, 2, None, FieldOfView(-42, 61))
    skulls = generate_skulls(made, tmp_path / "asked", *given)
    assert skulls[0].source.endswith(", field of view -42 to 61 mm")
    again = generate_skulls(made, tmp_path / "asked", [4, 4, 4], *given[1:])
    assert len(again) == 3  # a larger set
    for other in ("cut", None):
        with pytest.raises(SkfmError, match="holds another data set: field of view is"):
            generate_skulls(made, tmp_path / "asked", *given[:-1], other)


SYMMETRIC = Sampler("euler", 5, symmetric=0.6)


def test_the_predicted_skull_is_made_symmetric_once_and_its_noise_is_kept(monkeypatch):
    """Of a field whose x̂_0 is always `data`, the state at 0.6 has y in its place."""
    made, asked = untrained("ours", FLOAT32), []
    shape = TINY.vqvae.code_dim, *TINY.vqvae.latent_shape
    data, y = torch.full((1, *shape), 2.0), torch.full((1, *shape), -3.0)

    def field(quality, guidance, fields):
        def velocity(z, t):
            asked.append((t, z))
            return (z - data) / t

        return velocity

    def symmetric(self, x_0):
        assert torch.allclose(x_0, data, atol=1e-5)
        return y

    monkeypatch.setattr(SkullGenerator, "field", lambda self, *given: field(*given))
    monkeypatch.setattr(SkullGenerator, "symmetric", symmetric)
    z = made.latents([3], [1], SYMMETRIC)
    assert torch.allclose(z, data, atol=1e-4)  # where this field leads from any state
    assert [t for t, _ in asked] == pytest.approx([1, 0.8, 0.6, 0.6, 0.4, 0.2])
    assert len(asked) == SYMMETRIC.evaluations
    (start, before, after) = asked[0][1], asked[2][1], asked[3][1]
    eps = start  # at t = 1
    assert torch.allclose(before, 0.4 * data + 0.6 * eps, atol=1e-5)
    assert torch.allclose(after, 0.4 * y + 0.6 * eps, atol=1e-5)


def test_what_is_encoded_again_is_its_own_mirror_image(monkeypatch):
    made, encoded = untrained("ours", FLOAT32), []
    encode = made.vqvae.encode
    monkeypatch.setattr(
        made.vqvae, "encode", lambda v: encoded.append(v) or encode(v), raising=False
    )
    x_0 = torch.randn(3, 8, *TINY.vqvae.latent_shape)
    found = made.symmetric(x_0)
    (v,) = encoded
    decoded = made.decode(made.scale.restore(x_0))
    assert not torch.equal(decoded, decoded.flip(3))
    assert torch.allclose(v, (decoded + decoded.flip(3)) / 2, atol=1e-6)
    assert torch.allclose(found, made.scale.normalise(encode(v)), atol=1e-5)


@pytest.mark.parametrize(
    ("objective", "sampler", "message"),
    [
        ("ddpm", ("ancestral", 3), "symmetric 0.5 with ddpm; expected 0"),
        ("ours", ("euler", 4), "symmetric 0.5 .*a time below 0.5"),
        ("shortcut", ("shortcut", 2), "symmetric 0.5 .*a time below 0.5"),
    ],
)
def test_only_a_flow_is_made_symmetric_below_its_start(objective, sampler, message):
    late = replace(untrained(objective), start=0.5)
    with pytest.raises(SkfmError, match=message):
        late.check(Sampler(*sampler, symmetric=0.5))


@pytest.mark.parametrize("start", [0.8, 1.0])
@pytest.mark.parametrize("steps", [2, 4, 8])
def test_a_shortcut_predicts_the_skull_in_one_step_and_goes_on(
    monkeypatch, start, steps
):
    """Of a field that leads straight to `data`, with y in its place from t* on."""
    made, asked = replace(untrained("shortcut", FLOAT32), start=start), []
    shape = TINY.vqvae.code_dim, *TINY.vqvae.latent_shape
    data, y = torch.full((1, *shape), 2.0), torch.full((1, *shape), -3.0)

    def field(quality, guidance, fields):
        def velocity(z, t, d):
            asked.append((t, d, z))
            return (z - data) / t

        return velocity

    def symmetric(self, x_0):
        assert torch.allclose(x_0, data, atol=1e-5)
        return y

    monkeypatch.setattr(SkullGenerator, "field", lambda self, *given: field(*given))
    monkeypatch.setattr(SkullGenerator, "symmetric", symmetric)
    sampler = usual_sampler("shortcut", TINY.sampling, steps)
    z = made.latents([3], [1], sampler)
    assert torch.allclose(z, data, atol=1e-4) and len(asked) == sampler.evaluations
    times = [start * (1 - i / steps) for i in range(steps)]
    middle = steps // 2
    times.insert(middle, start / 2)
    assert [t for t, _, _ in asked] == pytest.approx(times)
    sizes = [start / steps] * (steps + 1)
    sizes[middle] = start / 2
    assert [d for _, d, _ in asked] == pytest.approx(sizes)
    before, after = asked[middle][2], asked[middle + 1][2]
    assert torch.allclose(after - before, (1 - start / 2) * (y - data), atol=1e-5)


def test_a_shortcut_is_made_symmetric_at_the_nearest_time_that_it_has():
    made = replace(untrained("shortcut"), start=0.8)
    for asked, steps, found in ((0.4, 8, 0.4), (0.12, 8, 0.1), (0.12, 2, 0.4)):
        sampler = Sampler("shortcut", steps, symmetric=asked)
        assert made.symmetric_time(sampler) == pytest.approx(found)
    flow = Sampler("euler", 8, symmetric=0.12)
    assert untrained("ours").symmetric_time(flow) == 0.12
    usual = [usual_sampler("shortcut", TINY.sampling, 2**k) for k in range(4)]
    assert [one.evaluations for one in usual] == [1, 3, 5, 9]
    assert usual_sampler("shortcut", TINY.sampling, symmetric=0.0).evaluations == 4


def test_symmetry_takes_a_step_before_and_one_after():
    with pytest.raises(SkfmError, match="1 step with symmetric 0.5.*at least 2"):
        Sampler("euler", 1, symmetric=0.5)
    with pytest.raises(SkfmError, match="symmetric 1"):
        Sampler("euler", 4, symmetric=1.0)
    short = replace(untrained("ours", FLOAT32), start=0.7)
    assert short.latents([3], [1], Sampler("euler", 2, symmetric=0.69)).isfinite().all()


def test_at_start_0_the_linear_model_is_alone():
    linear = LinearShapeModel(8 * 6 * 5 * 7, 2)
    linear.means.fill_(3.0)
    linear.rest.fill_(0.25)
    made = replace(untrained("ours", FLOAT32), linear=linear, start=0.0)
    made.network.forward = None  # it is not asked
    z = made.latents([3, 4], [1, 2], Sampler("euler", 4))
    assert z.mean().item() == pytest.approx(3, abs=0.05)
    assert z.std().item() == pytest.approx(0.5, abs=0.05)


def test_a_guide_stands_in_for_the_network_without_a_label():
    """v' + w (v − v'), where v' is that of the guide with the same conditions."""
    made, seen = untrained(device=FLOAT32, fields=FIELDS), []
    guide = untrained(device=FLOAT32, fields=FIELDS).network

    def velocity(value):
        def forward(z, t, quality, field_of_view):
            seen.append((quality.tolist(), field_of_view))
            return torch.full_like(z, value)

        return forward

    made.network.forward, guide.forward = velocity(1.0), velocity(3.0)
    sampler = Sampler("euler", 1, guidance=1.5)
    free = made.latents([4], [3], Sampler("euler", 1))
    moved = replace(made, guide=guide).latents([4], [3], sampler)
    assert torch.allclose(free - moved, torch.full_like(free, -1.0), atol=1e-5)
    assert seen[1][0] == seen[2][0] == [4] and torch.equal(seen[1][1], seen[2][1])
    assert len(seen) - 1 == sampler.evaluations
    seen.clear()
    replace(made, guide=guide).latents([4], [3], Sampler("euler", 1))
    assert len(seen) == 1  # at guidance 1 it is not asked


def test_a_guide_that_does_not_fit_is_refused():
    plain, seeing = untrained(), untrained(fields=FIELDS)
    with pytest.raises(SkfmError, match="guide without the condition.*expected one wi"):
        replace(seeing, guide=plain.network).check(EULER)
    with pytest.raises(SkfmError, match="guide with the condition.*expected one witho"):
        replace(plain, guide=seeing.network).check(EULER)
    short = untrained("shortcut")
    with pytest.raises(SkfmError, match="a guide of shortcut; expected no guide"):
        replace(short, guide=plain.network).check(Sampler("shortcut", 2))
    with pytest.raises(SkfmError, match="guidance 2.0 with a model trained on every"):
        plain.check(Sampler("euler", 2, guidance=2.0))
    replace(plain, guide=plain.network).check(Sampler("euler", 2, guidance=2.0))
