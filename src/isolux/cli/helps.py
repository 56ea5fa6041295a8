"""What ``isolux COMMAND --help`` says of each command as a whole."""

FIT_HELP = """\
Fit a model to every galaxy and write a catalogue, image blocks and figures.

[b]isolux fit --image 'stamps/*_image.fits' --sigma 'stamps/*_sigma.fits' \\
    --psf 'stamps/*_psf.fits' --zero-point 22.5 --pixel-scale 0.396 \\
    --model sersic+sky --out run/[/b]

Quote patterns, so that the shell leaves them alone.
Exit codes: 0 all galaxies have a fit; 1 some have none, and their rows say why;
2 the call or its input cannot be used; 130 interrupted, what was done is kept.
"""

CHECK_HELP = """\
Look at everything before a long run, and list all that is wrong at once.

[b]isolux check run.toml[/b]

It takes what isolux fit takes, reads every stamp, takes one step of every fit, and writes nothing.
Exit codes: 0 nothing is wrong; 1 something is.
"""

MEASURE_HELP = """\
Find every source of a survey image, fit each with its neighbours, and write a catalogue.

[b]isolux measure image.fits[/b]

No option is needed: zero point, gain, weights and WCS come from the file, the PSF from its stars. A folder beside the
image gets the catalogue, the models and what they leave of the image, the segmentation, regions for DS9 and a figure.
Exit codes: 0 the field is measured (the catalogue says what became of each source); 2 the call or its input cannot be
used; 130 interrupted.
"""

SIMULATE_HELP = """\
Simulate a field of galaxies and stars as a survey sees it, with its truth.

[b]isolux simulate euclid --size 2048 --seed 1 --morphology realistic --out mock[/b]

Surveys: sdss, legacy, hsc, lsst, euclid, hst. It writes, for each band, an image, a weight map, the PSF and a map of
defects, and one table with every parameter of every source.
Exit codes: 0 it is written; 2 the call cannot be used; 130 interrupted.
"""

SURVEY_HELP = """\
Measure a survey of any size, part by part, on this machine or on a cluster. Whatever ends it, nothing is lost.

[b]isolux survey run.toml[/b]

Its run file says where the galaxies are (stamps, a folder, a Parquet or HATS catalogue, field images, mocks), the
model, the cluster and the folder; [b]isolux init --survey[/b] writes one that explains everything. The same command
goes on with a run that was ended, after comparing configuration and input.
Exit codes: 0 all parts are done; 1 some were given up, their reasons are shown; 2 the call or its input cannot be used;
3 the run has stopped (disk full, scheduler gone) and can be resumed; 130 interrupted, likewise.
"""

EXPORT_HELP = """\
Write a catalogue in another format or in the columns of a survey.

[b]isolux export run --format hats --out galaxies[/b]
[b]isolux export run/catalogue.parquet --columns legacy --band r --out catalogue.fits[/b]

Formats: parquet, fits, votable, ecsv, csv, and hats, which LSDB reads. Columns: isolux, legacy (DESI Legacy Surveys),
rubin (Data Preview 1), euclid (Q1). Of a survey run that is not complete, what is there is written, and what is missing
is said.
Exit codes: 0 it is written; 2 the call or its input cannot be used.
"""

PLOT_HELP = """\
Draw data, model, residual and radial profile from image blocks.

[b]isolux plot run/blocks --out figures --format png,pdf[/b]

Exit codes: 0 all are drawn; 1 some files are no image blocks; 2 the call cannot be used.
"""

REPORT_HELP = """\
Make a page of a run: how the fits ended, charts, and a gallery of galaxies with their models.

[b]isolux report run[/b]

It takes the folder of isolux survey, fit or measure, or a catalogue, and writes one HTML file, which needs no network.
Exit codes: 0 it is written; 2 there is nothing to show, or the call cannot be used.
"""
