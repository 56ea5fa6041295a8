"""The surveys that come along: :data:`SURVEYS`."""

from __future__ import annotations

from isolux.errors import unknown_name
from isolux.mock.psfs import Moffat, Telescope
from isolux.mock.surveys import Band, Survey


def _ground(
    scale: float, zero_point: float, beta: float, exposure: float, **bands: tuple[float, ...]
) -> tuple[Band, ...]:
    """Bands given by wavelength, depth, FWHM, sky and saturation."""
    return tuple(
        Band(name, wavelength, scale, zero_point, depth, Moffat(fwhm, beta), sky, full, exposure)
        for name, (wavelength, depth, fwhm, sky, full) in bands.items()
    )


def _sdss() -> Survey:
    """SDSS: 0.396 arcsec pixels, nanomaggies (22.5), 53.9 s, PSF of 1.32 arcsec in r.

    Median 5-sigma depths of the imaging, u to z 22.15, 23.13, 22.70, 22.20, 20.71: page "Scope" of Data Release 17
    (sdss.org/dr17/scope). Width and sky brightness: page "Seeing and sky brightness" of DR7 (r: 20.86 mag/arcsec2,
    width 1.43 arcsec in the definition of the EDR paper), other bands from York et al. 2000, AJ 120, 1579.
    Saturation near 14 mag in g, r and i (12 and 13 in z and u): the same.
    """
    bands = _ground(
        0.396,
        22.5,
        3.0,
        53.9,
        r=(616.5, 22.70, 1.32, 20.86, 14.0),
        u=(355.1, 22.15, 1.53, 22.15, 13.0),
        g=(468.6, 23.13, 1.44, 21.85, 14.0),
        i=(748.1, 22.20, 1.26, 20.20, 14.0),
        z=(893.1, 20.71, 1.29, 18.90, 12.0),
    )
    return Survey("sdss", bands)


def _legacy() -> Survey:
    """DESI Legacy Imaging Surveys, DECam: 0.262 arcsec pixels, nanomaggies (22.5).

    5-sigma point-source depths of areas with the nominal three passes (DECaLS g 24.7, r 23.9, z 23.0), PSF widths of
    1.29, 1.18 and 1.11 arcsec: Dey et al. 2019, AJ 157, 168, section 4 and table 4; legacysurvey.org/dr9/description.
    Sky brightness at Cerro Tololo: DECam exposure-time calculator. Saturation at about 16 mag in 100 s.
    """
    bands = _ground(
        0.262,
        22.5,
        3.0,
        270.0,
        r=(642.0, 23.9, 1.18, 21.0, 16.0),
        g=(477.0, 24.7, 1.29, 22.0, 16.0),
        z=(926.0, 23.0, 1.11, 18.6, 15.5),
    )
    return Survey("legacy", bands)


def _hsc() -> Survey:
    """HSC-SSP, Wide layer: 0.168 arcsec pixels, zero point 27.

    5-sigma point-source depths (g to y 26.6, 26.2, 26.2, 25.3, 24.5), seeing (0.77, 0.76, 0.58, 0.68, 0.68 arcsec) and
    saturation magnitudes (17.6, 17.4, 18.1, 17.2, 16.3): Aihara et al. 2019, PASJ 71, 114, table 2. Sky: dark time on
    Maunakea.
    """
    bands = _ground(
        0.168,
        27.0,
        3.0,
        1200.0,
        i=(770.0, 26.2, 0.58, 20.1, 18.1),
        g=(480.0, 26.6, 0.77, 22.0, 17.6),
        r=(620.0, 26.2, 0.76, 21.0, 17.4),
        z=(890.0, 25.3, 0.68, 19.2, 17.2),
        y=(978.0, 24.5, 0.68, 18.4, 16.3),
    )
    return Survey("hsc", bands)


def _lsst() -> Survey:
    """Rubin Observatory LSST, ten years: 0.2 arcsec pixels, nanojansky (31.4).

    5-sigma depths of the ten-year coadds (u to y 26.1, 27.4, 27.5, 26.8, 26.1, 24.9), effective seeing at an airmass
    of one and dark-sky brightness: Ivezic et al. 2019, ApJ 873, 111, tables 1 and 2. Zero point: nJy, as in Data
    Preview 1.
    A 30 s visit saturates near r = 15.8: LSST Science Book, section 3.2.
    """
    bands = _ground(
        0.2,
        31.4,
        3.0,
        5520.0,
        i=(754.0, 26.8, 0.80, 20.48, 15.8),
        u=(367.0, 26.1, 0.92, 22.99, 14.7),
        g=(480.0, 27.4, 0.87, 22.26, 15.7),
        r=(622.0, 27.5, 0.83, 21.20, 15.8),
        z=(869.0, 26.1, 0.78, 19.60, 15.3),
        y=(971.0, 24.9, 0.76, 18.61, 13.9),
    )
    return Survey("lsst", bands)


def _euclid() -> Survey:
    """Euclid Wide Survey, VIS and NISP: 0.1 and 0.3 arcsec pixels, microjansky (23.9), as in the merged mosaics.

    VIS: 1.2 m mirror with 0.395 m obscuration, 550 to 900 nm, blurred by jitter and charge diffusion to an FWHM of
    0.16 arcsec with the pixel (Euclid Quick Release Q1, arXiv:2503.15303); 5-sigma point-source depth 26.2 and four
    exposures of 566 s, zodiacal sky 22.3 mag/arcsec2: Scaramella et al. 2022, A&A 662, A112. NISP (Y, J, H): 24.5 at
    5 sigma (the same), encircled-energy widths near 0.5 arcsec: Euclid Collaboration: Jahnke et al. 2025, A&A 697, A3.
    Saturation of VIS near 17.8 mag: Euclid Collaboration: Cropper et al. 2025, A&A 697, A2.
    """
    vis = Band(
        "VIS",
        715.0,
        0.1,
        23.9,
        26.2,
        Telescope(1.2, 550.0, 900.0, obscuration=0.33, jitter=0.042),
        22.35,
        17.8,
        2264.0,
        oversampling=3,
    )
    nisp = tuple(
        Band(name, wavelength, 0.3, 23.9, 24.5, Moffat(fwhm, 2.6), 22.3, 16.0, 448.0, oversampling=3)
        for name, wavelength, fwhm in (("Y", 1081.0, 0.37), ("J", 1367.0, 0.41), ("H", 1771.0, 0.47))
    )
    return Survey("euclid", (vis, *nisp))


def _hst() -> Survey:
    """HST, Advanced Camera for Surveys, COSMOS: F814W drizzled to 0.03 arcsec pixels, counts a second (25.937).

    Pixels, one orbit of 2028 s and zero point: Koekemoer et al. 2007, ApJS 172, 196; depth of 27.2 mag for a point
    source at 5 sigma: Scoville et al. 2007, ApJS 172, 38. 2.4 m mirror with an obscuration of 0.33. Drizzled pixels
    share noise as if smoothed by a kernel of about 1.7 pixels. The sky is 22.2 mag/arcsec2 in F814W: ACS Instrument
    Handbook. Saturation near 19 mag in exposures of 507 s: the same.
    """
    telescope = Telescope(2.4, 700.0, 960.0, obscuration=0.33, jitter=0.035)
    band = Band("F814W", 814.0, 0.03, 25.937, 27.2, telescope, 22.2, 19.0, 2028.0, correlation=1.7)
    return Survey("hst", (band,))


SURVEYS: dict[str, Survey] = {
    survey.name: survey for survey in (_sdss(), _legacy(), _hsc(), _lsst(), _euclid(), _hst())
}
"""Surveys by name: sdss, legacy, hsc, lsst, euclid, hst."""


def survey_named(survey: str | Survey) -> Survey:
    """A survey of :data:`SURVEYS` by its name, in any case; or the one that is given.

    Raises
    ------
    InputError
        For a name that is not known.
    """
    if isinstance(survey, Survey):
        return survey
    found = SURVEYS.get({"rubin": "lsst"}.get(survey.lower(), survey.lower()))
    if found is None:
        raise unknown_name("survey", survey, SURVEYS)
    return found
