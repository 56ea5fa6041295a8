"""Tensors in one safetensors file or, where they are large, in several; with a checksum that holds for all of them.

Files are named as Hugging Face names them, ``name-00001-of-00002.safetensors``. The header of each has the same texts,
and the checksum of all tensors: so a file that is missing, damaged or of another training is found when they are read.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from isolux.errors import InputError
from isolux.io.safe_files import put_whole
from isolux.types import Tensor

LARGEST = 15 << 20
"""Bytes of tensors in a file at most: many hosts of code take no more than 16 MiB, and the header needs some."""
CHECKSUM = "isolux_sha256"
ENDING = ".safetensors"
NUMBERED = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.safetensors")


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and values, whatever files they are in."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def write_shards(
    path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, str], largest: int = LARGEST
) -> list[Path]:
    """Write tensors to ``path``, or to several files named after it; files of an earlier writing are removed.

    Parameters
    ----------
    path : Path
        ``name.safetensors``.
    tensors : mapping of str to Tensor
        On the CPU.
    header : mapping of str to str
        Texts that go into each file.
    largest : int
        Bytes of tensors in a file at most, where a single tensor has no more.

    Returns
    -------
    list of Path
    """
    groups = _groups(tensors, largest)
    paths = [path] if len(groups) == 1 else [_numbered(path, k, len(groups)) for k in range(len(groups))]
    before = set(_there(path)) - set(paths)
    said = {**header, CHECKSUM: checksum(tensors)}
    for own, names in zip(paths, groups, strict=True):
        write_file(own, {name: tensors[name] for name in names}, said)
    for old in before:
        old.unlink()
    return paths


def read_shards(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and the texts of the header.

    Parameters
    ----------
    path : Path
        The one file, any of several, or the name that they would have were they one.

    Raises
    ------
    InputError
        Where a file is missing, is no such file, or the tensors are not those of the checksum.
    """
    tensors: dict[str, Tensor] = {}
    header: dict[str, str] = {}
    for own in _all_of(path):
        found, said = read_file(own)
        if header and said.get(CHECKSUM) != header.get(CHECKSUM):
            raise InputError(f"{own}: is of other weights than the files that belong to it")
        tensors, header = tensors | found, said
    wanted = header.pop(CHECKSUM, None)
    if wanted is not None and checksum(tensors) != wanted:
        raise InputError(
            f"{path}: damaged: the tensors are not those that were written (SHA-256 {wanted[:12]})"
        )
    return tensors, header


def write_file(path: Path, tensors: dict[str, Tensor], header: dict[str, str]) -> None:
    """One file, which is there whole or not at all."""
    from safetensors.torch import save

    with put_whole(path) as temporary:  # by Python: the library's own files are for nobody else to read
        temporary.write_bytes(save(tensors, header))


def read_file(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and header of one file.

    Raises
    ------
    InputError
        If it is no such file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a safetensors file: {error}") from None


def _groups(tensors: Mapping[str, Tensor], largest: int) -> list[list[str]]:
    """Names that go into a file together: the largest tensors first, each into the first file that has room."""
    sizes = {name: tensor.numel() * tensor.element_size() for name, tensor in tensors.items()}
    groups: list[list[str]] = []
    room: list[int] = []
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        place = next((k for k, left in enumerate(room) if sizes[name] <= left), len(groups))
        if place == len(groups):
            groups.append([])
            room.append(largest)
        groups[place].append(name)
        room[place] -= sizes[name]
    return groups or [[]]


def _numbered(path: Path, number: int, count: int) -> Path:
    return path.with_name(f"{path.name.removesuffix(ENDING)}-{number + 1:05d}-of-{count:05d}{ENDING}")


def _there(path: Path) -> list[Path]:
    """Files of these weights: the one, and numbered ones."""
    stem = path.name.removesuffix(ENDING)
    beside = sorted(path.parent.glob(f"*{ENDING}")) if path.parent.is_dir() else []
    numbered = [p for p in beside if (own := NUMBERED.fullmatch(p.name)) and own[1] == stem]
    return ([path] if path.is_file() else []) + numbered


def _all_of(path: Path) -> list[Path]:
    """The files that are to be read."""
    one = NUMBERED.fullmatch(path.name)
    if path.is_file() and not one:
        return [path]
    found = _there(path.with_name(one[1] + ENDING) if one else path)
    counts = {int(own[3]) for p in found if (own := NUMBERED.fullmatch(p.name))}
    if one:
        counts = {int(one[3])}
    if not counts:
        raise InputError(f"{path}: no such file")
    if len(counts) > 1:
        raise InputError(
            f"{path}: several weights of that name, in {sorted(counts)} files: remove one of them"
        )
    stem = path.with_name(one[1] + ENDING) if one else path
    wanted = [_numbered(stem, k, *counts) for k in range(*counts)]
    for part in wanted:
        if not part.is_file():
            raise InputError(f"{part}: missing: these weights are in {len(wanted)} files")
    return wanted
