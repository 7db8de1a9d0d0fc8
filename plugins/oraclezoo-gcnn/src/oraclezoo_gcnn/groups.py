"""Finite groups of reflections and quarter turns of the plane, as matrices of whole numbers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

Matrix = tuple[tuple[int, int], tuple[int, int]]
"""Acts on (row, column), both counted from the centre."""

IDENTITY: Matrix = ((1, 0), (0, 1))
MIRROR: Matrix = ((1, 0), (0, -1))
TURN: Matrix = ((0, -1), (1, 0))

GENERATORS: dict[str, tuple[Matrix, ...]] = {
    "mirror": (MIRROR,),
    "p4": (TURN,),
    "p4m": (MIRROR, TURN),
}


def multiply(a: Matrix, b: Matrix) -> Matrix:
    """a after b."""
    rows = [[sum(a[i][k] * b[k][j] for k in range(2)) for j in range(2)] for i in range(2)]
    return ((rows[0][0], rows[0][1]), (rows[1][0], rows[1][1]))


def inverse(a: Matrix) -> Matrix:
    """Of an orthogonal matrix: its transpose."""
    return ((a[0][0], a[1][0]), (a[0][1], a[1][1]))


def elements(name: str) -> tuple[Matrix, ...]:
    """All elements of a group, the identity first: what its generators come to."""
    found = [IDENTITY]
    for element in found:  # it grows meanwhile
        for generator in GENERATORS[name]:
            new = multiply(generator, element)
            if new not in found:
                found.append(new)
    return tuple(found)


@dataclass(frozen=True)
class Permutations:
    """Where a transformed filter takes its values from.

    ``plane[g]``: for filters ``(k, k)`` on the plane, flattened: (g f)(x) = f(g^-1 x).
    ``group[g]``: for filters ``(G, k, k)`` on the group: (g f)(h, x) = f(g^-1 h, g^-1 x).
    """

    plane: tuple[tuple[int, ...], ...]
    group: tuple[tuple[int, ...], ...]


def permutations(name: str, size: int) -> Permutations:
    """For filters of an odd ``size``."""
    members, half = elements(name), size // 2
    points = list(product(range(-half, half + 1), repeat=2))
    number = {point: index for index, point in enumerate(points)}
    plane, group = [], []
    for g in members:
        back = inverse(g)
        moved = [
            number[back[0][0] * r + back[0][1] * c, back[1][0] * r + back[1][1] * c]
            for r, c in points
        ]
        plane.append(tuple(moved))
        from_element = [members.index(multiply(back, h)) for h in members]
        group.append(tuple(e * len(points) + place for e in from_element for place in moved))
    return Permutations(tuple(plane), tuple(group))
