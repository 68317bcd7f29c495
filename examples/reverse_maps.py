"""Four reverse maps, one workload: what each pays so that a page's ptes can be found.

Eight tasks map one file of 64 pages; then the kernel has to take the pages away. A program cannot
tell the designs apart; /proc/vmstat can. The same program runs on a machine of each kind.

Run:
    python examples/reverse_maps.py
Prints:
    design        bytes kept  ptes freed  each pte found by
    virtual_scan        none         512  reading every page table
    pte_chain         > 4096         512  blocks of ptes at each page
    objrmap             none         512  looking at every VMA of the file
    objrmap_tree        none         512  an interval tree of the file's VMAs
"""

from pkern import Kernel, Sys

DESIGNS = {
    "virtual_scan": "reading every page table",
    "pte_chain": "blocks of ptes at each page",
    "objrmap": "looking at every VMA of the file",
    "objrmap_tree": "an interval tree of the file's VMAs",
}
PAGES, TASKS = 64, 8


def vmstat(sys):
    fd = sys.open("/proc/vmstat")
    text = b"".join(iter(lambda: sys.read(fd, 65536), b"")).decode()
    sys.close(fd)
    return {name: int(value) for name, value in map(str.split, text.splitlines())}


def resident(sys):
    fd = sys.open("/proc/self/statm")
    pages = int(sys.read(fd, 100).split()[2])  # of files
    sys.close(fd)
    return pages


def work(kernel):
    """Return the bytes that the reverse map keeps, and how many ptes were taken away."""
    sys = Sys(kernel.spawn("root", uid=0, gid=0))
    fd = sys.open("/tmp/shared", sys.O_RDWR | sys.O_CREAT, 0o600)
    sys.ftruncate(fd, PAGES * sys.PAGE_SIZE)
    tasks = [sys, *(sys.fork() for _ in range(TASKS - 1))]
    for task in tasks:
        window = task.mmap(0, PAGES * sys.PAGE_SIZE, sys.PROT_READ, sys.MAP_SHARED, fd)
        for page in range(PAGES):
            task.load(window + page * sys.PAGE_SIZE, 1)
    kept = vmstat(sys)["pkern_rmap_bytes"]
    before = sum(resident(task) for task in tasks)
    sys.ftruncate(fd, 0)  # every pte of every page has to be found
    return kept, before - sum(resident(task) for task in tasks)


print(f"{'design':12}  {'bytes kept':>10}  {'ptes freed':>10}  each pte found by")
for name, how in DESIGNS.items():
    with Kernel(ram="16M", rmap=name) as kernel:
        kept, freed = work(kernel)
        kernel.check()
    print(f"{name:12}  {'> 4096' if kept > 4096 else 'none':>10}  {freed:10}  {how}")
