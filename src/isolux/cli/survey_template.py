"""The run file that ``isolux init --survey`` writes: it runs as it is, on mocks, and explains every option."""

SURVEY_TEMPLATE = """\
# A survey for Isolux.   isolux survey run.toml   measures it; the same command goes on after whatever has ended it.
# Paths are relative to this file. Lines that begin with # are examples, or what holds where nothing is said.

[input]                            # one of the following
mocks = 1000                       # simulated galaxies, to try everything out
# model = "sersic"                 #   or "bulge+disc"
# seed = 1                         #   the same seed gives the same galaxies
# size = 64                        #   side of the stamps in pixels; pixel_scale, zero_point, psf_fwhm = [1.2, 1.4],
# density = 3.0                    #   gain, sky_sigma = [0.02, 0.03] likewise; galaxies a square arcminute
# ra = 150.0                       #   middle of the survey in degrees
# dec = 2.2

# folder = "stamps"                # <id>_image.fits with <id>_sigma.fits, <id>_psf.fits, <id>_mask.fits beside them
# image = "stamps/*_image.fits"    # or patterns, as isolux fit takes them, with all their keys (isolux init)
# table = "galaxies.parquet"       # or a table with a row a galaxy and columns id, image, sigma, psf, ra, dec, ...
# catalogue = "survey_hats"        # or Parquet files or a HATS catalogue, whose columns hold paths or the images
# band = "r"                       #   of images in a catalogue that has several
# psf_fwhm = 1.2                   #   arcsec, number or column, where a catalogue has no images of PSFs
# carry = ["redshift"]             # columns of the table that go into the catalogue, beside those named truth_...

# fields = "images/*.fits"         # whole images, every source of which is measured: a pattern, list, folder or table
# weight = "images/*_weight.fits"  #   likewise mask, psf, positions (sources to measure) and truth
# also = ["g/*.fits", "i/*.fits"]  #   the same fields in further bands

# For stamps: a section for each component of the model, as in isolux init; isolux profiles lists the profiles.
# The report compares with the truth where names agree: of mocks they are sersic, or bulge and disc.
[model.sersic]
profile = "sersic"

[model.sky]
profile = "sky"

# [fit]                            # for stamps: solver, loss, priors, errors, seed, ... as in isolux init
# errors = "covariance"            # or "bootstrap", "posterior", "none"
# batch_size = 128                 # galaxies that are fitted together

# [field]                          # for fields, instead of [model] and [fit]
# models = ["sersic"]              # of several, the best: point, exponential, sersic, bulge+disc, sersic+point
# threshold = 4.0                  # of detection, in standard deviations of the noise

[survey]
part_galaxies = 250                # galaxies of a part, which is measured and written as a whole, at most (1000)
# part_pixels = 67108864           # pixels of its stamps at most
# retries = 2                      # how often a part is tried again; then galaxy by galaxy, then it is given up
# input_check = "time"             # when going on, files are compared by size and time; or by "content", or "none"
# portraits = 400                  # galaxies whose images are kept for the report
# stop_after = 5                   # parts given up in a row, none having been done, after which the run ends

[cluster]
# kind = "local"                   # this machine; or "slurm", "pbs", "kubernetes"
# scheduler = "tcp://host:8786"    # or a Dask scheduler that is running
# workers = 2                      # processes; one a core, or one a GPU, where left out
# threads = 1                      # CPU threads of each
# memory = "auto"                  # of each worker, such as "4GiB"; one that takes more is ended, its part tried again
# device = "auto"                  # GPUs where there are any; or "cpu", "cuda"
# dashboard = ":8787"              # where the run can be watched with a browser; "none" for nowhere
# wait = 600.0                     # seconds for which a run waits for its first worker
# options = { queue = "normal", walltime = "04:00:00", cores = 1 }  # for the cluster's own system

[output]
# folder = "run"                   # named as this file where left out
# name = "run"                     # in the report
# exports = ["hats", "fits"]       # catalogues made in the end: hats, parquet, fits, votable
# columns = "isolux"               # their columns: isolux, legacy, rubin, euclid
# maps = false                     # for fields: maps of models and residuals
"""
