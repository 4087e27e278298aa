"""`python -m benchmarks [NAME ...]`: run the named benchmarks, or all, and print what they found."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict

from benchmarks import console, ingest, memory, models, plan, watch
from benchmarks.result import Result, table

BENCHMARKS: dict[str, Callable[[], Result]] = {
    "ingest": ingest.run,
    "plan": plan.run,
    "memory": memory.run,
    "watch": watch.run,
    "models": models.run,
    "console": console.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one or more of {', '.join(BENCHMARKS)}; default all")
    parser.add_argument("--output", choices=("text", "json"), default="text")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    results = []
    for name in arguments.names or BENCHMARKS:
        results.append(BENCHMARKS[name]())
        if arguments.output == "text":
            print(table(results[-1]), end="\n\n", flush=True)
    if arguments.output == "json":
        print(json.dumps([asdict(result) for result in results], indent=2))


if __name__ == "__main__":
    main()
