"""`python -m tests.simulation SEED [LAST]`: runs one seed, or all up to before the last; says what fails."""

import sys
import time
import warnings

from tests.simulation.world import Failed, World


def main(first: int, last: int) -> int:
    warnings.simplefilter("ignore")  # a worker killed before a coroutine's first step never awaits it
    started_s, failed = time.perf_counter(), 0
    for seed in range(first, last):
        world = World(seed)
        try:
            world.run()
        except Failed as error:
            failed += 1
            print(error)  # noqa: T201 - a command
        else:
            if last == first + 1:
                print("\n".join(world.trace), "\nall holds")  # noqa: T201
    print(f"{failed} of {last - first} seeds failed, {time.perf_counter() - started_s:.1f} s")  # noqa: T201
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2] if len(sys.argv) > 2 else int(sys.argv[1]) + 1)))
