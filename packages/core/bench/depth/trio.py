# The tree of peers.mjs in Trio: python3 bench/depth/trio.py 1000
import sys
import time

sys.path.pop(0)  # this folder: `import trio` must not find this file
import trio

depth = int(sys.argv[1])
levels = 0
all_there = trio.Event()


async def level(rest):
    global levels
    async with trio.open_nursery() as nursery:
        if rest > 1:
            nursery.start_soon(level, rest - 1)
        levels += 1
        if levels == depth:
            all_there.set()
        await trio.sleep_forever()


async def main():
    start = time.perf_counter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(level, depth)
        await all_there.wait()
        built = time.perf_counter()
        nursery.cancel_scope.cancel()
    joined = time.perf_counter()
    print(f"trio {trio.__version__} {depth}: built in {(built - start) * 1000:.0f} ms, cancelled and joined in {(joined - built) * 1000:.0f} ms")


trio.run(main)
