"""What a notebook shows of an object: escaped text, small pictures and a curve, in HTML that needs nothing else."""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape

import numpy as np
from jaxtyping import Float
from PIL import Image

_WIDE, _HIGH, _EDGE = 320, 110, 6
_SHADES = ("#A80F3C", "#D07C00", "#2B78AC", "#18234F", "#63BDB4", "#6A6A6A", "#8C6BB1")


def paragraph(text: object) -> str:
    """Return text as a paragraph, escaped.

    Examples
    --------
    >>> paragraph("<b>")
    '<p>&lt;b&gt;</p>'
    """
    return f"<p>{escape(str(text))}</p>"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows as a table, every cell escaped."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def pictures(images: Iterable[tuple[str, Image.Image]], *, pixels: int = 72) -> str:
    """Return pictures in a row, each over its name."""
    figures = []
    for name, image in images:
        small = image.convert("RGB")
        small.thumbnail((pixels, pixels))
        file = io.BytesIO()
        small.save(file, "JPEG", quality=80)
        uri = f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
        label = escape(name, quote=True)
        figures.append(
            f'<figure style="margin:0 6px 6px 0;display:inline-block;font-size:10px;max-width:{pixels}px">'
            f'<img src="{uri}" alt="{label}" title="{label}"><figcaption style="overflow:hidden">{label}</figcaption>'
            "</figure>"
        )
    return f"<div>{''.join(figures)}</div>"


def curves(lines: Mapping[str, Float[np.ndarray, " layer"]], *, band: Sequence[float] = (), label: str) -> str:
    """Return curves from a first to a last layer as a small picture, with a band across it where there is one."""
    values = np.concatenate([*map(np.asarray, lines.values()), np.asarray(band, dtype=float), [0.0]])
    values = values[np.isfinite(values)]
    low, high = float(values.min()), float(values.max())
    span = (high - low) or 1.0

    def y(value: float) -> float:
        return round(_HIGH - _EDGE - (value - low) / span * (_HIGH - 2 * _EDGE), 1)

    parts = [f'<line x1="0" x2="{_WIDE}" y1="{y(0)}" y2="{y(0)}" stroke="#999" stroke-dasharray="3 3"/>']
    if len(band):
        top, bottom = y(max(band)), y(min(band))
        parts.append(f'<rect x="0" width="{_WIDE}" y="{top}" height="{max(bottom - top, 1)}" fill="#bbb"/>')
    for place, (name, line) in enumerate(lines.items()):
        x = np.linspace(_EDGE, _WIDE - _EDGE, len(line)).round(1)
        points = " ".join(f"{at},{y(value)}" for at, value in zip(x, line, strict=True) if np.isfinite(value))
        color = _SHADES[place % len(_SHADES)]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2">'
                     f"<title>{escape(name)}</title></polyline>")  # fmt: skip
    names = ", ".join(
        f'<span style="color:{_SHADES[place % len(_SHADES)]}">{escape(name)}</span>'
        for place, name in enumerate(lines)
    )
    return (
        f'<svg role="img" aria-label="{escape(label, quote=True)}" width="{_WIDE}" height="{_HIGH}">'
        f"{''.join(parts)}</svg><div>{names}</div>"
    )
