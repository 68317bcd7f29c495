"""Pools of threads and of processes, and what multiprocessing shares between processes."""

import multiprocessing as mp
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from multiprocessing import shared_memory


def square(n):
    return n * n


def add(counter, channel, name):
    for _ in range(100):
        with counter.get_lock():
            counter.value += 1
    block = shared_memory.SharedMemory(name)
    block.buf[0] = 42
    block.close()
    channel.send({"from": "child", "sum": sum(range(1000))})
    channel.close()


def main():
    with ThreadPoolExecutor(4) as pool:
        print(sum(f.result() for f in as_completed([pool.submit(square, n) for n in range(50)])))
    with ProcessPoolExecutor(2) as pool:
        print(list(pool.map(square, range(10), chunksize=5)))
    for method in ("fork", "spawn"):
        context = mp.get_context(method)
        counter = context.Value("i", 0)
        here, there = context.Pipe()
        block = shared_memory.SharedMemory(create=True, size=4096)
        child = context.Process(target=add, args=(counter, there, block.name))
        child.start()
        print(method, here.recv(), end=" ")
        child.join()
        print(counter.value, block.buf[0], child.exitcode)
        block.close()
        block.unlink()
    with mp.get_context("fork").Pool(2) as pool:
        print(pool.map(square, range(5)), pool.apply_async(square, (9,)).get(30))


if __name__ == "__main__":
    main()
