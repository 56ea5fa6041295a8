"""A figure of every kind of galaxy: fitted, with several components, not fitted, odd in shape or in flux."""

import dataclasses

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import isolux
from isolux import Status
from isolux.io.blocks import write_blocks
from isolux.profiles import FlatSky, PointSource
from isolux.report import figure_from_block, galaxy_figure, save, save_galaxy_figures
from isolux.report.fitted import view_of
from isolux.report.labels import file_stems
from stubs import gaussian_psf

UNIT = 1e-12


def two_components() -> isolux.Scene:
    return isolux.Scene(
        bulge=isolux.Sersic(sersic_index=isolux.Fixed(3.0)),
        disc_1=isolux.Sersic(
            x=isolux.Tied("bulge.x"), y=isolux.Tied("bulge.y"), sersic_index=isolux.Fixed(1.0)
        ),
        sky=FlatSky(),
    )


@pytest.fixture(scope="module")
def fitted():
    """Return a padded batch of a wide, a tall and a broken stamp of tiny fluxes, its scene and its result."""
    shapes, images = [(30, 48), (44, 26)], []
    rng = np.random.default_rng(5)
    for tall, wide in shapes:
        x, y = (wide - 1) / 2, (tall - 1) / 2
        truth = {"x": x, "y": y, "axis_ratio": 0.6, "position_angle": 60.0}
        scene = isolux.Scene(
            bulge=isolux.Sersic(flux=40 * UNIT, effective_radius=2.0, sersic_index=3.0, **truth),
            disc_1=isolux.Sersic(flux=90 * UNIT, effective_radius=6.0, sersic_index=1.0, **truth),
            sky=FlatSky(level=0.5 * UNIT),
        )
        blank = np.zeros((1, tall, wide))
        empty = isolux.Batch.from_arrays(blank, sigma=blank + 1, psf=gaussian_psf(), dtype=torch.float64)
        clean = scene.images(empty, scene.values(1))[0].numpy()
        images.append(clean + 0.02 * UNIT * rng.standard_normal(clean.shape))
    images.append(np.full((20, 20), np.nan))
    masks = [np.zeros(image.shape, dtype=bool) for image in images]
    masks[0][3:9, 30:40] = True
    batch = isolux.Batch.from_arrays(
        images,
        sigma=[np.full(image.shape, 0.02 * UNIT) for image in images],
        psf=gaussian_psf(),
        mask=masks,
        id=["a/$x$_1", "星 tall", "broken"],
        pixel_scale=0.4,
    )
    scene = two_components()
    return batch, scene, isolux.fit(batch, scene)


def settings() -> dict:
    """Return matplotlib's settings; asking for the backend would choose one."""
    return {name: mpl.rcParams[name] for name in mpl.rcParams if name != "backend"}


def words(figure: Figure) -> str:
    """Return all text of a figure."""
    texts = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        legend = axes.get_legend()
        texts += [axes.get_title(), axes.get_xlabel(), axes.get_ylabel(), *(t.get_text() for t in axes.texts)]
        texts += [t.get_text() for t in legend.get_texts()] if legend else []
    return "\n".join(texts)


def test_a_figure_says_all_that_matters(fitted):
    batch, scene, result = fitted
    text = words(galaxy_figure(batch, scene, result, "a/$x$_1"))
    assert result.status[0] is Status.CONVERGED
    for part in (
        "a/$x$_1",
        "converged",
        r"\chi^2",
        "bulge",
        "disc 1",
        "n = 1 (fixed)",
        "data less sky",
        "model",
        "PSF",
    ):
        assert part in text
    assert "magnitude" not in text
    assert "arcsec" in text


def test_panels_have_the_stamp_without_its_padding(fitted):
    batch, scene, result = fitted
    for k in (0, 1):
        view = view_of(batch, scene, result, k)
        assert view.image.shape == (batch.height[k], batch.width[k])
        figure = galaxy_figure(batch, scene, result, k)
        images = [axes.images[0].get_array().shape for axes in figure.axes if axes.images]
        assert images[:5] == [view.image.shape] * 5


def test_the_view_adds_up(fitted):
    batch, scene, result = fitted
    view = view_of(batch, scene, result, 0)
    total = scene.images(batch.select([0]), result.values[:1])[0, : batch.height[0], : batch.width[0]]
    np.testing.assert_allclose(view.model, total.numpy(), atol=1e-5 * float(total.abs().max()))
    assert [component.name for component in view.light] == ["bulge", "disc_1"]
    assert np.isnan(view.residual[view.mask]).all()
    assert view.shape.effective_radius == pytest.approx(float(result["disc_1.effective_radius"][0]))
    assert view.psf_width == pytest.approx(3.0, rel=0.05)
    annuli = view.annuli()
    np.testing.assert_allclose(annuli.mean(view.image), annuli.mean(view.model), atol=0.2 * UNIT)


def test_an_unfitted_galaxy_is_drawn_with_its_reason(fitted):
    batch, scene, result = fitted
    text = words(galaxy_figure(batch, scene, result, 2)).replace("\n", " ")
    assert "not fitted" in text
    assert "all 400 pixels are masked or not finite" in text


def test_files_by_suffix(fitted, tmp_path):
    batch, scene, result = fitted
    before = settings()
    written = save_galaxy_figures(batch, scene, result, tmp_path / "new", ("png", ".PDF"), limit=1)
    assert [path.name for path in written] == ["a__x__1.png", "a__x__1.pdf"]
    assert written[0].read_bytes().startswith(b"\x89PNG")
    assert written[1].read_bytes().startswith(b"%PDF")
    assert settings() == before
    assert save_galaxy_figures(batch, scene, result, tmp_path, limit=0) == []


def test_all_galaxies_without_a_warning(fitted, tmp_path):
    batch, scene, result = fitted
    assert len(save_galaxy_figures(batch, scene, result, tmp_path)) == 3


@pytest.mark.parametrize(
    "change", [lambda x: x - 50 * UNIT, lambda x: -x.abs(), lambda x: 0 * x, lambda x: x * 1e9]
)
def test_residuals_of_any_sign_and_size(fitted, tmp_path, change):
    batch, scene, result = fitted
    strange = dataclasses.replace(batch, image=change(batch.image))
    save(galaxy_figure(strange, scene, result, 0), tmp_path / "strange.png")


def test_scenes_without_an_ellipse(fitted, tmp_path):
    batch, _, _ = fitted
    for scene in (isolux.Scene(sky=FlatSky()), isolux.Scene(star=PointSource())):
        result = isolux.fit(batch, scene)
        save(galaxy_figure(batch, scene, result, 1), tmp_path / "plain.png")


def test_a_block_is_drawn_the_same(fitted, tmp_path):
    batch, scene, result = fitted
    known = torch.nan_to_num(result.values, nan=1.0)
    parts = scene.component_images(batch, known)
    paths = write_blocks(tmp_path, batch, result, scene.images(batch, known), parts)
    assert len(paths) == 2
    figure = figure_from_block(paths[0])
    save(figure, tmp_path / "block.png")
    text, fit = words(figure), words(galaxy_figure(batch, scene, result, 0))
    assert "residual / scatter" in text
    fit_lines = [line for line in fit.splitlines() if line.startswith(("bulge:", "disc 1:", "sky:"))]
    assert len(fit_lines) == 3
    for line in fit_lines:
        assert line in text


def test_misuse_is_refused(fitted, tmp_path):
    batch, scene, result = fitted
    with pytest.raises(isolux.InputError, match="number of a galaxy"):
        galaxy_figure(batch, scene, result, 3)
    with pytest.raises(isolux.InputError, match="unknown galaxy"):
        galaxy_figure(batch, scene, result, "brocken")
    with pytest.raises(isolux.InputError, match="does not belong"):
        galaxy_figure(batch, isolux.Scene(galaxy=isolux.Sersic()), result, 0)
    with pytest.raises(isolux.InputError, match="format of a figure"):
        save_galaxy_figures(batch, scene, result, tmp_path, ("jpg",))
    with pytest.raises(isolux.InputError, match="cannot be read"):
        figure_from_block(tmp_path / "nothing.fits")


def test_file_names_are_safe_and_differ():
    assert file_stems(["a/b", "a_b", "A_B", "..", "x.y+z"]) == ["a_b", "a_b_2", "A_B_3", "galaxy", "x.y+z"]
