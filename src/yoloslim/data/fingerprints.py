"""Which pictures a network was trained on, in eight bytes each."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from yoloslim.errors import WeightsError

KEY = "training_pictures"
"""Under it a checkpoint's provenance keeps the fingerprints of the pictures that it was trained on."""

_BYTES = 8  # of a fingerprint: among 100,000 pictures, one in a billion is taken for another
_MAX_THREADS = 8


def fingerprints_of(paths: Iterable[Path]) -> frozenset[bytes]:
    """Gives the fingerprints of pictures, 8 bytes of BLAKE2b over the name and the bytes of each file.

    Pictures that cannot be read have none.
    """
    threads = min(os.cpu_count() or 1, _MAX_THREADS)
    with ThreadPoolExecutor(threads) as pool:
        return frozenset(pool.map(_fingerprint, paths)) - {b""}


def _fingerprint(path: Path) -> bytes:
    """The fingerprint of one file; empty where it cannot be read."""
    digest = hashlib.blake2b(os.fsencode(path.name) + b"\0", digest_size=_BYTES)
    try:
        digest.update(path.read_bytes())
    except OSError:
        return b""
    return digest.digest()


def with_fingerprints(provenance: Mapping[str, Any], found: frozenset[bytes]) -> dict[str, Any]:
    """Gives the provenance of a network that was trained on these pictures too.

    Raises:
        WeightsError: its fingerprints cannot be read.
    """
    joined = b"".join(sorted(found | known_fingerprints(provenance)))
    return {**provenance, KEY: base64.b64encode(joined).decode()} if joined else dict(provenance)


def known_fingerprints(provenance: Mapping[str, Any]) -> frozenset[bytes]:
    """Gives the fingerprints in the provenance of a network; none where nothing is known.

    Raises:
        WeightsError: they cannot be read.
    """
    text = provenance.get(KEY, "")
    try:
        joined = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise WeightsError(f"its {KEY} are not base64: {str(text)[:40]}; write the checkpoint again") from error
    if len(joined) % _BYTES:
        raise WeightsError(f"its {KEY} are cut off: {len(joined)} bytes; write the checkpoint again")
    return frozenset(joined[start : start + _BYTES] for start in range(0, len(joined), _BYTES))
