/*
 * core_api.h - every declaration of the C core that Python may use.
 *
 * gcc includes this file (through core.h) and cffi reads the same text as its
 * cdef, so it holds only enums, structs and prototypes: no second copy to
 * drift.  Units: addr, len, pos, nbytes in bytes; pfn, index, pgoff, nr_* in
 * pages.  Ranges are half open.
 *
 * Every call returning int64_t gives a value >= 0, or -errno with nothing
 * changed, or one of enum outcome, with the details in struct need.
 */

typedef struct machine machine;
typedef struct mapping mapping;
typedef struct file file;
typedef struct mm mm;
typedef struct uffd uffd; /* a userfaultfd */

enum outcome {
	NEED_PAGE = -5001,   /* fetch (need.mapping, need.index), try again */
	NEED_MEMORY = -5002, /* free need.nr_pages, try again */
	SEGV_MAPERR = -5003, /* need.addr: nothing is mapped there */
	SEGV_ACCERR = -5004, /* need.addr: mapped, access not allowed */
	BUS_ADRERR = -5005,  /* need.addr: beyond the file, a hole, or unreadable swap */
	SEGV_PKUERR = -5006, /* need.addr: mapped, its protection key forbids the access */
	KERNEL_BUG = -5007,  /* machine_disagreement() says what */
	NEED_EVENT = -5009,  /* a userfaultfd wants to know of what munmap or mmap would do */
	NEED_USER = -5008 /* need.uffd: the context whose monitor is to make the access possible */
};

/* clang-format off: tables of constants read better in rows */
/* Values of Linux's headers. */
enum prot {
	PROT_NONE = 0,
	PROT_READ = 1,
	PROT_WRITE = 2,
	PROT_EXEC = 4,
	PROT_GROWSDOWN = 0x01000000,
	PROT_GROWSUP = 0x02000000
};

enum map_flags {
	MAP_SHARED = 0x01,
	MAP_PRIVATE = 0x02,
	MAP_SHARED_VALIDATE = 0x03,
	MAP_DROPPABLE = 0x08, /* a type: private, and its pages may go at any time */
	MAP_TYPE = 0x0f,
	MAP_FIXED = 0x10,
	MAP_ANONYMOUS = 0x20,
	MAP_32BIT = 0x40,
	MAP_ABOVE4G = 0x80,
	MAP_GROWSDOWN = 0x0100,
	MAP_DENYWRITE = 0x0800,
	MAP_EXECUTABLE = 0x1000,
	MAP_LOCKED = 0x2000,
	MAP_NORESERVE = 0x4000,
	MAP_POPULATE = 0x8000,
	MAP_NONBLOCK = 0x10000,
	MAP_STACK = 0x20000,
	MAP_HUGETLB = 0x40000,
	MAP_SYNC = 0x80000,
	MAP_FIXED_NOREPLACE = 0x100000,
	MAP_NONLINEAR = 0x800000,
	MAP_HUGE_2MB = 0x54000000,
	MAP_HUGE_1GB = 0x78000000
};

enum vm_flags {
	VM_READ = 0x1,
	VM_WRITE = 0x2,
	VM_EXEC = 0x4,
	VM_SHARED = 0x8,
	VM_MAYREAD = 0x10,
	VM_MAYWRITE = 0x20,
	VM_MAYEXEC = 0x40,
	VM_MAYSHARE = 0x80,
	VM_GROWSDOWN = 0x100,
	VM_MAYBE_GUARD = 0x800, /* has had a guard: its ptes go to a child */
	VM_LOCKED = 0x2000,
	VM_SEQ_READ = 0x8000,
	VM_RAND_READ = 0x10000,
	VM_DONTCOPY = 0x20000,
	VM_SEALED = 0x40000, /* by mseal: stays as it is until the mm goes */
	VM_LOCKONFAULT = 0x80000,
	VM_ACCOUNT = 0x100000,
	VM_NORESERVE = 0x200000,
	VM_HUGETLB = 0x400000,
	VM_NONLINEAR = 0x800000, /* API B: some ptes are not linear */
	VM_SPECIAL = 0x1000000,  /* API A: raw bypass, unknown to the VM */
	VM_WIPEONFORK = 0x2000000,
	VM_DONTDUMP = 0x4000000,
	VM_MERGEABLE = 0x8000000,
	VM_DEPRIVED = 0x10000000, /* the owner of its large pages took one back */
	VM_HUGEPAGE = 0x20000000,
	VM_NOHUGEPAGE = 0x40000000,
	VM_PKEY_MASK = 0xf00000000,     /* the protection key */
	VM_UFFD_MISSING = 0x1000000000, /* a userfaultfd is told of what is not there, */
	VM_UFFD_WP = 0x2000000000,      /* of stores to what it protects, */
	VM_UFFD_MINOR = 0x4000000000,   /* of pages that only the cache has */
	VM_UFFD = 0x7000000000,
	VM_DROPPABLE = 0x8000000000, /* under pressure its pages are dropped, not swapped */
	VM_SYNC = 0x10000000000      /* MAP_SYNC was asked for, where it means nothing */
};
enum { VM_PKEY_SHIFT = 32 };

/* PR_SET_MDWE: what was not executable stays so; children of fork are free of it. */
enum mdwe { MDWE_REFUSE_EXEC_GAIN = 1, MDWE_NO_INHERIT = 2 };
enum mremap_flags { MREMAP_MAYMOVE = 1, MREMAP_FIXED = 2, MREMAP_DONTUNMAP = 4 };
enum mlock_flags { MLOCK_ONFAULT = 1, MCL_CURRENT = 1, MCL_FUTURE = 2, MCL_ONFAULT = 4 };

enum advice {
	MADV_NORMAL = 0,
	MADV_RANDOM = 1,
	MADV_SEQUENTIAL = 2,
	MADV_WILLNEED = 3,
	MADV_DONTNEED = 4,
	MADV_FREE = 8,
	MADV_REMOVE = 9,
	MADV_DONTFORK = 10,
	MADV_DOFORK = 11,
	MADV_MERGEABLE = 12,
	MADV_UNMERGEABLE = 13,
	MADV_HUGEPAGE = 14,
	MADV_NOHUGEPAGE = 15,
	MADV_DONTDUMP = 16,
	MADV_DODUMP = 17,
	MADV_WIPEONFORK = 18,
	MADV_KEEPONFORK = 19,
	MADV_COLD = 20,
	MADV_PAGEOUT = 21,
	MADV_POPULATE_READ = 22,
	MADV_POPULATE_WRITE = 23,
	MADV_DONTNEED_LOCKED = 24,
	MADV_COLLAPSE = 25,
	MADV_GUARD_INSTALL = 102,
	MADV_GUARD_REMOVE = 103
};

/* The processor's page-fault error code, and a bit of ours: a debugger's access. */
enum access { ACCESS_READ = 0, ACCESS_WRITE = 2, ACCESS_EXEC = 16, ACCESS_FORCED = 0x10000 };

enum rmap_design {
	RMAP_PTE_CHAIN = 0,
	RMAP_OBJRMAP_TREE = 1,
	RMAP_OBJRMAP = 2,
	RMAP_VIRTUAL_SCAN = 3,
	RMAP_COMPARE = 4,
	NR_RMAP_DESIGNS = 5
};
/* The kernel's code page, in every address space; its data page follows. */
enum vsyscall_place { VSYSCALL_ADDR = 0xffffffffff600000 };
enum vsyscall_form { VSYSCALL_FAST = 0, VSYSCALL_REVIRTUALISED = 1 };

/* Cookies from here up are the core's own: shared anonymous memory, numbered from 1. */
enum own_cookies { COOKIE_ANONYMOUS = 0x4000000000000000 };
enum mapping_flags {
	MAPPING_MEMORY = 1,    /* tmpfs, shared anonymous: a hole reads as zeroes */
	MAPPING_HUGE = 4,      /* its pages are large: hugetlbfs */
	MAPPING_WRITEBACK = 2, /* dirty pages have a backing store to go to */
	MAPPING_LOCKED = 8,    /* its pages stay: SHM_LOCK */
	MAPPING_RESERVED = 16, /* its size was committed when it was made */
	MAPPING_SECRET = 32,   /* only those who map it see it: memfd_secret */
	MAPPING_GIGANTIC = 64  /* with MAPPING_HUGE: of 1 GiB, and of those there are none */
};
enum file_mode {
	FILE_READ = 1,
	FILE_WRITE = 2,
	FILE_NO_END = 4, /* a device, a pipe: no offset is too far */
	FILE_NO_MMAP = 8,
	FILE_SEALED = 16,
	FILE_ZERO = 32,
	FILE_PAGEWISE = 64, /* a fault maps one page: no fault-around */
	FILE_APART = 128,   /* its VMAs do not join: attachments, which are counted */
	FILE_NO_EXEC = 256, /* of a file system whose files are no programs: /proc, pipes */
	FILE_LATE_ENODEV =
		512, /* with FILE_NO_MMAP: its own mmap says so, when the place is empty */
	FILE_LATE_EIO = 1024
};

/* clang-format on */

/* cachestat(2), pages.  Pages in writeback and shadows of pages that went are not modelled. */
struct cachestat {
	uint64_t nr_cache, nr_dirty, nr_writeback;
	uint64_t nr_evicted; /* of memory files: in swap */
	uint64_t nr_recently_evicted;
};

/* Reads and writes that machine_fail_io() can let fail. */
enum io_kind {
	IO_SWAP_READ = 0,
	IO_SWAP_WRITE = 1,
	IO_WRITEBACK = 2,
	IO_FILE_READ = 3,
	IO_DISK_WRITE = 4,
	NR_IO = 5
};

/* What the last NEED_* or verdict was about. */
struct need {
	mapping *mapping;
	uint64_t cookie; /* of that mapping: Python's inode number */
	uint64_t index;
	uint64_t truncate_count; /* hand back to mapping_add_page() */
	uint64_t nr_pages;
	uint64_t addr;
	uint64_t done;   /* bytes finished before the need arose */
	int64_t stopped; /* why a read or write did not do all it could: a need, or -errno */
	uint64_t access;
	uint64_t uffd;   /* NEED_USER: the context's cookie, */
	uint64_t reason; /* one of VM_UFFD_*, */
	uint64_t unit;   /* and the size of the page in bytes */
	uint64_t nodes;  /* NEED_MEMORY: mask of those that must have some */
};

/* Parameters that sysctls set; Python writes the fields, C obeys them. */
struct tunables {
	uint64_t max_map_count;
	uint64_t mmap_min_addr;
	uint64_t nonlinear_max_pages;
	uint64_t nonlinear_mixing;
	uint64_t nonlinear_emulated;
	uint64_t overcommit_memory;
	uint64_t overcommit_ratio;
	uint64_t overcommit_kbytes;
	uint64_t legacy_va_layout;
	uint64_t swappiness;              /* 0..200: anonymous pages' share of the scan */
	uint64_t page_cluster;            /* a read from swap takes 2^this aligned slots */
	uint64_t watermark_min;           /* pages: below it nothing is allocated */
	uint64_t watermark_low;           /* pages: below it background reclaim is asked for */
	uint64_t watermark_high;          /* pages: where it stops */
	uint64_t disable_cap_mlock;       /* 1: everyone may lock memory */
	uint64_t nr_overcommit_hugepages; /* how large the surplus of large pages may be */
	uint64_t fault_around_bytes;      /* a power of two; of one page: a fault maps one */
	uint64_t fork_file_ptes;          /* 1: fork copies linear file ptes, as until 2.6.13 */
	uint64_t interleave_weights[8];   /* by node: pages in a round of weighted interleaving */
};

/* Memory policies; numbers of Linux's headers. */
enum mpol_mode {
	MPOL_DEFAULT,
	MPOL_PREFERRED,
	MPOL_BIND,
	MPOL_INTERLEAVE,
	MPOL_LOCAL,
	MPOL_PREFERRED_MANY,
	MPOL_WEIGHTED_INTERLEAVE,
	MPOL_MAX
};
enum mpol_mf { MPOL_MF_STRICT = 1, MPOL_MF_MOVE = 2, MPOL_MF_MOVE_ALL = 4 };
enum { NO_NODE = 64 };
struct policy {
	uint64_t mode;       /* enum mpol_mode */
	uint64_t flags;      /* MPOL_F_*: how the nodes were meant */
	uint64_t nodes;      /* mask of those it has */
	uint64_t user_nodes; /* as they were given, if flags say so */
	uint64_t home;       /* of MPOL_BIND and MPOL_PREFERRED_MANY, or NO_NODE */
	uint64_t turn; /* a task's: pages interleaved that have no place in memory of their own */
};

/* A task's limits (bytes; ~0 is infinity) and what it may exceed. */
struct limits {
	uint64_t as;
	uint64_t data;
	uint64_t data_most; /* the hard limit, which counts for mappings where data is 0 */
	uint64_t stack;
	uint64_t memlock;
	uint64_t may_lock;          /* CAP_IPC_LOCK */
	uint64_t may_low;           /* CAP_SYS_RAWIO: below mmap_min_addr */
	uint64_t read_implies_exec; /* personality(2): what can be read can be executed */
	uint64_t kin; /* of those of its threads that may follow each other: struct runner */
};

/* A thread, as who runs in an address space. */
struct runner {
	uint64_t cpu_ns, min_flt, maj_flt; /* what it has used */
	uint64_t kin; /* it may begin a turn in the core while its limits say the same; 0: never */
	uint64_t queued;        /* 1: it can run, and waits for its turn */
	uint64_t asleep;        /* the word on which it sleeps in the core, 0: on none */
	uint64_t bits, call[7]; /* of FUTEX_WAIT_BITSET; the call it sleeps in: number, arguments */
	uint64_t woken;         /* 1: which has still to return 0 */
};

/*
 * What the files of one tmpfs may hold together, in pages; of one hugetlbfs, in large pages, what
 * is taken or promised.  Of these the pool keeps it min: quota_keep(), until quota_forget().
 */
struct quota {
	uint64_t used, max, min;
	struct quota *next; /* of those for which the pool keeps pages */
};

struct layout {
	uint64_t task_size;
	uint64_t mmap_base;
	uint64_t start_brk;
	uint64_t stack_top;
};

struct machine_params {
	uint64_t nr_pages; /* of RAM, at least 16 */
	uint64_t rmap;     /* enum rmap_design */
	uint64_t nrpte;    /* ptes in a chain block, 1..31 */
	uint64_t poison;   /* 1: freed pages are filled and checked */
	uint64_t features; /* enum cpu_features: what the processor has beyond the common ones */
	uint64_t nr_nodes; /* of memory, 0 or 1: one */
};
enum { MAX_NODES = 8 };

/* Of a swap entry's 32 bits those that say which area; the others are its slot. */
enum { SWAP_TYPE_BITS = 5 };
enum cpu_features { CPU_PKU = 1 };

/* The kernel's data page, read by the fast vsyscalls: one load sees one time. */
struct vsyscall_data {
	uint64_t realtime_ns; /* since 1970 */
	uint64_t cpu, node;
};

/* Machine-wide counters; the checker recounts the nr_* ones. */
struct counters {
	uint64_t nr_total, nr_free;
	uint64_t nr_anon, nr_mapped, nr_file, nr_shmem, nr_dirty;
	uint64_t nr_pagetable, nr_slab, nr_special, nr_mlock;
	uint64_t nr_chain_blocks, nr_vmas, nr_committed;
	uint64_t nr_inactive_anon, nr_active_anon, nr_inactive_file, nr_active_file;
	uint64_t nr_unevictable, nr_swapcached, nr_swap_total, nr_swap_used;
	uint64_t nr_huge, nr_huge_surplus;       /* large pages: the pool's own, and beyond them */
	uint64_t nr_huge_free, nr_huge_reserved; /* those no one has, and of them promised */
	uint64_t pgfault, pgmajfault, pgalloc, pgfree, cow, zeropage;
	uint64_t tlb_flush, truncations, remaps;
	uint64_t most_vmas;        /* that one address space had at once, since boot */
	uint64_t vsyscall_selects; /* times the code page was changed for its other form */
	uint64_t rmap_walks, rmap_vma_visits, rmap_pte_visits, rmap_block_touches;
	uint64_t rmap_bytes, rmap_bytes_peak; /* what only the reverse map needs */
	uint64_t pgscan_kswapd, pgscan_direct, pgsteal_kswapd, pgsteal_direct;
	uint64_t pgactivate, pgdeactivate, pgrefill, pgrotated, pglazyfree, pglazyfreed;
	uint64_t unevictable_pgs_culled, unevictable_pgs_rescued;
	uint64_t pswpin, pswpout, swap_read_errors, swap_write_errors;
	uint64_t swap_ra, swap_ra_hit;   /* pages read ahead; those that were asked for later */
	uint64_t scan_ptes, scan_rounds; /* the virtual scan's */
	uint64_t allocations;            /* through the one door failures are injected at */
	uint64_t pgmigrate_success, pgmigrate_fail;
	uint64_t cow_ksm, ksm_swpin_copy;
};

struct mm_counters {
	uint64_t rss_anon, rss_file, rss_shmem, hiwater_rss;
	uint64_t nr_special; /* ptes of special VMAs */
	uint64_t nr_swap;    /* ptes that hold a swap entry */
	uint64_t nr_hugetlb; /* entries that map a large page */
	uint64_t nr_pagetable;
	uint64_t total_vm, hiwater_vm, locked_vm, data_vm, exec_vm, stack_vm;
	uint64_t map_count;
	uint64_t start_brk, brk, start_stack, mmap_base, task_size;
	uint64_t def_flags;
	uint64_t min_flt, maj_flt;
	uint64_t tlb_generation; /* moves at every downgrade of a pte */
};

struct vma_info {
	uint64_t start, end, flags, pgoff;
	uint64_t file;      /* cookie of the open file, 0 if none */
	uint64_t mapping;   /* cookie of the inode, 0 if none */
	uint64_t own;       /* 1: it has, or had, private pages: Linux's anon_vma */
	uint64_t name;      /* of anonymous memory: what mm_name() set */
	uint64_t page_size; /* bytes */
};

struct smaps_info { /* pages, pss in 1/4096 pages */
	uint64_t rss, pss, pss_dirty, pss_anon, pss_file, pss_shmem;
	uint64_t shared_clean, shared_dirty, private_clean, private_dirty;
	uint64_t shared_hugetlb, private_hugetlb;
	uint64_t referenced, anonymous, ksm, lazyfree, swap, swap_pss, locked;
};

struct numa_info { /* pages of one VMA, for numa_maps; large ones count once */
	uint64_t pages, anon, dirty, swapcache, active;
	uint64_t mapmax;   /* the largest number of ptes of one page */
	uint64_t nodes[8]; /* pages on each node */
};

struct page_info {
	uint64_t flags; /* enum page_flags */
	uint64_t refcount, mapcount, pins, index, mapping;
};
/* clang-format off */
enum page_flags { PG_FREE = 1, PG_ANON = 2, PG_CACHE = 4, PG_DIRTY = 8,
	PG_REFERENCED = 16, PG_TABLE = 32, PG_SLAB = 64, PG_DIRECT = 128,
	PG_RESERVED = 256, PG_ACTIVE = 512, PG_SHMEM = 1024, PG_UPTODATE = 2048,
	PG_LRU = 4096, PG_UNEVICTABLE = 8192, PG_SWAPCACHE = 16384, PG_LAZYFREE = 32768,
	PG_HUGE = 65536, PG_TAIL = 131072,
	PG_EXECUTED = 1 << 20, /* translated code was made of it */
	PG_FORKED = 1 << 21, /* anonymous: fork has shared it, no store has made it one's own since */
	PG_DROPPABLE = 1 << 22, /* PG_LAZYFREE for ever, dirty or not */
	PG_ZERO = 1 << 30, /* in page_info only: what reads of untouched memory share */
	PG_KSM = 1 << 23 /* anonymous, shared by all that had its content; never written */ };
/* clang-format on */

/* ---- machine (page.c, check.c) ---- */
machine *machine_create(const struct machine_params *params);
int64_t machine_destroy(machine *m); /* objects leaked: 0 */
struct need *machine_need(machine *m);
struct tunables *machine_tunables(machine *m);
struct counters *machine_counters(machine *m);
void machine_fail_nth(machine *m, uint64_t n);         /* 0: never; 1: the next */
int64_t machine_fail_pending(machine *m);              /* allocations until it; 0: off */
int64_t machine_fail_task_nth(machine *m, uint64_t n); /* of who runs; left of the one before */
int64_t machine_fail_task_pending(machine *m);
int64_t machine_check(machine *m, char *report, uint64_t size); /* faults found */
void machine_fail_io(machine *m, uint64_t kind, uint64_t n);    /* enum io_kind; as fail_nth */
int64_t machine_io_pending(machine *m, uint64_t kind);          /* those until it; 0: off */
int64_t machine_io(machine *m, uint64_t kind);         /* one is about to be done: 0, or -EIO */
int64_t machine_set_rmap(machine *m, uint64_t design); /* enum rmap_design; -EBUSY */
int64_t machine_refusal(machine *m);          /* after a NULL: NEED_MEMORY, or -ENOMEM (injected) */
const char *machine_disagreement(machine *m); /* between reverse maps; "": none */
int64_t machine_files(machine *m, uint64_t *cookies, uint64_t max);
int64_t machine_page_info(machine *m, uint64_t pfn, struct page_info *out);
struct slab_info { /* one cache of the core's own objects */
	const char *name;
	uint64_t size, objects, live, pages; /* bytes of one; that there is room for; in use */
};
enum free_orders { NR_ORDERS = 11 };
/* [NR_ORDERS]: aligned, of 2^i pages of one node */
void machine_free_blocks(machine *m, uint64_t nid, uint64_t *counts);
struct numa_stat {               /* pages that were allocated */
	uint64_t hit;            /* here, as was wished */
	uint64_t miss, foreign;  /* here, though wished elsewhere; elsewhere, though wished here */
	uint64_t interleave_hit; /* here, as an interleaving policy wished */
	uint64_t local, other;   /* here, by a processor that is near, or not */
};
struct node_info {
	uint64_t first, nr_total, nr_free; /* first: pfn */
	uint64_t watermark_min, watermark_low, watermark_high;
	uint64_t nr_inactive_anon, nr_active_anon, nr_inactive_file, nr_active_file;
	uint64_t nr_unevictable, nr_anon, nr_mapped, nr_file, nr_shmem, nr_dirty, nr_pagetable;
	uint64_t nr_slab, nr_special, nr_swapcached, nr_huge, nr_huge_free;
	struct numa_stat stat;
};
int64_t machine_node(machine *m, uint64_t nid, struct node_info *out); /* 0, -EINVAL */
int64_t machine_slab(machine *m, uint64_t nth, struct slab_info *out); /* 0, -ENOENT: no more */
void *machine_arena(machine *m);
uint64_t machine_arena_bytes(machine *m);

/* ---- events (events.c): what the core does, as it does it ---- */
/* clang-format off */
enum event_kind { /* and what a record's words are */
	EVENT_EXCEPTION,       /* address, ip, error code, 1: the program's own instruction */
	EVENT_FAULT,           /* address, access | enum fault_case << 32, pte before and after, outcome */
	EVENT_PAGE_ALLOC,      /* pfn, enum page_flags, order */
	EVENT_PAGE_FREE,       /* the same */
	EVENT_GAP,             /* address or -errno, pages mapped before, 1: downwards, length, limit */
	EVENT_VMA_STORE,       /* start, end, flags, pgoff, file's cookie */
	EVENT_EXIT_MMAP,       /* pages mapped, VMAs, bytes from the arena's start to the tables */
	EVENT_MAP,             /* start, end, flags, pgoff, mapping's cookie */
	EVENT_UNMAP,           /* start, end */
	EVENT_MREMAP,          /* address, length, new length, flags, new address or -errno */
	EVENT_REMAP_PAGES,     /* start, end, pgoff, enum remap_form, 0 or -errno */
	EVENT_PROTECT,         /* start, end, flags before, after */
	EVENT_VMA_SPLIT,       /* start, end, where */
	EVENT_VMA_MERGE,       /* start, end, where they met */
	EVENT_COW,             /* address, pfn before, pfn of the copy */
	EVENT_RMAP_WALK,       /* pfn, mapcount, VMAs visited, ptes visited, chain blocks touched */
	EVENT_RECLAIM_PASS,    /* wanted, priority, scanned, freed, 1: direct */
	EVENT_SHRINK_INACTIVE, /* list, scanned, reclaimed, activated | kept << 32, priority */
	EVENT_SHRINK_ACTIVE,   /* list, taken, deactivated, referenced, priority */
	EVENT_RECLAIM_PAGE,    /* pfn, list, enum reclaim_why, mapcount before, page flags before */
	EVENT_SWAP_IN,         /* entry, pfn, 0 or -errno */
	EVENT_SWAP_OUT,        /* the same */
	EVENT_CACHE_ADD,       /* pfn, mapping's cookie, index */
	EVENT_CACHE_DELETE,    /* the same */
	EVENT_DIRTY,           /* the same */
	EVENT_WRITEBACK,       /* the same */
	EVENT_TRUNCATE,        /* mapping's cookie, enum truncate_step, first, last index, size in bytes */
	EVENT_TLB_FLUSH,       /* address, pages (~0: all), enum tlb_flush_reason */
	/* An item and an address space of KSM's: bytes from the arena's start, the latter's tables. */
	EVENT_KSM_START,       /* rounds before, items */
	EVENT_KSM_STOP,        /* the same */
	EVENT_KSM_ENTER,       /* address space */
	EVENT_KSM_EXIT,        /* the same */
	EVENT_KSM_MERGE,       /* shared pfn (0: a new one), pfn, item, address space, 0 or -errno */
	EVENT_KSM_MERGE_ZERO,  /* pfn, item, address space, 0 or -errno */
	EVENT_KSM_REMOVE_ITEM, /* pfn, item, address space */
	EVENT_KSM_REMOVE_PAGE, /* pfn */
	NR_EVENTS,
	EVENT_OTHER = 64       /* Python's own */
};
/* The rows of the table in fault.c. */
enum fault_case {
	FAULT_NO_VMA, FAULT_SPECIAL_HOLE, FAULT_SPECIAL, FAULT_LARGE, FAULT_GUARD, FAULT_POISON,
	FAULT_ZERO, FAULT_ANON, FAULT_FILE_READ, FAULT_FILE_COPY, FAULT_FILE_WRITE,
	FAULT_FILE_PTE, FAULT_SWAP, FAULT_COW, FAULT_MAKE_WRITABLE, FAULT_PRESENT
};
enum remap_form { REMAP_SPECIAL, REMAP_MIXED, REMAP_EMULATED };
enum truncate_step {
	TRUNCATE_SIZE, TRUNCATE_UNMAP, TRUNCATE_DROP, TRUNCATE_UNMAP_AGAIN, TRUNCATE_ZERO_TAIL
};
/* Why a page that reclaim looked at goes, or stays; and where it stays. */
enum reclaim_why {
	WHY_FREED,
	WHY_HELD, WHY_ELSEWHERE, WHY_NO_RMAP, WHY_MAPPED, WHY_DIRTY,         /* kept */
	WHY_REFERENCED, WHY_NO_SWAP, WHY_DIRTY_LAZY, WHY_CLOSING, WHY_NOT_WRITTEN, /* activated */
	WHY_LOCKED, WHY_VMA_LOCKED,                                          /* unevictable */
	NR_WHYS,
	FIRST_WHY_ACTIVATED = WHY_REFERENCED, FIRST_WHY_CULLED = WHY_LOCKED
};
/* Linux's numbers. */
enum tlb_flush_reason { FLUSH_LOCAL_SHOOTDOWN = 2, FLUSH_LOCAL_MM_SHOOTDOWN = 3 };
/* clang-format on */
struct event {            /* 64 bytes */
	uint64_t seq;     /* of all that were to be recorded: a gap is what was lost */
	uint64_t time_ns; /* since 1970, virtual */
	uint32_t kind, pid;
	uint64_t words[5];
};
struct event_ring {     /* live */
	uint64_t kinds; /* Python's to set: a bit for each kind that is recorded */
	uint64_t pid;   /* Python's to set: who runs */
	uint64_t stops; /* Python's to set: a bit for each kind behind which machine code stops */
	uint64_t stopping; /* it is to, once the fault is done */
	uint64_t seq;      /* the next record's */
	uint64_t lost;     /* so far: there was no room */
	uint64_t nr_records, first, nr_waiting;
	uint64_t ip, ahead_ns; /* of the instruction that faults; blocks not on the clock yet */
	struct event *records;
};
/* nr_records: a power of two.  0, -EINVAL, -EBUSY (it is on), -ENOMEM. */
int64_t machine_events_on(machine *m, uint64_t nr_records);
void machine_events_off(machine *m);
struct event_ring *machine_events(machine *m);                            /* NULL: off */
int64_t machine_events_take(machine *m, struct event *out, uint64_t max); /* how many */
/* Room for one of Python's own, which keeps what it says: its seq, or -1 (lost, or off). */
int64_t machine_event(machine *m, uint64_t pid);

/* ---- memory pressure (reclaim.c, swap.c) ---- */
struct reclaim_write { /* a dirty page that Python is to write */
	uint64_t cookie, index;
};
struct reclaim {
	uint64_t nr_to_free, priority; /* in: scan 1/2^priority of each list */
	uint64_t nodes;                /* in: mask, 0 for all; pages of others stay */
	uint64_t nr_freed, nr_scanned, nr_mapped, nr_writes;
	uint64_t nr_unmapped; /* ptes, by the virtual scan: progress, though no page is free yet */
	struct reclaim_write writes[32];
};
int64_t machine_reclaim(machine *m, struct reclaim *r); /* pages freed, or KERNEL_BUG */
void machine_balanced(machine *m);                      /* background reclaim did what it can */
int64_t machine_set_hugepages(machine *m, uint64_t nr); /* the pool's own, now */
int64_t machine_drop_caches(machine *m);                /* clean unmapped file pages; how many */
int64_t mapping_invalidate(mapping *mp, uint64_t first, uint64_t last); /* the same of one file */
int64_t swap_on(machine *m, int fd, uint64_t nr_slots, int64_t prio);   /* area, or -errno */
int64_t swap_off(machine *m, uint64_t area);       /* brings everything back first */
void swap_off_cancel(machine *m, uint64_t area);   /* after NEED_MEMORY that cannot be met */
int64_t swap_area_used(machine *m, uint64_t area); /* slots */
/* ---- the page of vsyscalls (vsyscall.c) ---- */
int64_t machine_load_vsyscalls(machine *m, const void *fast, const void *revirtualised);
struct vsyscall_data *machine_vsyscall_data(machine *m);
int64_t machine_select_vsyscalls(machine *m, uint64_t form,
				 mm *next); /* 1: changed, and next is told */

/* ---- mapping: an inode's pages (mapping.c) ---- */
mapping *mapping_create(machine *m, uint64_t flags, uint64_t cookie); /* NULL: no memory */
void mapping_put(mapping *mp);
void mapping_lock(mapping *mp);   /* its pages are not reclaimed from now on */
void mapping_unlock(mapping *mp); /* they are, unless a VMA locks them */
void mapping_set_quota(mapping *mp, struct quota *quota); /* Python's; outlives mp */
int64_t mapping_size(mapping *mp);
int64_t mapping_reserve(mapping *mp, uint64_t nr_pages); /* commit to all of it: or -ENOMEM */
int64_t mapping_take_stored(mapping *mp); /* ns since 1970 of the last store fault not yet told */
int64_t mapping_nr_pages(mapping *mp);
int64_t mapping_nr_swapped(mapping *mp);
int64_t mapping_nr_writable(mapping *mp); /* shared mappings that may write */
int64_t mapping_nr_vmas(mapping *mp);
int64_t mapping_nr_pinned(mapping *mp); /* pages that special VMAs show */
int64_t mapping_nr_unevictable(mapping *mp);
/* These four do what they can before a need arises: bytes done, perhaps fewer than asked. */
int64_t mapping_read(mapping *mp, uint64_t pos, void *buf, uint64_t nbytes);
int64_t mapping_peek(mapping *mp, uint64_t pos, void *buf, uint64_t nbytes); /* no one's read */
int64_t mapping_write(mapping *mp, uint64_t pos, const void *buf, uint64_t nbytes);
int64_t mapping_allocate(mapping *mp, uint64_t pos, uint64_t nbytes); /* fallocate's pages */
int64_t mapping_promise(mapping *mp); /* large pages for all of it; -ENOMEM: not that many */
int64_t quota_keep(machine *m, struct quota *quota, uint64_t min); /* or -ENOMEM; used is 0 */
void quota_forget(machine *m, struct quota *quota);
int64_t mapping_add_page(mapping *mp, uint64_t index, const void *data, uint64_t nbytes,
			 uint64_t truncate_count); /* 0, or -EAGAIN: truncated meanwhile */
int64_t mapping_truncate(mapping *mp, uint64_t size);
int64_t mapping_extend(mapping *mp, uint64_t size); /* backing store's size, no page touched */
int64_t mapping_punch(mapping *mp, uint64_t start, uint64_t end);
void mapping_harvest(mapping *mp, uint64_t first, uint64_t last); /* ptes' dirty bits to pages */
int64_t mapping_dirty(mapping *mp, uint64_t first, uint64_t last, uint64_t *indexes,
		      uint64_t max); /* now clean: write them */
void mapping_cachestat(mapping *mp, uint64_t first, uint64_t last, struct cachestat *out);
int64_t mapping_next_data(mapping *mp, uint64_t index); /* first cached index >= index, or -ENXIO */

/* ---- open files (mapping.c) ---- */
file *file_create(mapping *mp, uint64_t mode, uint64_t cookie);
uint64_t file_put(file *f);  /* returns how many VMAs still show it */
void file_tell_end(file *f); /* only VMAs show it: machine_take_ended() is to tell of it */
/* The cookie of the one that ended last, of those that are not told of yet; 0: none. */
uint64_t machine_take_ended(machine *m);
void file_set_mode(file *f, uint64_t mode);

/* ---- address spaces (mm.c, vma.c, nonlinear.c) ---- */
int64_t mm_create(machine *m, const struct layout *layout, const struct limits *limits, mm **out);
/* Who runs in it now: with these limits, and faults count for runner. */
void mm_set_limits(mm *mm, const struct limits *limits);
void mm_set_runner(mm *mm, struct runner *runner);
int64_t mm_fork(mm *parent, const struct limits *limits, mm **out);
void mm_destroy(mm *mm);
void mm_place_upwards(mm *mm); /* mappings go from a third of user space up, as in old days */
/* Mappings go below 4 GiB, from base down, until base is 0: as long as a call of the i386 table takes. */
void mm_place_low(mm *mm, uint64_t base);
/* Where a program says that its heap and its stack are; nothing is mapped. */
void mm_place_heap(mm *mm, uint64_t start_brk, uint64_t brk, uint64_t start_stack);
struct mm_counters *mm_counters(mm *mm);
int64_t mm_mmap(mm *mm, uint64_t addr, uint64_t len, uint64_t prot, uint64_t flags, file *f,
		uint64_t pgoff);
int64_t mm_munmap(mm *mm, uint64_t addr, uint64_t len); /* 1: machine_take_ended() has some */
/* pkey: the protection key that the range gets, or -1: as the protection says. */
int64_t mm_mprotect(mm *mm, uint64_t addr, uint64_t len, uint64_t prot, int64_t pkey);
int64_t mm_pkey_alloc(mm *mm, uint64_t rights); /* a key, or -ENOSPC */
int64_t mm_pkey_free(mm *mm, int64_t key);
uint64_t mm_pkru(mm *mm); /* the register of the thread that runs in it */
void mm_set_pkru(mm *mm, uint64_t pkru);
int64_t mm_mremap(mm *mm, uint64_t addr, uint64_t old_len, uint64_t new_len, uint64_t flags,
		  uint64_t new_addr);
int64_t mm_brk(mm *mm, uint64_t addr);
/* Whether memory may become executable: enum mdwe. */
uint64_t mm_mdwe(mm *mm);
void mm_set_mdwe(mm *mm, uint64_t bits);
/* 0; POPULATE_* and WILLNEED: or the bytes done when a need arose, to go on behind them. */
int64_t mm_mseal(mm *mm, uint64_t addr, uint64_t len, uint64_t flags);
int64_t mm_madvise(mm *mm, uint64_t addr, uint64_t len, uint64_t advice);
/* Only anonymous memory has names: -EBADF; a hole is passed over: -ENOMEM in the end. */
int64_t mm_name(mm *mm, uint64_t addr, uint64_t len, uint64_t name);
int64_t machine_names(machine *m, uint64_t *names, uint64_t max); /* of each VMA that has one */
int64_t mm_mlock(mm *mm, uint64_t addr, uint64_t len, uint64_t flags);
int64_t mm_munlock(mm *mm, uint64_t addr, uint64_t len);
int64_t mm_mlockall(mm *mm, uint64_t flags);
int64_t mm_munlockall(mm *mm);
int64_t mm_msync_check(mm *mm, uint64_t addr, uint64_t len, uint64_t flags);
int64_t mm_mincore(mm *mm, uint64_t addr, uint64_t len, uint8_t *vec);
int64_t mm_remap_file_pages(mm *mm, uint64_t addr, uint64_t size, uint64_t prot, uint64_t pgoff,
			    uint64_t flags, file *f);
/* The same where the gate is closed: ordinary mappings are split, as by Linux since 4.0. */
int64_t mm_remap_behind_gate(mm *mm, uint64_t addr, uint64_t size, uint64_t prot, uint64_t pgoff,
			     uint64_t flags, file *f);
/* Faults a range in, as mmap and mlock do: bytes done, fewer if a need arose or it was long. */
int64_t mm_populate(mm *mm, uint64_t addr, uint64_t len);
int64_t mm_fault(mm *mm, uint64_t addr, uint64_t access);
void mm_count_major(mm *mm);  /* the fault that is about to end had to read */
void mm_count_served(mm *mm); /* a fault that its monitor has made needless */
int64_t mm_vmas(mm *mm, uint64_t from, struct vma_info *out, uint64_t max);
int64_t mm_smaps(mm *mm, uint64_t addr, struct smaps_info *out);
int64_t mm_numa(mm *mm, uint64_t addr, struct numa_info *out); /* 0, or -EFAULT */
enum ref_kinds { REFS_ANONYMOUS = 1, REFS_OF_FILES = 2 };
void mm_clear_refs(mm *mm, uint64_t kinds); /* pages of such VMAs count as not referenced */
void mm_reset_peak(mm *mm);                 /* hiwater_rss becomes what there is now */
int64_t mm_pagemap(mm *mm, uint64_t vpn, uint64_t nr, uint64_t *out); /* pagemap's 64-bit words */
int64_t mm_walk(mm *mm, uint64_t addr, uint64_t *entries);            /* 4 levels; depth reached */

/* ---- memory policy (policy.c, migrate.c) ---- */
struct policy *mm_policy(mm *mm); /* the task's, live; inherited by fork */
void machine_act_for(machine *m,
		     mm *mm); /* the policy of its task holds for files' new pages; or NULL */
int64_t mapping_follow(mapping *mp, const struct policy *value);  /* all pages of a memory file */
int64_t mm_vma_policy(mm *mm, uint64_t addr, struct policy *out); /* 1; 0: none; -EFAULT */
int64_t mm_mbind(mm *mm, uint64_t start, uint64_t end, const struct policy *value, uint64_t flags);
int64_t mm_set_home_node(mm *mm, uint64_t start, uint64_t end, uint64_t home);
/* status: node or -errno.  How many were tried: at the next one there was no memory. */
int64_t mm_move_pages(mm *mm, uint64_t nr, const uint64_t *addrs, const int32_t *nodes,
		      int32_t *status, uint64_t flags);
void mm_note_used(mm *mm, uint64_t addr);
uint64_t mm_next_node(mm *mm); /* of the task's interleaving policy: that of the next such page */
void mm_pages_nodes(mm *mm, uint64_t nr, const uint64_t *addrs, int32_t *status);
int64_t mm_migrate_pages(mm *mm, uint64_t from, uint64_t to, uint64_t flags); /* pages that stay */

/* ---- pages that pipes refer to (hold.c) ---- */
/* A frame that stays until page_release(); -ENOENT: none is there; -EBUSY: one that cannot. */
int64_t mapping_hold(mapping *mp, uint64_t index);
int64_t mapping_index(mapping *mp, uint64_t pfn); /* of a held page in a file, or -ENOENT */
int64_t mm_hold(mm *mm, uint64_t addr);
int64_t page_hold(machine *m, uint64_t pfn); /* one more, of a held one */
void page_release(machine *m, uint64_t pfn);
const void *page_content(machine *m, uint64_t pfn); /* 4096 bytes */

/* ---- merging pages of equal content (ksm.c) ---- */
struct ksm { /* live; the first four are Python's to set */
	uint64_t use_zero_pages, max_page_sharing, merge_across_nodes, smart_scan;
	uint64_t pages_shared, pages_sharing; /* nodes; addresses beyond each one's first */
	uint64_t pages_unshared, rmap_items, pages_scanned, pages_skipped, full_scans;
	uint64_t zero_pages, stable_node_chains, stable_node_dups;
};
struct mm_ksm {
	uint64_t rmap_items, zero_pages, merging_pages, merge_any, mergeable;
};
struct ksm *machine_ksm(machine *m);
/* Pages looked at; fewer: a round is over, or there is none to look at. */
int64_t machine_ksm_scan(machine *m, uint64_t nr_pages);
int64_t machine_ksm_unmerge(machine *m); /* everything; NEED_MEMORY: go on */
void mm_ksm(mm *mm, struct mm_ksm *out);
void mm_ksm_enable(mm *mm); /* all of it, and what will come */
int64_t mm_ksm_disable(mm *mm);

/* ---- userfaultfd (userfaultfd.c) ---- */
enum uffd_features { /* those of Linux that the core obeys */
		     UFFD_FEATURE_EVENT_FORK = 0x2,
		     UFFD_FEATURE_EVENT_REMAP = 0x4,
		     UFFD_FEATURE_EVENT_UNMAP = 0x40,
		     UFFD_FEATURE_SIGBUS = 0x80,
		     UFFD_FEATURE_WP_UNPOPULATED = 0x2000,
		     UFFD_FEATURE_WP_ASYNC = 0x8000
};
enum uffd_fill { UFFD_COPY, UFFD_ZEROPAGE, UFFD_CONTINUE, UFFD_POISON };
enum uffd_fill_mode { UFFD_FILL_WP = 2 };
enum uffd_move_mode { UFFD_MOVE_ALLOW_SRC_HOLES = 2 };
int64_t uffd_create(machine *m, uint64_t cookie, uint64_t features, uffd **out);
void uffd_free(uffd *u); /* no VMA has it any more */
uint64_t uffd_features(uffd *u);
void uffd_set_features(uffd *u, uint64_t features);
void uffd_set_heir(uffd *u, uffd *heir); /* whom the next fork's child gets; NULL: no one */
uint64_t uffd_nr_vmas(uffd *u);
/* 1: the range meets large pages; 0: it does not. */
int64_t mm_uffd_register(mm *mm, uffd *u, uint64_t addr, uint64_t len, uint64_t modes);
int64_t mm_uffd_unregister(mm *mm, uffd *u, uint64_t addr, uint64_t len);
void mm_uffd_release(mm *mm, uffd *u); /* of all that it has there */
/* Cookies of contexts in a range, each once; how many. */
int64_t mm_uffd_find(mm *mm, uint64_t start, uint64_t end, uint64_t *cookies, uint64_t max);
void machine_uffd_noted(machine *m); /* the munmap or mmap that comes need not ask (NEED_EVENT) */
/* Bytes done, perhaps fewer than asked; data: nbytes, UFFD_COPY only, NULL: look only. */
int64_t mm_uffd_fill(mm *mm, uint64_t kind, uint64_t addr, uint64_t len, uint64_t mode,
		     const void *data);
int64_t mm_uffd_move(mm *mm, uffd *u, uint64_t dst, uint64_t src, uint64_t len, uint64_t mode);
int64_t mm_uffd_protect(mm *mm, uint64_t addr, uint64_t len);
int64_t mm_uffd_unprotect(mm *mm, uint64_t addr, uint64_t len);

/* ---- PAGEMAP_SCAN (pagescan.c) ---- */
enum pm_scan_flags { PM_SCAN_WP_MATCHING = 1, PM_SCAN_CHECK_WPASYNC = 2 };
enum page_categories {
	PAGE_IS_WPALLOWED = 1,
	PAGE_IS_WRITTEN = 2,
	PAGE_IS_FILE = 4,
	PAGE_IS_PRESENT = 8,
	PAGE_IS_SWAPPED = 16,
	PAGE_IS_PFNZERO = 32,
	PAGE_IS_HUGE = 64,
	PAGE_IS_SOFT_DIRTY = 128, /* of no page: not modelled, as without CONFIG_MEM_SOFT_DIRTY */
	PAGE_IS_GUARD = 256
};
struct pm_region {
	uint64_t start, end, categories;
};
enum { PM_REGIONS = 512 };
struct pm_scan {
	uint64_t start, end, flags;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
	uint64_t max_pages, found_pages;
	uint64_t max_regions, nr_regions; /* 0: nothing is put out */
	uint64_t walk_end;                /* where it stopped */
	uint64_t vma_categories, stopped; /* its own */
	struct pm_region regions[PM_REGIONS];
};
int64_t mm_pagemap_scan(mm *mm, struct pm_scan *s); /* 1: stopped before the end */

/*
 * ---- looking without leaving a trace (glimpse.c) ----
 * Bytes read, up to the first that is not in memory or in swap, or not there at all.
 */
int64_t mapping_glimpse(mapping *mp, uint64_t pos, void *buf, uint64_t nbytes);
int64_t mm_glimpse(mm *mm, uint64_t addr, void *buf, uint64_t nbytes);

/* ---- user memory (access.c) ---- */
int64_t user_read(mm *mm, uint64_t addr, void *buf, uint64_t nbytes);
int64_t user_write(mm *mm, uint64_t addr, const void *buf, uint64_t nbytes);
/* Past the protection of memory that is the task's own: breakpoints go into a private copy. */
int64_t forced_read(mm *mm, uint64_t addr, void *buf, uint64_t nbytes);
int64_t forced_write(mm *mm, uint64_t addr, const void *buf, uint64_t nbytes);
/*
 * For a core file: up to nr pages from addr, which is aligned.  there[i] is 0 where page i is left
 * out: untouched memory of no file, and what cannot be read.  Pages done, or the first one's need.
 */
int64_t mm_dump(mm *mm, uint64_t addr, void *buf, uint64_t nr, uint8_t *there);
/* 0, an error, or a need. */
int64_t mm_pin(mm *mm, uint64_t addr, uint64_t nbytes, uint64_t access);
/* The first address in the range that only mm itself may see; 0: there is none. */
int64_t mm_has_secret(mm *mm, uint64_t addr, uint64_t len);
int64_t user_string(mm *mm, uint64_t addr, char *buf, uint64_t max); /* strlen, or -ENAMETOOLONG */
int64_t user_touch(mm *mm, uint64_t addr, uint64_t len,
		   uint64_t access);          /* one access a page; pages done */
int64_t mm_is_present(mm *mm, uint64_t addr); /* 1: a user page is there, whatever it allows */
int64_t mm_translate(mm *mm, uint64_t addr,
		     uint64_t access); /* arena offset, or -EFAULT: takes no fault */

/*
 * ---- questions (inspect.c): what is read moves nothing, not even a counter ----
 *
 * An address space is named by the page frame of its pgd.  Lists are written as far as there is
 * room; what comes back is how long they are.
 */
enum lru_list {
	LRU_INACTIVE_ANON,
	LRU_ACTIVE_ANON,
	LRU_INACTIVE_FILE,
	LRU_ACTIVE_FILE,
	LRU_UNEVICTABLE,
	NR_LRU_LISTS
};
/*
 * One page frame.  owner: of a cached page its mapping's cookie, of a table the pgd, of slab the
 * cache's place, of an anonymous page its anon_vma, as of vma_row.  index: in the file; of an
 * anonymous page its pgoff, of a table its first address.
 */
struct frame_info {
	uint64_t owner, index;
	uint32_t flags; /* enum page_flags */
	uint32_t refcount, mapcount, pins;
	uint32_t used;   /* of a table: entries; of slab: objects; of others: holds by pipes */
	uint32_t entry;  /* PG_SWAPCACHE: where its copy lies */
	uint32_t blocks; /* of its pte chain; PG_DIRECT has none */
	uint32_t node;
};
struct mapper { /* an entry that maps a page */
	uint64_t pgd, addr, pte;
	uint64_t vma; /* where its VMA starts */
};
struct rmap_work { /* what a design has looked at to find them */
	uint64_t vma_visits, pte_visits, block_touches;
};
enum entry_kind {
	ENTRY_NOTHING,
	ENTRY_TABLE,
	ENTRY_PAGE,
	ENTRY_LARGE_PAGE,
	ENTRY_ZERO_PAGE,
	ENTRY_SWAP,
	ENTRY_FILE,
	ENTRY_MARKER,
	ENTRY_PROMISE /* of a large page */
};
enum entry_notes { ENTRY_READONLY = 1, ENTRY_UFFD_WP = 2, ENTRY_PROMISED = 4 };
struct entry_info { /* what an entry of a page table says, beyond the processor's bits */
	uint64_t kind;
	uint64_t number; /* page frame; page of the file; swap entry; kind of marker */
	uint64_t notes;  /* the kernel's own bits: enum entry_notes */
};
struct pte_info {
	uint64_t addr, pte;
	uint64_t nr_pages; /* 1, or 512: an entry of the third level */
};
struct tlb_info {
	uint64_t addr, pfn, rights; /* PROT_* */
};
struct item_info { /* one place of a mapping */
	uint64_t index;
	uint64_t pfn;   /* 0: no page */
	uint64_t entry; /* in swap, 0: it is not */
};
struct showing { /* a VMA that shows a mapping */
	uint64_t pgd, start, end, pgoff, flags;
	uint64_t cursor; /* nonlinear: the next address to be unmapped */
};
struct swap_info {
	uint64_t nr_slots, nr_used, next,
		closing; /* nr_slots 0: no such area; slot 0: the header */
	int64_t prio;
};
struct swap_slot {
	uint32_t count;  /* ptes and places of files that name it */
	uint32_t cached; /* page frame with the same content, 0: none */
};
struct cursors {                      /* where scans go on; pgd 0: from the first address space */
	uint64_t scan_pgd, scan_addr; /* the virtual scan */
	uint64_t ksm_pgd, ksm_addr;
};
int64_t machine_frames(machine *m, uint64_t first, uint64_t nr, struct frame_info *out);
uint64_t machine_frames_end(machine *m); /* no frame from here on was ever in use */
/* -EINVAL: no such page, no design of its own; -ENODATA: this machine keeps nothing for it. */
int64_t machine_mappers(machine *m, uint64_t pfn, uint64_t design, struct mapper *out, uint64_t max,
			struct rmap_work *work);
/* Entries of special VMAs, which no design knows. */
int64_t machine_pinners(machine *m, uint64_t pfn, struct mapper *out, uint64_t max);
int64_t machine_lru(machine *m, uint64_t list, uint64_t *pfns, uint64_t max); /* youngest first */
void machine_swap_info(machine *m, uint64_t area, struct swap_info *out);
int64_t machine_swap_slots(machine *m, uint64_t area, struct swap_slot *out, uint64_t max);
void machine_cursors(machine *m, struct cursors *out);
mapping *machine_mapping(machine *m, uint64_t cookie); /* NULL: there is none */
int64_t mapping_items(mapping *mp, uint64_t from, struct item_info *out, uint64_t max);
int64_t mapping_showings(mapping *mp, struct showing *out, uint64_t max);
uint64_t mm_pgd(mm *mm);
void machine_entry(machine *m, uint64_t entry, uint64_t level, struct entry_info *out); /* 0: pte */
int64_t mm_tlb(mm *mm, struct tlb_info *out, uint64_t max);
/* Entries that hold anything, of tables that map pages, in [from, end). */
int64_t mm_ptes(mm *mm, uint64_t from, uint64_t end, struct pte_info *out, uint64_t max);
uint64_t mm_vma_cursor(mm *mm, uint64_t addr); /* nonlinear: address; 0: it has none */

/*
 * ---- the journal (journal.c): what has changed from one moment to the next ----
 *
 * While it is on, each moment is written as words: JOURNAL_MOMENT first, then what differs from
 * the moment before.  A record is kind | words that follow << 32, then the words.  While events
 * are on as well, each that is recorded makes a moment of its number.
 */
enum journal_record {
	JOURNAL_MOMENT,  /* what the caller called it */
	JOURNAL_FRAME,   /* pfn, then a struct frame_info, 32-bit fields two to a word */
	JOURNAL_ENTRY,   /* table's frame << 9 | index, the entry */
	JOURNAL_LIST,    /* enum lru_list, place, how many go there, then the pfns that come */
	JOURNAL_SLOT,    /* area, slot, count | cached << 32 */
	JOURNAL_AREA,    /* area, slots, next */
	JOURNAL_VMAS,    /* pgd, place, how many go there, then those that come: struct vma_row */
	JOURNAL_COUNTER, /* its place in struct counters, value */
	JOURNAL_CURSOR,  /* pgd, address: the virtual scan */
	NR_JOURNAL_RECORDS
};
struct vma_row {
	uint64_t start, end, flags, pgoff, file, mapping;
	uint64_t anon;   /* its anon_vma: a place in the arena, 0: none */
	uint64_t cursor; /* as of struct showing */
};
int64_t machine_journal_on(machine *m, uint64_t max_moments); /* 0, -EBUSY, -ENOMEM */
void machine_journal_off(machine *m);
/* A moment: 1; 0: it is off, has all the moments it may have, or the host has no memory. */
int64_t machine_journal_note(machine *m, uint64_t name);
/* What was written, until the next moment. */
const uint64_t *machine_journal_words(machine *m, uint64_t *nr);
