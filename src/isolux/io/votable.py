"""VOTables with units, descriptions and UCDs, for what speaks the Virtual Observatory's language.

A VOTable is made as a whole, so it is for catalogues that fit in memory; larger ones are refused.
"""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow
from astropy.io.votable import writeto
from astropy.io.votable.tree import Info, VOTableFile
from astropy.table import Column, Table

from isolux.errors import InputError
from isolux.io.formats import Pieces
from isolux.io.headers import quiet
from isolux.io.tables import plain_values

LARGEST = 200_000
"""Rows of a VOTable."""
UCDS = (
    (r".*_mark", "meta.code"),
    (r"(.*_)?(ra|right_ascension)", "pos.eq.ra"),
    (r"(.*_)?(dec|declination)", "pos.eq.dec"),
    (r"id", "meta.id;meta.main"),
    (r"objid|objectid|object_id", "meta.id"),
    (r".*mean_surface_brightness.*", "phot.mag.sb"),
    (r".*colour.*", "phot.color"),
    (r"zero_point.*", "phot.mag;arith.zp"),
    (r".*magnitude.*", "phot.mag"),
    (r".*flux.*", "phot.flux"),
    (r".*axis_ratio.*", "phys.size.axisRatio"),
    (
        r".*(effective_radius|scale_radius|circularised_radius|fwhm|_radius|shape_r|reff_[xy]).*",
        "phys.angSize",
    ),
    (r".*(position_angle|pa_sky|sersic_angle).*", "pos.posAng"),
    (r"(.*_)?(e1|e2|ellipticity)", "src.ellipticity"),
    (r".*(sersic_index|_vis_index|_nir_index)|sersic", "src.morph.param"),
    (r".*(chi2|rchisq|chisq).*", "stat.fit.chi2"),
    (r"dof", "stat.fit.dof"),
    (r"(.*_)?x|bx", "pos.cartesian.x"),
    (r"(.*_)?y|by", "pos.cartesian.y"),
    (r"pixel_scale.*", "instr.scale"),
    (r"n_pixels.*|steps|.*n_iter|.*iterations", "meta.number"),
    (r"(.*_)?status.*", "meta.code.status"),
    (r"(.*_)?flags|.*fitbits|.*_flag|.*primary", "meta.code"),
    (r"message|flags_text", "meta.note"),
    (r"model|type", "meta.code.class"),
)
"""Names of columns, in lower case, and what they are in UCD1+."""
ERROR = re.compile(r"_err(?=_|$)|err(?=_|$)", re.IGNORECASE)
IVAR = re.compile(r"_ivar(?=_|$)")


def ucd_of(name: str) -> str:
    """The UCD of a column by its name; empty where there is none."""
    truth = name.startswith("truth_")
    plain = name.removeprefix("truth_").lower()
    if IVAR.search(plain):
        return "stat.weight"
    base = ERROR.sub("", plain)
    found = next((ucd for pattern, ucd in UCDS if re.fullmatch(pattern, base)), "")
    if not found or truth:
        return found.replace(";meta.main", "")
    if base != plain:
        return "stat.error;" + found.replace(";meta.main", "")
    main = plain in ("ra", "dec", "coord_ra", "coord_dec", "right_ascension", "declination")
    return f"{found};meta.main" if main else found


def write_votable(path: Path, schema: pyarrow.Schema, pieces: Pieces, rows: int) -> None:
    """Write a VOTable, binary.

    Raises
    ------
    InputError
        If it has more than :data:`LARGEST` rows.
    """
    if rows > LARGEST:
        raise InputError(
            "rows of a VOTable; write Parquet or HATS, which TOPCAT and astropy read too",
            rows,
            f"{LARGEST} or fewer",
        )
    whole = pyarrow.concat_tables([piece.cast(schema) for piece in pieces()])
    with quiet():  # the surveys' own units are not all of the Virtual Observatory
        writeto(_document(whole, schema), str(path), tabledata_format="binary2")


def _document(whole: pyarrow.Table, schema: pyarrow.Schema) -> VOTableFile:
    table = Table()
    for field in schema:
        notes = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        table[field.name] = Column(
            plain_values(whole, field.name),
            unit=notes.get("unit") or None,
            description=notes.get("description") or None,
            meta={"ucd": ucd_of(field.name)} if ucd_of(field.name) else None,
        )
    document = VOTableFile.from_table(table)
    for key, value in (schema.metadata or {}).items():
        document.resources[0].infos.append(Info(name=key.decode(), value=value.decode()))
    return document
