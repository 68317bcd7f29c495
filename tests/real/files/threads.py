"""Threads with locks, a condition, an event and thread-local values."""

import queue
import sys
import threading

sys.setswitchinterval(0.0005)
total, lock, ready, own = 0, threading.Lock(), threading.Event(), threading.local()
jobs, results = queue.Queue(maxsize=3), queue.Queue()


def worker(number):
    global total
    own.number = number
    ready.wait()
    while (job := jobs.get()) is not None:
        with lock:
            total += job
        results.put((job, job * job))
    assert own.number == number


crew = [threading.Thread(target=worker, args=(n,), name=f"worker-{n}") for n in range(8)]
for thread in crew:
    thread.start()
ready.set()
for job in range(200):
    jobs.put(job)
for _ in crew:
    jobs.put(None)
for thread in crew:
    thread.join()
print(total, sum(results.get()[1] for _ in range(200)), threading.active_count())

barrier = threading.Barrier(4)
order = []


def meet():
    barrier.wait()
    order.append(threading.current_thread().name)


timer = threading.Timer(0.05, order.append, ["timer"])
timer.start()
meeting = [threading.Thread(target=meet, name=str(n)) for n in range(4)]
for thread in meeting:
    thread.start()
for thread in meeting:
    thread.join()
timer.join()
print(sorted(order), lock.acquire(timeout=0.01), lock.acquire(timeout=0.01))
