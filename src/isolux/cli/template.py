"""The run file that ``isolux init`` writes: every option with its unit, the defaults as comments."""

from __future__ import annotations

from pathlib import Path

from isolux.cli.survey_template import SURVEY_TEMPLATE
from isolux.errors import InputError

TEMPLATE = """\
# A run of Isolux.   isolux check run.toml   says what is wrong with it,   isolux fit run.toml   runs it.
# Paths are relative to this file. Lines that begin with # are examples, or what holds where nothing is said.

[input]
image = "stamps/*_image.fits"      # what * stands for names the galaxy; "file.fits[SCI]" names an HDU
sigma = "stamps/*_sigma.fits"      # standard deviation of each pixel, in image units; or one of
# variance = "stamps/*_var.fits"   #   variance, in image units squared
# ivar = "stamps/*_ivar.fits"      #   inverse variance
# gain = 4.7                       #   electrons per image unit (number, header keyword or column), with
# sky = 0.0                        #     the sky that was subtracted, in image units a pixel, and
# read_noise = 0.0                 #     the read noise in electrons
psf = "stamps/*_psf.fits"          # image of a star, of odd size; or one file for all
# psf_oversampling = 1             # PSF samples a pixel
# psf_includes_pixel = true        # false for a PSF without the pixel's response
# noise_correlation = "noise.fits" # correlation function of the noise, odd-sized, 1 in the middle: for drizzled images
# mask = "stamps/*_mask.fits"      # non-zero is bad, unless
# mask_bad = [1, 2]                #   these values are, or those in a column of the table
# segmentation = "stamps/*_seg.fits"  # bad are all labels but 0 and the one at the stamp's centre
zero_point = 22.5                  # AB magnitude of one image unit (number, header keyword or column)
pixel_scale = 0.396                # arcsec a pixel (number, header keyword or column); from the WCS if left out

# Instead of patterns, a table (CSV, ECSV, FITS, Parquet, HDF5) with a row a galaxy and columns id, image, sigma,
# psf, mask, zero_point, ...; paths in it are relative to it, and its other columns may be starting values.
# table = "galaxies.csv"
# id = "name"                      # the column that names the galaxies
# The HDUs of files with several, by number or name (or a column of the table):
# image_hdu = "SCI"
# sigma_hdu = "ERR"
# variance_hdu = "VAR"
# ivar_hdu = "IVAR"
# mask_hdu = "DQ"
# segmentation_hdu = 1
# psf_hdu = 0
# noise_correlation_hdu = 1

# A section for each component; isolux profiles lists the profiles, their parameters and bounds. What is not said
# starts from the image. Positions and sizes are in pixels: the centre of the first pixel is (0, 0), sizes are
# semi-major axes before the PSF. Angles are in degrees, counter-clockwise from +y.
[model.galaxy]
profile = "sersic"                 # or a class of your own: "mybar.py:MyBar"
# sersic_index = 2.0               # a number is a starting value
# effective_radius = { start = 5.0, lower = 0.5, upper = 100.0 }
# boxiness = { fixed = 0.0 }       # held at a number, or at the numbers of a column: { fixed = "box" }
# x = { column = "x_start" }       # starting values from a column of the table
# y = { tied = "bulge.y" }         # equal to another, or an expression such as "0.5 * bulge.y + 1"

[model.sky]
profile = "sky"                    # its level is in image units a pixel

[fit]
# solver = "levenberg-marquardt"   # with its options: { name = "levenberg-marquardt", max_steps = 100,
#                                  #   tolerance = 0.01, damping = 0.01 }  (tolerance: change of chi-square);
#                                  # of torch.optim: { name = "first-order", optimizer = "Adam",
#                                  #   learning_rate = 0.1, iterations = 2000, tolerance = 0.01, patience = 50 }
# loss = "chi2"                    # or "student-t", "huber" (outliers), "cash" (few counts, with a gain), or
#                                  #   { name = "student-t", nu = 4.0 }, { name = "huber", delta = 1.345 }
# priors = ["galaxy.sersic_index=gaussian:2:0.5"]  # what is known before, of a parameter or an expression:
#                                  #   gaussian:MEAN:WIDTH, log-normal:MEDIAN:DEX or uniform:LOW:HIGH, numbers or
#                                  #   columns; or { on = "galaxy.sersic_index", kind = "gaussian", mean = 2.0,
#                                  #   width = 0.5 }
# starts = 1                       # starts of a galaxy, the best of which is kept
# errors = "covariance"            # or "bootstrap", "posterior", "none"
# scale_errors = false             # multiply covariances by the reduced chi-square
# replicates = 100                 # of the bootstrap
# sampler = { draws = 500, effective = 400, rhat = 1.03, chains = 8, evaluations = 65536 }  # of the posterior:
#                                  #   samples kept, effective ones that are enough, agreement of chains
# seed = 0                         # of bootstrap, posterior samples and further starts
# device = "auto"                  # a GPU where there is one; or "cpu", "cuda", "cuda:1"
# dtype = "float32"                # or "float64"
# batch_size = 128                 # galaxies of a batch at most; from the free memory where left out
# max_pixels = 8388608             # pixels of a batch at most; likewise
# ahead = 2                        # batches read ahead
# workers = 2                      # processes that fit at the same time; one a core for large samples if left out
# threads = 1                      # CPU threads of each process

[output]
# folder = "run"
# catalogue = "catalogue.fits"     # or .parquet, .ecsv, .csv, .hdf5: sizes in arcsec, positions in pixels from 0
# blocks = true                    # data, model, residual and components of each galaxy in blocks/
# figures = false                  # true, or how many galaxies are drawn to figures/
# resume = false                   # go on with the run that is in the folder
# overwrite = false                # replace the catalogue that is there
"""


def write_template(path: Path, overwrite: bool = False, survey: bool = False) -> None:
    """Write the run file, of ``isolux fit`` or of ``isolux survey``.

    Raises
    ------
    InputError
        If there is a file and it is not to be replaced.
    """
    if path.exists() and not overwrite:
        raise InputError(f"{path}: is there already; --overwrite replaces it")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SURVEY_TEMPLATE if survey else TEMPLATE, encoding="utf-8")
