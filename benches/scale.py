"""Leases at scale: how far the sum of all hosts is off, and how few checks ask.

    python benches/scale.py                 the simulation, up to 1,000 hosts, and eight real processes
    python benches/scale.py --part real     one of both
    python benches/scale.py --plot FILE     where the plot goes; its ending chooses svg or png

The simulation (``simulated.py``) runs the shipped script on a model of a server, and the shipped batches on a model of
each host, under one clock: nothing is approximated but the network, which takes no time. The real part
(``leasing.py``) has processes, a Redis on this machine, and the wall's clock. Exit code 1, if more is admitted than the
stated bound, or, with ``--strict``, if another target is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import leasing
import simulated

HOSTS = (1, 3, 10, 30, 100, 300, 1000)
LEASES = (0.25, 1.0, 5.0)
LOADS = (0.8, 2.0, 0.0)
"""Times the quota; 0 surges."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=("simulated", "real"))
    parser.add_argument("--seconds", type=float, default=20.0, help="simulated, and of the wall, for each row")
    parser.add_argument("--plot", type=Path, default=Path("benches/results/leases.svg"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--strict", action="store_true")
    words = parser.parse_args()
    results: dict[str, Any] = {"simulated": [], "real": []}
    if words.part != "real":
        results["simulated"] = _simulate(words.seconds)
    if words.part != "simulated":
        results["real"] = _measure(words.seconds)
        results["latency"] = _time(words.seconds)
    if results["simulated"]:
        words.plot.parent.mkdir(parents=True, exist_ok=True)
        _plot(results, words.plot)
        print(f"\nplot: {words.plot}")
    if words.json:
        words.json.write_text(json.dumps(results, indent=1))
    rows = results["simulated"] + results["real"]
    broken = [row for row in rows if row["over"] > row["bound"] + 1e-9]
    slow = "latency" in results and results["latency"]["leased"]["below"] < leasing.SHARE
    for row in broken:
        print(f"BROKEN: more was admitted than the bound: {row}")
    return 1 if broken or (words.strict and slow) else 0


def _simulate(seconds: float) -> list[dict[str, Any]]:
    print(f"simulated, {seconds:g} s each; quota {simulated.QUOTA}")
    print(f"{'hosts':>6} {'lease':>6} {'load':>5} {'over':>7} {'bound':>7} {'under':>7} {'refused':>8} {'asks':>7}")
    rows = []
    for lease in LEASES:
        for load in LOADS:
            for hosts in HOSTS:
                row = simulated.run(hosts, lease, load, seconds)
                rows.append(row)
                print(
                    f"{hosts:>6} {lease:>6g} {load:>5g} {row['over']:>7.1%} {row['bound']:>7.1%} {row['under']:>7.1%} "
                    f"{row['refused']:>8.1%} {row['asks']:>7.1%}",
                    flush=True,
                )
    print(
        "over: beyond what the quota admits in the worst second; bound: what the docs promise of it; under: less than"
    )
    print(
        "the quota, of what was asked for, once the burst is spent; refused, though the load is below the quota; asks:"
    )
    print("checks with a round trip.")
    return rows


def _measure(seconds: float) -> list[dict[str, Any]]:
    print(f"\nreal: {leasing.PROCESSES} processes, each a host, and a Redis on this machine, {seconds:g} s each")
    rows = []
    for quota, rate, lease in leasing.CASES:
        row = leasing.run(quota, rate, lease, seconds)
        rows.append(row)
        print(
            f"{quota:>24}, {rate:g} requests/s, lease {lease:g}: {row['admitted']} admitted, over {row['over']:.1%} "
            f"(bound {row['bound']:.1%}), asks {row['asks']:.1%}",
            flush=True,
        )
    return rows


def _time(seconds: float) -> dict[str, Any]:
    found = leasing.latency(1000, 1.0, seconds)
    leased, host = found["leased"], found["host"]
    verdict = "ok" if leased["below"] >= leasing.SHARE else "MISSED"
    print(f"\none process, {found['rate']:g} checks/s, lease {found['lease']:g}; in microseconds")
    for name, row in (("leased", leased), ("this host's own counters", host)):
        print(f"{name:>26}: p50 {row['p50']:.2f}, p95 {row['p95']:.2f}, p99 {row['p99']:.2f}")
    print(f"below {leasing.TARGET_US:g} us: {leased['below']:.1%} (target {leasing.SHARE:.0%}: {verdict})")
    return found


def _plot(results: dict[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "leases"
    from matplotlib import pyplot
    from matplotlib.ticker import PercentFormatter

    figure, panels = pyplot.subplots(1, 3, figsize=(13, 4.2), constrained_layout=True)
    titles = (
        ("over", 0.0, "more than the quota\n(worst second, of a load that surges)"),
        ("under", 2.0, "less than the quota\n(load 2 x quota)"),
        ("asks", 0.8, "checks that ask Redis\n(load 0.8 x quota)"),
    )
    colours = ("#1b6ca8", "#2a9d5c", "#c8553d")
    for panel, (name, load, title) in zip(panels, titles, strict=True):
        for lease, colour in zip(LEASES, colours, strict=True):
            rows = [row for row in results["simulated"] if row["lease"] == lease and row["load"] == load]
            hosts = [row["hosts"] for row in rows]
            panel.plot(hosts, [row[name] for row in rows], "o-", color=colour, label=f"lease {lease:g} s")
            if name == "over":
                panel.plot(hosts, [row["bound"] for row in rows], ":", color=colour)
        for row in results["real"]:
            if row.get("load") == load and row["lease"] in LEASES:
                colour = colours[LEASES.index(row["lease"])]
                panel.plot([leasing.PROCESSES], [row[name]], "D", color=colour, markeredgecolor="black")
        panel.set_title(title, fontsize=10)
        panel.set_xscale("log")
        panel.set_xticks(HOSTS, [str(count) for count in HOSTS], minor=False)
        panel.set_xticks([], minor=True)
        panel.set_xlabel("hosts")
        panel.yaxis.set_major_formatter(PercentFormatter(1.0))
        panel.grid(alpha=0.3)
        panel.set_ylim(bottom=0)
    panels[0].set_yscale("symlog", linthresh=0.1)
    shares = (0, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
    panels[0].set_yticks(shares, [f"{share:.0%}" for share in shares], minor=False)
    panels[1].set_ylim(top=max(0.05, panels[1].get_ylim()[1]))
    panels[0].plot([], [], ":", color="grey", label="stated bound")
    panels[0].plot([], [], "D", color="white", markeredgecolor="black", label="real processes")
    panels[0].legend(fontsize=8)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


if __name__ == "__main__":
    sys.exit(main())
