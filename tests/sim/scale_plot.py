#!/usr/bin/env python3
"""Draw what reeve-sim-scale printed: scale_plot.py TABLE > docs/scale.svg

How much of a step's time is useful work (the ideal step over the simulated one), against the number of workers, a line for
each task length: whole for one master, broken for two levels. Standard library only."""
import math
import sys

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 420, 60, 150, 30, 50
COLOURS = ["#b3261e", "#b36b00", "#1d6f42", "#1a56a0", "#6a3d9a"]


def read(path):
    """task length in ms -> [(workers, useful with one level, useful with two)]"""
    lines = {}
    with open(path, encoding="utf-8") as table:
        for line in table:
            if line.startswith("#") or not line.strip():
                continue
            workers, task, _, _, one, _, _, two, _ = (float(word) for word in line.split())
            lines.setdefault(task, []).append((workers, one, two))
    return lines


def main():
    lines = read(sys.argv[1])
    workers = sorted({point[0] for points in lines.values() for point in points})
    low, high = math.log10(workers[0]), math.log10(workers[-1])

    def x(w):
        return LEFT + (math.log10(w) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(share):
        return TOP + (1 - min(share, 1)) * (HEIGHT - TOP - BOTTOM)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for percent in range(0, 101, 20):
        at = y(percent / 100)
        out.append(f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{percent} %</text>')
    for w in workers:
        out.append(f'<text x="{x(w):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{w:.0f}</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">workers</text>'
               f'<text x="{LEFT}" y="{TOP - 12}">useful part of a step (simulated)</text>')
    for number, task in enumerate(sorted(lines)):
        colour = COLOURS[number % len(COLOURS)]
        for level, dash in ((1, ""), (2, ' stroke-dasharray="6 4"')):
            path = "L".join(f"{x(point[0]):.1f} {y(point[level]):.1f}" for point in lines[task])
            out.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        label = f"{task:g} ms" if task < 1000 else f"{task / 1000:g} s"
        out.append(f'<path d="M{WIDTH - RIGHT + 14} {TOP + 14 + 22 * number}h24" stroke="{colour}" stroke-width="2"/>'
                   f'<text x="{WIDTH - RIGHT + 44}" y="{TOP + 18 + 22 * number}">tasks of {label}</text>')
    legend = TOP + 30 + 22 * len(lines)
    for row, (words, dash) in enumerate((("one master", ""), ("two levels", ' stroke-dasharray="6 4"'))):
        out.append(f'<path d="M{WIDTH - RIGHT + 14} {legend + 22 * row}h24" stroke="#333" stroke-width="2"{dash}/>'
                   f'<text x="{WIDTH - RIGHT + 44}" y="{legend + 4 + 22 * row}">{words}</text>')
    out.append("</svg>")
    print("\n".join(out))


main()
