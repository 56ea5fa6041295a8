import numpy as np
import pytest
import torch
from astropy import units as u
from astropy.io import fits

from isolux.errors import InputError
from isolux.io.listing import list_stamps, starting_values, table_columns
from isolux.io.source import StampSource
from isolux.io.stamps import load_stamp, read_stamps
from isolux.status import Flag, Status

OPTIONS = {"zero_point": 22.5, "pixel_scale": 0.2}


def read(sample, **options):
    return read_stamps(**{**sample.patterns, **OPTIONS, **options})


def others_unharmed(sample, batch, bad="b"):
    """The other galaxies' pixels are bitwise those of their files."""
    for k, name in enumerate(batch.id):
        if name != bad:
            rows, columns = batch.height[k], batch.width[k]
            image = torch.as_tensor(sample.read(name, "image").astype(np.float32))
            assert torch.equal(batch.image[k, :rows, :columns], image)
            assert batch.status[k] is Status.RUNNING
    return True


def test_all_is_read(sample):
    batch = read(sample)
    assert batch.id == ("a", "b", "c")
    assert batch.shape == (20, 24)
    assert batch.psf.shape == (1, 9, 9)
    assert batch.zero_point.tolist() == [22.5] * 3
    assert batch.pixel_scale.tolist() == [0.2] * 3
    assert all(flag == Flag(0) for flag in batch.flags)
    assert others_unharmed(sample, batch, bad=None)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e6])
def test_any_flux_scale(sample, scale):
    for name in sample.names:
        sample.write(name, "image", sample.read(name, "image") * np.float32(scale))
        sample.write(name, "sigma", sample.read(name, "sigma") * np.float32(scale))
    batch = read(sample)
    assert others_unharmed(sample, batch, bad=None)
    assert float(batch.sigma[0, 0, 0]) == pytest.approx(0.1 * scale)


@pytest.mark.parametrize("kind", ["sigma", "mask", "psf"])
def test_missing_partner_is_that_galaxys_fault(sample, kind):
    sample.path("b", kind).unlink()
    batch = read(sample)
    assert batch.status[1] is Status.BAD_INPUT
    assert f"galaxy b: no file for it among {kind}" in batch.message[1]
    assert others_unharmed(sample, batch)


@pytest.mark.parametrize("kind", ["image", "sigma", "mask", "psf"])
def test_cut_off_file_is_that_galaxys_fault(sample, kind):
    path = sample.path("b", kind)
    path.write_bytes(path.read_bytes()[:3000])
    batch = read(sample)
    assert batch.status[1] is Status.BAD_INPUT
    assert str(path) in batch.message[1]
    assert "cut off" in batch.message[1]
    assert others_unharmed(sample, batch)


BAD_PIXELS = {
    "NaN": ("image", lambda a: np.where(a > 1, np.nan, a), Status.RUNNING, Flag.PIXELS_REPAIRED),
    "infinite": ("image", lambda a: np.where(a > 1, np.inf, a), Status.RUNNING, Flag.PIXELS_REPAIRED),
    "all NaN": ("image", lambda a: a * np.nan, Status.MASKED_OUT, None),
    "other shape": ("image", lambda a: a[:-1], Status.BAD_INPUT, None),
    "sigma zero": ("sigma", lambda a: a * 0, Status.MASKED_OUT, None),
    "sigma negative": ("sigma", lambda a: -a, Status.MASKED_OUT, None),
    "sigma NaN": ("sigma", lambda a: a * np.nan, Status.MASKED_OUT, None),
    "sigma zero in one pixel": (
        "sigma",
        lambda a: a * (a.cumsum() > 0.15).reshape(a.shape),
        Status.RUNNING,
        Flag.PIXELS_REPAIRED,
    ),
    "sigma of another shape": ("sigma", lambda a: a[:, :-2], Status.BAD_INPUT, None),
    "fully masked": ("mask", lambda a: a + 1, Status.MASKED_OUT, None),
    "mask of another shape": ("mask", lambda a: a.T, Status.BAD_INPUT, None),
    "even PSF": ("psf", lambda a: a[:-1, :-1], Status.BAD_PSF, None),
    "PSF NaN": ("psf", lambda a: a * np.nan, Status.BAD_PSF, None),
    "PSF zero": ("psf", lambda a: a * 0, Status.BAD_PSF, None),
    "PSF unnormalised": ("psf", lambda a: a * 3e5, Status.RUNNING, Flag.PSF_SCALED),
    "PSF negative": ("psf", lambda a: a - 0.03 * (a < 1e-3), Status.RUNNING, Flag.PSF_NEGATIVE),
    "PSF larger than the image": ("psf", lambda a: np.pad(a, 26), Status.RUNNING, Flag(0)),
}


@pytest.mark.parametrize("what", BAD_PIXELS)
def test_bad_pixels_are_that_galaxys_status(sample, what):
    kind, change, status, flag = BAD_PIXELS[what]
    sample.write("b", kind, np.asarray(change(sample.read("b", kind))))
    batch = read(sample)
    assert batch.status[1] is status
    if flag is not None:
        assert flag in batch.flags[1]
        assert batch.message[1] == ""
    else:
        assert str(sample.path("b", "image")) in batch.message[1]
    assert others_unharmed(sample, batch)
    assert torch.isfinite(batch.image).all()
    assert (batch.sigma > 0).all()


def test_segmentation_map_masks_the_neighbours(sample):
    """The label at the centre is the galaxy itself, whatever its number; a mask beside it is kept."""
    for name, own in (("a", 1), ("b", 2), ("c", 7)):
        labels = np.zeros(sample.shape, np.int32)
        labels[8:13, 9:15] = own
        labels[1:4, 2:5] = own + 1
        sample.write(name, "seg", labels)
    mask = np.zeros(sample.shape, np.int16)
    mask[18, 20] = 1
    sample.write("b", "mask", mask)
    batch = read(sample, segmentation=f"{sample.folder}/*_seg.fits")
    assert batch.mask.flatten(1).sum(1).tolist() == [9, 10, 9]
    assert bool(batch.mask[1, 18, 20])
    assert not batch.mask[:, 8:13, 9:15].any()


def test_segmentation_map_of_another_shape(sample):
    for name in sample.names:
        sample.write(name, "seg", np.zeros((5, 5) if name == "b" else sample.shape, np.int16))
    batch = read(sample, segmentation=f"{sample.folder}/*_seg.fits")
    assert batch.status[1] is Status.BAD_INPUT
    assert "segmentation map has shape (5, 5)" in batch.message[1]
    assert others_unharmed(sample, batch)


def test_masked_centre_is_kept(sample):
    mask = sample.read("b", "mask").copy()
    mask[8:12, 10:14] = 1
    sample.write("b", "mask", mask)
    batch = read(sample)
    assert batch.mask[1].sum() == 16
    assert others_unharmed(sample, batch)


def test_sizes_that_differ_are_padded(sample, rng):
    for kind in ("image", "sigma", "mask"):
        array = sample.read("b", kind)
        sample.write("b", kind, np.pad(array, ((0, 7), (0, 0)), mode="edge"))
    batch = read(sample)
    assert batch.shape == (27, 24)
    assert batch.height == (20, 27, 20)
    assert batch.mask[0, 20:].all()
    assert Flag.PADDED in batch.flags[0]
    assert Flag.PADDED not in batch.flags[1]
    assert others_unharmed(sample, batch, bad=None)


def test_only_named_values_of_the_mask_are_bad(sample):
    mask = np.arange(20 * 24).reshape(20, 24) % 4
    sample.write("b", "mask", mask.astype(np.int32))
    for bad, expected in [(None, mask != 0), (2, mask == 2), ([1, 3], mask % 2 == 1)]:
        batch = read(sample, mask_bad=bad)
        np.testing.assert_array_equal(batch.mask[1].numpy(), expected)


def test_pattern_without_a_file_is_an_error(sample):
    with pytest.raises(InputError, match=r"sigma: no file matches the pattern .*_sgima"):
        read(sample, sigma=f"{sample.folder}/*_sgima.fits")


def test_options_are_checked(sample):
    with pytest.raises(InputError, match="did you mean 'pixel_scale'"):
        read(sample, pixelscale=0.2)
    with pytest.raises(InputError, match="give one of sigma, variance and ivar"):
        read(sample, variance=sample.patterns["sigma"])
    with pytest.raises(InputError, match="give image"):
        read_stamps()
    with pytest.raises(InputError, match="psf_oversampling"):
        read(sample, psf_oversampling=0)


def test_one_file_for_all(sample):
    batch = read(sample, psf=sample.path("a", "psf"), mask=str(sample.path("a", "mask")), sigma=0.25)
    assert (batch.sigma == 0.25).all()
    assert others_unharmed(sample, batch, bad=None)


@pytest.mark.parametrize("kind", ["variance", "ivar"])
def test_variance_and_inverse_variance(sample, kind):
    for name in sample.names:
        power = 2 if kind == "variance" else -2
        sample.write(name, kind, sample.read(name, "sigma") ** power)
    batch = read(sample, sigma=None, **{kind: f"{sample.folder}/*_{kind}.fits"})
    assert torch.allclose(batch.sigma, torch.tensor(0.1))


def test_sigma_from_gain_and_header_keywords(sample):
    for k, name in enumerate(sample.names):
        cards = {"GAIN": 4.0, "MAGZERO": 20.0 + k, "PIXSCALE": 0.3}
        sample.write(name, "image", sample.read(name, "image"), **cards)
    batch = read(sample, sigma=None, gain="GAIN", sky=10.0, zero_point="MAGZERO", pixel_scale="PIXSCALE")
    image = sample.read("a", "image").astype(np.float64)
    np.testing.assert_allclose(batch.sigma[0].numpy(), np.sqrt((image + 10) / 4), rtol=1e-6)
    assert batch.zero_point.tolist() == [20.0, 21.0, 22.0]
    assert batch.pixel_scale.tolist() == [0.3] * 3


def test_missing_keyword_is_that_galaxys_fault(sample):
    for name in "ac":
        sample.write(name, "image", sample.read(name, "image"), MAGZERO=25.0)
    batch = read(sample, zero_point="MAGZERO")
    assert "b_image.fits: unknown keyword 'MAGZERO'" in batch.message[1]
    assert others_unharmed(sample, batch)


def test_pixel_scale_from_the_wcs(sample):
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CD1_1": -1e-4, "CD2_2": 1e-4}
    for name in "ac":
        sample.write(name, "image", sample.read(name, "image"), **cards)
    batch = read(sample, pixel_scale=None)
    assert batch.pixel_scale[0].item() == pytest.approx(0.36)
    assert batch.wcs[0].wcs.ctype[0] == "RA---TAN"
    assert "give pixel_scale" in batch.message[1]
    assert others_unharmed(sample, batch)


def test_lists_of_paths(sample):
    names = ["c", "a"]
    lists = {kind: [sample.path(name, kind) for name in names] for kind in ("image", "sigma")}
    batch = read_stamps(**lists, **OPTIONS)
    assert batch.id == ("c_image", "a_image")
    assert read_stamps(**lists, **OPTIONS, id=["x", 7]).id == ("x", "7")
    with pytest.raises(InputError, match="sigma is a list of 1"):
        read_stamps(image=lists["image"], sigma=lists["sigma"][:1], **OPTIONS)
    with pytest.raises(InputError, match="2 galaxies but 1 ids"):
        read_stamps(**lists, **OPTIONS, id=["x"])
    with pytest.raises(InputError, match="no galaxies"):
        read_stamps(image=[], **OPTIONS)


def test_repeated_ids_are_named(sample):
    image = [sample.path("a", "image")] * 2 + [sample.path("b", "image")]
    with pytest.raises(InputError, match="ids given to more than one galaxy: a_image"):
        read_stamps(image=image, sigma=0.1, **OPTIONS)


def test_planes_of_one_file(sample):
    for name in sample.names:
        hdus = [fits.ImageHDU(sample.read(name, kind), name=kind) for kind in ("image", "sigma", "psf")]
        fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(sample.folder / f"{name}_all.fits")
    pattern = f"{sample.folder}/*_all.fits"
    batch = read_stamps(image=pattern, sigma=f"{pattern}[SIGMA]", psf=pattern, psf_hdu="PSF", **OPTIONS)
    assert torch.equal(batch.image, read(sample).image)
    assert torch.equal(batch.psf, read(sample).psf)


def test_folder_named_by_the_wildcard(sample):
    for name in sample.names:
        (sample.folder / name).mkdir()
        for kind in ("image", "sigma"):
            sample.path(name, kind).rename(sample.folder / name / f"{kind}.fits")
    batch = read_stamps(
        image=f"{sample.folder}/*/image.fits*", sigma=f"{sample.folder}/**/sigma.fits", **OPTIONS
    )
    assert batch.id == ("a", "b", "c")
    assert batch.usable.all()


def test_big_endian_and_float64(sample):
    sample.write("b", "image", sample.read("b", "image").astype(">f8"))
    assert read(sample).image.dtype == torch.float32
    assert read(sample, dtype=torch.float64).image.dtype == torch.float64


def write_table(sample, ending, **columns):
    from astropy.table import Table

    table = Table({"id": ["001", "002", "003"], "image": [f"{n}_image.fits" for n in sample.names]})
    table["noise"] = [f"{n}_sigma.fits" for n in sample.names]
    table["zero_point"] = [22.0, 23.0, 24.0]
    table["re"] = [3.0, 4.0, np.nan]
    for name, values in columns.items():
        table[name] = values
    path = sample.folder / f"table.{ending}"
    if ending == "parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.table({n: table[n].tolist() for n in table.colnames}), path)
    else:
        table.write(path, **({"path": "table"} if ending == "hdf5" else {}))
    return path


@pytest.mark.parametrize("ending", ["csv", "ecsv", "fits", "parquet", "hdf5"])
def test_tables_of_stamps(sample, ending):
    pytest.importorskip("h5py")
    path = write_table(sample, ending)
    source = StampSource(table=path, sigma="noise", pixel_scale=0.2)
    batch = read_stamps(source)
    assert batch.id == ("001", "002", "003")
    assert batch.zero_point.tolist() == [22.0, 23.0, 24.0]
    assert torch.equal(batch.image, read(sample).image)
    columns = starting_values(table_columns(list_stamps(source)[1:]), np.array([0.2, 0.2]))
    np.testing.assert_array_equal(columns["re"], [4.0, np.nan])
    assert "image" not in columns


def test_table_cells_that_are_empty_or_wrong(sample):
    path = write_table(sample, "csv", psf=["", "no.fits", str(sample.path("c", "psf"))])
    batch = read_stamps(table=path, sigma="noise", pixel_scale=0.2)
    assert Flag.NO_PSF in batch.flags[0]
    assert "no.fits: no such file" in batch.message[1]
    assert batch.status[2] is Status.RUNNING


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sigma": "niose"}, "for sigma 'niose'; did you mean 'noise'"),
        ({"id": "ident"}, "'ident'; did you mean 'id'"),
        ({"zero_point": "zeropoint"}, "'zeropoint'; did you mean 'zero_point'"),
        ({"image": "imag"}, "did you mean 'image'"),
    ],
)
def test_wrong_columns_are_named(sample, options, words):
    path = write_table(sample, "csv")
    with pytest.raises(InputError, match=words):
        read_stamps(table=path, **OPTIONS | options)


def test_tables_that_cannot_be_read(sample):
    with pytest.raises(InputError, match="no such file"):
        read_stamps(table=sample.folder / "no.csv")
    (sample.folder / "bad.csv").write_text("id,image\n1,2,3\n")
    with pytest.raises(InputError, match=r"bad\.csv: cannot be read as csv"):
        read_stamps(table=sample.folder / "bad.csv")
    (sample.folder / "none.csv").write_text("id,image\n")
    with pytest.raises(InputError, match="no galaxies"):
        read_stamps(table=sample.folder / "none.csv")
    with pytest.raises(InputError, match="unknown kind of table"):
        read_stamps(table=sample.folder / "a.txt")


def test_table_with_hdus_and_shared_psf(sample):
    path = sample.folder / "cube.fits"
    planes = [fits.ImageHDU(sample.read(name, "image")) for name in sample.names]
    fits.HDUList([fits.PrimaryHDU(), *planes]).writeto(path)
    table = write_table(sample, "fits", plane=[1, 2, 3], image=["cube.fits"] * 3, rms=[0.1, 0.2, 0.3])
    source = StampSource(
        table=table, image_hdu="plane", sigma="rms", psf=sample.path("a", "psf"), pixel_scale=1
    )
    batch = read_stamps(source)
    assert torch.equal(batch.image, read(sample).image)
    assert batch.sigma[:, 0, 0].tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert batch.psf.shape == (1, 9, 9)


def test_loading_never_raises(sample):
    files = list_stamps(StampSource(**sample.patterns, **OPTIONS))
    sample.path("a", "image").unlink()
    sample.path("a", "image").mkdir()
    stamp = load_stamp(files[0])
    assert stamp.image is None
    assert "a_image.fits" in stamp.fault


@pytest.mark.real
def test_real_masks_kinds_and_packing(real_data):
    folder = real_data / "sdss-galmoss"
    patterns = {k: f"{folder}/*_{k}.fits*" for k in ("image", "sigma", "mask", "psf")}
    two = read_stamps(**patterns, mask_bad=2, zero_point=22.5, pixel_scale=0.396)
    assert [bool(mask.any()) for mask in two.mask] == [False, False, True]
    kids = real_data / "gama-profit" / "kids"
    kinds = {"image": "fitim", "sigma": "sigma", "mask": "mskim", "psf": "psfim"}
    batch = read_stamps(**{k: f"{kids}/G*{v}.fits*" for k, v in kinds.items()}, pixel_scale=0.2)
    assert batch.usable.all()
    assert batch.id[0] == "265911"
    npy = real_data / "hsc-pysersic"
    assert read_stamps(image=f"{npy}/*_im.npy", sigma=f"{npy}/*_sig.npy", pixel_scale=0.168).usable.all()


@pytest.mark.real
def test_real_catalogue_of_hdus(real_data):
    batch = read_stamps(
        table=real_data / "cosmos-100" / "real_galaxy_catalog_26_extension_example.fits",
        id="IDENT",
        image="GAL_FILENAME",
        image_hdu="GAL_HDU",
        psf="PSF_FILENAME",
        psf_hdu="PSF_HDU",
        variance="NOISE_VARIANCE",
        pixel_scale="PIXEL_SCALE",
        zero_point=25.937,
    )
    assert len(batch) == 100
    assert batch.usable.all()


def test_starting_sizes_in_arcsec_become_pixels(sample):
    path = write_table(sample, "ecsv", size=[1.0, 2.0, 3.0] * u.arcsec)
    files = list_stamps(StampSource(table=path, sigma="noise", pixel_scale=0.2))
    columns = starting_values(table_columns(files[:2]), np.array([0.2, 0.5]))
    np.testing.assert_allclose(columns["size"], [5.0, 4.0])
