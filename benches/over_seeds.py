"""Interval over seeds: mean and 95 % t interval of each list, and the paired difference to the first list.

    python3 benches/over_seeds.py 74.5,79.1,74.5 62.2,66.7,56.8

Values of one list belong to seeds 1, 2, 3, … in this order. Standard library only. The p value is two-sided, of the paired
t test; with three seeds it has two degrees of freedom, so only large differences can be shown.
"""

import math
import sys


def mean(values):
    return sum(values) / len(values)


def deviation(values):
    centre = mean(values)
    return math.sqrt(sum((value - centre) ** 2 for value in values) / (len(values) - 1))


def tail(t, freedom):
    """Two-sided p of Student's t: Simpson's rule over the density from 0 to |t|."""
    scale = math.gamma((freedom + 1) / 2) / (math.sqrt(freedom * math.pi) * math.gamma(freedom / 2))
    steps = 20_000
    width = abs(t) / steps

    def density(x):
        return scale * (1 + x * x / freedom) ** (-(freedom + 1) / 2)

    inner = sum((4 if i % 2 else 2) * density(i * width) for i in range(1, steps))
    half = width / 3 * (density(0) + inner + density(abs(t)))
    return max(0.0, 1 - 2 * half)


def quantile(freedom):
    """The t value with 2.5 % above it, by bisection."""
    low, high = 0.0, 1000.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(middle, freedom) > 0.05 else (low, middle)
    return (low + high) / 2


def describe(values):
    centre, error = mean(values), deviation(values) / math.sqrt(len(values))
    reach = quantile(len(values) - 1) * error
    return centre, error, f"{centre:+.1f} [{centre - reach:+.1f}, {centre + reach:+.1f}]"


def main():
    lists = [[float(value) for value in word.split(",")] for word in sys.argv[1:]]
    if not lists or any(len(values) < 2 or len(values) != len(lists[0]) for values in lists):
        sys.exit(__doc__)
    for number, values in enumerate(lists):
        _, _, text = describe(values)
        line = f"{','.join(f'{value:g}' for value in values)}: mean {text}"
        if number:
            differences = [value - other for value, other in zip(values, lists[0])]
            centre, error, text = describe(differences)
            p = tail(centre / error, len(differences) - 1) if error else float(centre == 0)
            line += f"; minus the first {text}, p {p:.3f}"
        print(line)


if __name__ == "__main__":
    main()
