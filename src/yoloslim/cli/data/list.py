"""``yoloslim data list``: the data sets that can be fetched by name."""

from __future__ import annotations

from yoloslim.cli.session import Result, Session


def list_sets(session: Session) -> Result:
    """List the data sets that `data fetch` knows."""
    from yoloslim.cli.tables import table
    from yoloslim.data.known import KNOWN_SETS

    rows, cells = [], []
    for name, data_set in KNOWN_SETS.items():
        classes = len(data_set.class_names)
        pictures = sum(data_set.counts[split].pictures or 0 for split in data_set.places)
        size = sum(remote.size for remote in data_set.archives)
        row = {"name": name, "classes": classes, "pictures": pictures, "bytes": size or None, "page": data_set.page}
        rows.append({**row, "archives": list(data_set.archive_names), "by_hand": bool(data_set.by_hand)})
        gigabytes = f"{size / 1e9:.1f} GB" if size else ""
        cells.append((name, str(classes), f"{pictures:,}", gigabytes, "by hand" if data_set.by_hand else ""))
    session.print(table(("data set", "classes", "pictures", "archives", "download"), cells))
    session.print(
        "`data fetch NAME --dry-run` tells what would be done; NETWORK-NAME has the classes and anchors of a set"
    )
    return {"sets": rows}
