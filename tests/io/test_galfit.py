import math

import pytest

from isolux.errors import InputError
from isolux.io.galfit import read_galfit
from isolux.io.galfit_file import GalfitParameter
from isolux.parameters import Fixed, Free, Tied

HEAD = """
===============================================================================
# IMAGE and GALFIT CONTROL PARAMETERS
A) gal.fits            # Input data image (FITS file)
B) imgblock.fits       # Output data image block
C) none                # Sigma image name
D) psf.fits   #        # Input PSF image
E) 2                   # PSF fine sampling factor relative to data
F) none                # Bad pixel mask
G) {constraints}       # File with parameter constraints
H) 11   93   1    95   # Image region to fit
I) 100    100          # Size of the convolution box (x y)
J) 26.563              # Magnitude photometric zeropoint
K) 0.038  0.038        # Plate scale (dx dy)
O) regular
P) 0
"""
OBJECTS = {
    "sersic": """
 0) sersic
 1) 48.5180  51.2800 1 0  #  position x, y
 3) 20.0890     1         #  Integrated magnitude
 4) 5.1160      1         #  R_e
 5) 4.2490      0         #  Sersic index n
 6) 0.0000      0         #     -----
 7) 0.0000      0         #     -----
 8) 0.0000      0         #     -----
 9) 0.7570      1         #  axis ratio (b/a)
10) -60.3690    1         #  position angle (PA)
C0) 0.1         1         #  diskyness(-)/boxyness(+)
F1) 0.0001 0.00 1 1       #  azim. Fourier mode 1
 Z) 0
""",
    "expdisk": " 0) expdisk\n 1) 50 60 1 1\n 3) 18 1\n 4) 10 1\n 9) 0.5 1\n 10) 45 1\n Z) 0\n",
    "devauc": " 0) devauc\n 1) 50 60 1 1\n 3) 18 1\n 4) 10 1\n 9) 0.5 1\n 10) 45 1\n Z) 0\n",
    "gaussian": " 0) gaussian\n 1) 50 60 1 1\n 3) 18 1\n 4) 3 1\n 9) 1 0\n 10) 0 0\n",
    "moffat": " 0) moffat\n 1) 50 60 1 1\n 3) 18 1\n 4) 3 1\n 5) 2.5 1\n 9) 1 0\n 10) 0 0\n",
    "king": " 0) king\n 1) 50 60 1 1\n 3) 20 1\n 4) 3 1\n 5) 30 1\n 6) 2 0\n 9) 1 0\n 10) 0 0\n",
    "ferrer": " 0) ferrer\n 1) 50 60 1 1\n 3) 20 1\n 4) 30 1\n 5) 2 1\n 6) 1 0\n 9) 0.3 1\n 10) 0 1\n",
    "psf": " 0) psf\n 1) 50 60 1 1\n 3) 18 1\n Z) 0\n",
    "sky": " 0) sky\n 1) 1.392 1 # sky background\n 2) 0.0 0\n 3) 0.0 0\n Z) 0\n",
}


def read(tmp_path, *kinds, constraints=None, text=None):
    if constraints is not None:
        (tmp_path / "limits.con").write_text(constraints)
    head = HEAD.format(constraints="limits.con" if constraints else "none")
    (tmp_path / "galfit.feedme").write_text(text or head + "".join(OBJECTS[kind] for kind in kinds))
    return read_galfit(tmp_path / "galfit.feedme")


def test_control_items(tmp_path):
    found = read(tmp_path, "sersic", "sky")
    assert (found.image, found.sigma, found.psf, found.mask) == ("gal.fits", None, "psf.fits", None)
    assert found.psf_oversampling == 2
    assert found.region == (10, 92, 0, 94)
    assert found.zero_point == 26.563
    assert found.pixel_scale == pytest.approx(0.038)
    source = found.source()
    assert source.image == str(tmp_path / "gal.fits")
    assert source.psf_oversampling == 2
    assert source.sigma is None


def test_sersic(tmp_path):
    sersic, sky = read(tmp_path, "sersic", "sky").components
    assert sersic.parameters == {
        "x": GalfitParameter(47.518, True),
        "y": GalfitParameter(50.28, False),
        "magnitude": GalfitParameter(20.089, True),
        "effective_radius": GalfitParameter(5.116, True),
        "sersic_index": GalfitParameter(4.249, False),
        "axis_ratio": GalfitParameter(0.757, True),
        "position_angle": GalfitParameter(-60.369, True),
        "boxiness": GalfitParameter(0.1, True),
    }
    assert sersic.notes == ("F1) 0.0001 0.00 1 1",)
    assert sky.profile == "FlatSky"
    assert sky.parameters == {"level": GalfitParameter(1.392, True)}


@pytest.mark.parametrize(
    ("kind", "profile", "values"),
    [
        ("expdisk", "Exponential", {"scale_radius": 10}),
        ("devauc", "Sersic", {"effective_radius": 10, "sersic_index": 4}),
        ("gaussian", "Gaussian", {"fwhm": 3}),
        ("moffat", "Moffat", {"fwhm": 3, "beta": 2.5}),
        ("king", "King", {"core_radius": 3, "truncation_radius": 30, "alpha": 2}),
        ("ferrer", "Ferrer", {"outer_radius": 30, "truncation_sharpness": 2, "central_slope": 1}),
        ("psf", "PointSource", {"x": 49, "y": 59, "magnitude": 18}),
    ],
)
def test_objects_become_scenes(tmp_path, kind, profile, values):
    found = read(tmp_path, kind, "sky")
    component = found.components[0]
    assert component.profile == profile
    assert {name: component.parameters[name].value for name in values} == values
    scene = found.scene()
    assert list(scene.components) == [kind, "sky"]
    assert type(scene.components[kind]).__name__ == profile
    if kind in ("king", "ferrer"):
        assert component.parameters["intensity"].value == pytest.approx(10 ** (0.4 * 6.563) * 0.038**2)


def test_sky_with_gradient(tmp_path):
    text = HEAD.format(constraints="none") + OBJECTS["psf"] + " 0) sky\n 1) 1 1\n 2) 0.0 1\n 3) 0.1 0\n"
    sky = read(tmp_path, text=text).components[1]
    assert sky.profile == "PlaneSky"
    assert sky.parameters["gradient_x"] == GalfitParameter(0.0, True)
    assert sky.parameters["gradient_y"] == GalfitParameter(0.1, False)


def test_galfit_2_numbers_its_items_otherwise(tmp_path):
    text = " 0) sersic\n 1) 9 9 1 1\n 3) 19 1\n 4) 5 1\n 5) 4 1\n 8) 0.42 1 # axis ratio\n 9) -87.1 1\n10) 0.0 0\n"
    parameters = read(tmp_path, text=text).components[0].parameters
    assert parameters["axis_ratio"].value == 0.42
    assert parameters["position_angle"].value == -87.1
    assert "boxiness" not in parameters


def test_limits(tmp_path):
    lines = "# comment\n1 n 0.7 to 5 # Sersic index\n1 x -1 0.5\n1 y 40 to 60\n1 q 0 to 1\n2 re 1 to 9\n"
    found = read(tmp_path, "sersic", "sky", constraints=lines)
    parameters = found.components[0].parameters
    assert (parameters["sersic_index"].lower, parameters["sersic_index"].upper) == (0.7, 5)
    assert (parameters["x"].lower, parameters["x"].upper) == pytest.approx((46.518, 48.018))
    assert (parameters["y"].lower, parameters["y"].upper) == (39, 59)
    assert found.notes == ("2 4 1.0 9.0",)
    settings = found.components[0].settings()
    assert settings["axis_ratio"].lower == 0.05
    assert isinstance(settings["sersic_index"], Fixed)
    assert isinstance(settings["x"], Free)


def test_links_become_ties(tmp_path):
    lines = "1_2 x offset\n1_2 y offset\n2_1 re ratio\n1-2 mag -0.5 3\n1/2 re 1 3\n"
    found = read(tmp_path, "devauc", "sersic", constraints=lines)
    assert found.components[1].parameters["x"].tied == "devauc.x + -1.4819999999999993"
    assert found.components[0].parameters["effective_radius"].tied.endswith(" * sersic.effective_radius")
    assert found.notes == ("1-2 mag -0.5 3", "1/2 re 1 3")
    scene = found.scene()
    values = dict(zip(scene.columns, scene.values()[0].tolist(), strict=True))
    assert values["sersic.x"] == pytest.approx(47.518)
    assert values["devauc.effective_radius"] == pytest.approx(10)
    assert isinstance(scene.components["sersic"].settings["x"][1], Tied)


def test_repeated_objects_get_numbers(tmp_path):
    assert [c.name for c in read(tmp_path, "sersic", "sky", "sersic").components] == [
        "sersic_1",
        "sky",
        "sersic_2",
    ]


def test_output_with_marks(tmp_path):
    text = HEAD.format(constraints="none") + OBJECTS["expdisk"].replace("18 1", "*18.5* 1").replace(
        "0.5 1", "[0.5] 0"
    )
    parameters = read(tmp_path, text=text).components[0].parameters
    assert parameters["magnitude"].value == 18.5
    assert parameters["axis_ratio"] == GalfitParameter(0.5, False)


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match=r"a\.in: cannot be read"):
        read_galfit(tmp_path / "a.in")
    with pytest.raises(InputError, match="not a GALFIT file"):
        read(tmp_path, text="hello\n")
    with pytest.raises(InputError, match=r"item 3\) is no number .*bright"):
        read(tmp_path, text=OBJECTS["psf"].replace("18", "bright"))
    with pytest.raises(InputError, match="needs the plate scale"):
        read(tmp_path, text=OBJECTS["king"])
    nuker = read(tmp_path, text=OBJECTS["psf"].replace("psf", "nuker"))
    assert nuker.components[0].notes == ("3) 18 1",)
    with pytest.raises(InputError, match="no profile for GALFIT's nuker"):
        nuker.scene()


@pytest.mark.real
def test_real_files(real_data):
    folder = real_data / "sdss-pymorph" / "galfit"
    for start in sorted(folder.glob("*.in")):
        found, fitted = read_galfit(start), read_galfit(start.with_suffix(".out"))
        assert found.zero_point == 25.256
        assert [c.kind for c in found.components] == [c.kind for c in fitted.components][
            : len(found.components)
        ]
        parameters = fitted.components[0].parameters
        assert 0 < parameters["axis_ratio"].value <= 1
        assert math.isfinite(parameters["effective_radius"].value)
        assert fitted.components[0].notes == ()
        found.scene()
    first = read_galfit(folder / "G_r_00000001_r_stamp.out").components[0].parameters
    assert first["x"].value == pytest.approx(107.6404)
    assert (first["sersic_index"].lower, first["sersic_index"].upper) == (0.1, 8.0)
    assert first["position_angle"].value == -86.0915
