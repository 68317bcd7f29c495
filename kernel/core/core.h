/*
 * core.h - struct layouts of the C core; read by the core's own files only.
 *
 * One machine owns everything: no globals, so that many kernels live in one
 * process.  The numbered invariants stand at the head of check.c.
 *
 * Who writes what: a pte is written by pte_set() alone; page refcounts by
 * page_get/page_put; mapcount and reverse maps by rmap.c; VMA links by vma.c;
 * the index of a mapping by mapping.c.
 */
#ifndef PKERN_CORE_H
#define PKERN_CORE_H

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "bugs.h"
#include "core_api.h"

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096ul
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define PAGE_ALIGN(x) (((x) + PAGE_SIZE - 1) & PAGE_MASK)
#define TABLE_ENTRIES 512
#define PMD_SIZE (PAGE_SIZE * TABLE_ENTRIES)
#define HUGE_PAGES TABLE_ENTRIES
#define HUGE_SIZE PMD_SIZE
#define HUGE_MASK (~(HUGE_SIZE - 1))
#define GIGANTIC_SIZE (HUGE_SIZE * TABLE_ENTRIES)
#define HUGE_LOG_MASK 0xfc000000ul /* of mmap's flags: log2 of a large page, 0: the usual one */
#define STACK_GUARD_GAP (256 * PAGE_SIZE)
#define INDEX_MAX (~0ul >> PAGE_SHIFT)
#define POISON_BYTE 0xaa

#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

/* ---- page table entries: x86-64's bits ---- */
typedef uint64_t pte_t;
#define PTE_PRESENT 0x001ul
#define PTE_WRITE 0x002ul
#define PTE_USER 0x004ul /* clear in a PROT_NONE page */
#define PTE_ACCESSED 0x020ul
#define PTE_DIRTY 0x040ul
#define PTE_READONLY 0x200ul /* ours: the file gave no right to write; special VMAs */
#define PTE_HUGE 0x080ul     /* in an entry of the third level: it maps 2 MiB */
#define PTE_PROMISED 0x400ul /* ours: a large page is, or was, kept for this place */
#define PTE_PKEY_SHIFT 59    /* the protection key: four bits */
#define PTE_PKEY_MASK (0xful << PTE_PKEY_SHIFT)
#define PTE_NX (1ul << 63)
#define PTE_PFN_MASK 0x000ffffffffff000ul
/* Absent entries: the processor ignores all but bit 0. */
#define PTE_FILE 0x080ul   /* bits 12.. hold an offset in the file, in pages */
#define PTE_SWAP 0x100ul   /* bits 12.. hold a swap slot */
#define PTE_MARKER 0x800ul /* no page: bits 12.. hold MARKER_*; marker.c */
/* Of present and of swap entries, and of markers: */
#define PTE_UFFD_WP (1ul << 52) /* a store is its monitor's to allow; never with PTE_WRITE */
#define PTE_FORKED (1ul << 53)  /* swap: the page is PG_FORKED */

/* What a marker stands for; numbers of Linux 6.18, which pagemap shows. */
#define MARKER_UFFD_WP 1ul /* what comes here is write-protected */
#define MARKER_POISON 2ul  /* as if the hardware had lost the page */
#define MARKER_GUARD 4ul   /* nothing may come here */

static inline bool pte_present(pte_t pte) { return pte & PTE_PRESENT; }
static inline uint64_t pte_pfn(pte_t pte) { return (pte & PTE_PFN_MASK) >> PAGE_SHIFT; }
static inline pte_t pte_make(uint64_t pfn, uint64_t bits) { return pfn << PAGE_SHIFT | bits; }
static inline bool pte_is_file(pte_t pte) { return !pte_present(pte) && (pte & PTE_FILE); }
static inline pte_t pte_file(uint64_t index) { return index << PAGE_SHIFT | PTE_FILE; }
static inline uint64_t pte_file_index(pte_t pte) { return pte >> PAGE_SHIFT; }
static inline bool pte_is_marker(pte_t pte) { return !pte_present(pte) && pte & PTE_MARKER; }
static inline pte_t pte_marker(uint64_t kind) { return kind << PAGE_SHIFT | PTE_MARKER; }
static inline uint64_t pte_marker_kind(pte_t pte) /* 0: none */
{
	return pte_is_marker(pte) ? pte_pfn(pte) : 0;
}
static inline bool pte_is_guard(pte_t pte) { return pte_marker_kind(pte) == MARKER_GUARD; }
static inline bool pte_is_swap(pte_t pte) { return !pte_present(pte) && (pte & PTE_SWAP); }
static inline bool pte_is_wp(pte_t pte) /* a page's, here or in swap, or a guard's and its kin's */
{
	return !pte_is_file(pte) && pte & PTE_UFFD_WP;
}
static inline pte_t pte_swap(uint32_t entry) { return (pte_t)entry << PAGE_SHIFT | PTE_SWAP; }
static inline uint32_t pte_swap_entry(pte_t pte) { return (uint32_t)(pte >> PAGE_SHIFT); }

/* ---- the treap under address spaces and i_mmap (tree.c) ---- */
struct tree_node {
	struct tree_node *left, *right, *parent;
	uint32_t priority; /* a parent's is at least its children's */
};
struct tree {
	struct tree_node *root;
	uint64_t (*key)(const struct tree_node *node); /* for tree_insert() only */
	bool (*update)(struct tree_node *node);        /* recompute node's summary */
	uint32_t *seed;
};
void tree_insert(struct tree *tree, struct tree_node *node);
/* As the next after place (NULL: before all), where the caller knows the order. */
void tree_insert_after(struct tree *tree, struct tree_node *place, struct tree_node *node);
/* Behind last, the last of all, where that priority puts it; without summaries until tree_appended(). */
void tree_append(struct tree *tree, struct tree_node *last, struct tree_node *node,
		 uint32_t priority);
void tree_appended(struct tree *tree, struct tree_node *last);
void tree_replace(struct tree *tree, struct tree_node *old, struct tree_node *new);
void tree_erase(struct tree *tree, struct tree_node *node);
void tree_drop_last(struct tree *tree,
		    struct tree_node *last); /* of a tree that goes: no summaries */
void tree_update_path(struct tree *tree, struct tree_node *node);

/* ---- physical pages (page.c) ---- */
struct chain;
struct page {
	uint32_t flags;    /* enum page_flags */
	uint32_t refcount; /* ptes + page cache + pins; table and slab: 1 */
	uint32_t mapcount; /* ptes that the reverse map must find */
	uint32_t pins;     /* ptes of special VMAs */
	union {
		struct mapping *mapping;   /* PG_CACHE */
		struct anon_vma *anon_vma; /* PG_ANON; NULL: read ahead, no one's yet; PG_KSM */
		struct mm *mm;             /* PG_TABLE */
		struct cache *cache;       /* PG_SLAB */
		struct quota *quota;       /* the first PG_TAIL: what its large page counts for */
	};
	uint64_t index; /* of the file; PG_ANON: linear pgoff; PG_TABLE: addr; PG_KSM: its node */
	union {
		pte_t *direct;       /* PG_DIRECT: the one pte */
		struct chain *chain; /* pte_chain, more than one pte */
		void *objects;       /* PG_SLAB: its free objects */
	};
	uint32_t next, prev; /* pfns: free list, partial slab list, LRU lists */
	uint32_t used;       /* PG_TABLE: entries; PG_SLAB: objects; a user's: holds (hold.c) */
	uint32_t entry;      /* PG_SWAPCACHE: where its copy lies */
};
_Static_assert(sizeof(struct page) <= 64, "struct page must stay in one line");

/* ---- kernel objects, kept in arena pages (slab.c) ---- */
enum cache_id {
	CACHE_VMA,
	CACHE_ANON_VMA,
	CACHE_CHAIN,
	CACHE_RADIX,
	CACHE_MM,
	CACHE_MAPPING,
	CACHE_FILE,
	CACHE_UFFD,
	CACHE_POLICY,
	CACHE_SHARED_POLICY,
	CACHE_KSM_NODE,
	CACHE_KSM_ITEM,
	NR_CACHES
};
struct cache {
	uint32_t size;    /* bytes of one object */
	uint32_t partial; /* pfn of the first page with a free object, or 0 */
	uint64_t live;    /* objects in use */
	uint32_t colour;  /* bytes before the first object of the next page (slab.c) */
};

struct anon_vma { /* VMAs that may map the same anonymous pages */
	struct vma *first;
	uint64_t nr_vmas;
	uint64_t nr_pages; /* pages that name it */
};

struct mempolicy { /* policy.c */
	struct policy value;
	uint64_t refcount; /* VMAs and ranges of files that follow it */
	struct mempolicy *next, *prev;
};
struct shared_policy { /* of a memory file's pages first..last */
	uint64_t first, last;
	struct mempolicy *policy;
	struct shared_policy *next;
};

struct vma_look { /* what calls change of a part of a VMA */
	uint64_t flags, name;
	struct uffd *uffd;
	struct mempolicy *policy;
};

enum cut { CUT_BELOW = 1, CUT_ABOVE = 2 }; /* where the rest of what it was a part of lies */

struct vma {
	uint64_t start, end, flags, pgoff;
	struct mm *mm;
	/* By address: with what stands before it, the one line of the cache that a walk reads. */
	struct vma *prev, *next;
	struct file *file; /* whose name maps shows; NULL: private anonymous, or special */
	struct anon_vma *anon_vma;
	uint64_t family : 61;     /* VMAs that Linux gives one anon_vma: they may be joined */
	uint64_t inherited : 1;   /* a fork's copy of pages that it may share */
	uint64_t cut : 2;         /* enum cut, from vma_isolate() to vma_merge() */
	struct uffd *uffd;        /* who is told, of what VM_UFFD says; NULL: no one */
	uint64_t name;            /* a number that Python gave, 0: none */
	struct mempolicy *policy; /* where its pages come from; NULL: as the task's say */
	uint64_t gap;             /* free bytes before start */
	uint64_t max_gap;         /* of the subtree */
	struct tree_node by_addr;
	struct tree_node by_pgoff; /* in mapping->vmas */
	uint64_t max_last;         /* last pgoff of the subtree */
	struct vma *anon_prev, *anon_next;
	struct vma *list_prev, *list_next; /* in mapping->list_first */
	union { /* nonlinear: in mapping->nonlinear; else the ring of twins, if the tree is kept */
		struct vma *nonlinear_prev, *twin_prev;
	};
	union {
		struct vma *nonlinear_next, *twin_next;
	};
	uint64_t cursor; /* nonlinear: where the next cluster to unmap begins, bytes from start */
};

struct ksm_item { /* ksm.c: what is known of the page at one address */
	struct mm *mm;
	uint64_t addr;
	struct ksm_item *next;                  /* of mm, by address */
	struct ksm_node *node;                  /* whose page it shares, or NULL */
	struct ksm_item *peer_next, *peer_prev; /* of node */
	struct tree_node by_content;            /* unstable: in the tree of this round */
	uint64_t tree, round;
	uint32_t checksum;
	uint8_t age, skips;
	bool unstable;
};
struct ksm_node { /* a shared page */
	struct tree_node by_content;
	uint64_t pfn, tree;
	struct ksm_item *items;
	uint64_t nr_items;
};

struct mapping {
	struct machine *machine;
	struct radix_node *root;
	uint32_t height;
	uint32_t flags;    /* enum mapping_flags */
	uint64_t refcount; /* Python's inode, open files */
	uint64_t cookie;
	uint64_t size;      /* bytes */
	uint64_t stored_ns; /* when a mapping was last stored through, since 1970; 0: told */
	uint64_t nr_pages;
	uint64_t truncate_count; /* moves when its store changes: cut, punched, written back */
	uint64_t nr_writable;    /* VMAs with VM_SHARED and VM_MAYWRITE */
	uint64_t nr_vmas;
	struct quota *quota;                /* of its file system, or NULL */
	uint64_t nr_swapped;                /* swap entries in the index */
	uint64_t charged;                   /* pages that count as committed */
	struct tree vmas;                   /* linear, by pgoff (KEEPS_TREE) */
	struct vma *list_first, *list_last; /* linear, as they came (KEEPS_LIST) */
	struct vma *nonlinear;              /* VM_NONLINEAR ones: a list of their own */
	struct shared_policy *policies;     /* of a memory file, by index */
	struct mapping *next, *prev;
};

struct file {
	struct machine *machine;
	struct mapping *mapping;
	uint64_t refcount; /* Python's open file, VMAs */
	uint64_t mode;
	uint64_t cookie;  /* 0: the core's own (shared anonymous) */
	bool end_is_told; /* stands among machine.ended once its last VMA has gone */
	struct file *next, *prev;
};

struct uffd { /* a userfaultfd: userfaultfd.c */
	struct machine *machine;
	uint64_t cookie, features;
	uint64_t nr_vmas;
	struct uffd *heir; /* during a fork: the child's */
	struct uffd *next, *prev;
};

struct tlb_entry {
	uint64_t tag;   /* page address | TLB_* ; 0: empty */
	uint64_t frame; /* byte offset in the arena */
};
#define TLB_READ 1ul /* no right at all: the entry is empty */
#define TLB_WRITE 2ul
#define TLB_EXEC 4ul

struct mm {
	struct machine *machine;
	pte_t *pgd;
	struct tlb_entry *tlb;
	struct tree vmas;
	struct vma *first, *last;
	struct vma *recent; /* the last one found */
	const struct limits *limits;
	struct runner *runner;
	struct mm_counters counters;
	uint32_t pkru;        /* of the thread that runs in it; pkey.c */
	uint16_t pkeys;       /* bit k: key k is taken */
	int8_t exec_pkey;     /* of memory that may only be executed, or -1 */
	uint64_t mdwe;        /* enum mdwe */
	struct policy policy; /* the task's */
	uint64_t stack_top;
	uint64_t low_base; /* where mappings go down from below 4 GiB; 0: they go anywhere */
	bool upwards;      /* ADDR_COMPAT_LAYOUT: mappings grow up */
	bool merge_any;    /* PR_SET_MEMORY_MERGE */
	bool ksm_listed;   /* pages of it are, or were, to be merged */
	struct ksm_item *ksm_list;
	uint64_t ksm_items, ksm_merging, ksm_zero_pages;
	struct mm *ksm_next, *ksm_prev;
	uint64_t scan_addr;     /* where the virtual scan goes on */
	struct mm *next, *prev; /* all of the machine's */
};

/* ---- reverse maps (rmap.c): one design at a time, chosen at boot ---- */
typedef bool (*pte_visitor)(struct machine *m, struct page *page, pte_t *ptep,
			    void *arg); /* false: stop */
struct rmap_search {
	struct machine *machine;
	struct page *page;
	pte_visitor visit;
	void *arg;
	uint32_t left; /* ptes not found yet */
};
enum rmap_kind {
	RMAP_KNOWS_PTES, /* each page leads to all its ptes */
	RMAP_SEARCHES,   /* through objects; nonlinear VMAs are searched table by table */
	RMAP_SCANS       /* nothing leads from a page to a pte */
};
#define KEEPS_LIST 1u /* how the linear VMAs of a mapping are kept */
#define KEEPS_TREE 2u
struct rmap_design_ops {
	const char *name;
	enum rmap_kind kind;
	uint32_t keeps;
	int64_t (*reserve)(struct machine *m); /* so that the next add cannot fail */
	void (*add)(struct machine *m, struct page *page, pte_t *ptep);
	void (*remove)(struct machine *m, struct page *page, pte_t *ptep);
	void (*move)(struct machine *m, struct page *page, pte_t *from, pte_t *to);
	bool (*walk)(struct rmap_search *s); /* a searching one: the linear VMAs */
};
extern const struct rmap_design_ops rmap_virtual_scan, rmap_pte_chain, rmap_objrmap,
	rmap_objrmap_tree, rmap_compare;

#define CHAIN_MAX 31
struct chain { /* free slots are the leading ones, in the head block only */
	struct chain *next;
	pte_t *ptes[];
};

/* ---- lists of pages by age (lru.c) ---- */
struct lru { /* pfns, or 0; new pages at the head, reclaim at the tail */
	uint32_t head, tail;
};

/* ---- swap (swap.c): an entry is slot << SWAP_TYPE_BITS | area ---- */
#define NR_SWAP_AREAS 8
struct swap_area {
	int fd; /* the host's; Python's to close */
	int64_t prio;
	uint64_t nr_slots; /* 0: not in use; slot 0 is the header */
	uint64_t nr_used;
	uint64_t next;    /* where to look for a free slot */
	bool closing;     /* swapoff: no new slots */
	uint32_t *count;  /* by slot: ptes and index items that name it */
	uint32_t *cached; /* by slot: pfn in the swap cache, or 0 */
};
/* Frames of the vsyscall page: three tables, data, code in two forms. */
#define NR_VSYSCALL_FORMS 2
#define NR_VSYSCALL_FRAMES 6
#define KERNEL_PGD_ENTRY (TABLE_ENTRIES - 1)

/* ---- nodes of memory (page.c): frames that lie together, near to some processors ---- */
struct node {
	uint64_t first, end; /* pfns */
	uint64_t fresh;      /* pfns from here on were never handed out */
	uint64_t nr_free;
	uint32_t free_list; /* pfn, or 0 */
	bool balanced;      /* background reclaim has done what it can */
	struct numa_stat stat;
};
struct zonelist {       /* where a page may come from: `first`, then the others by distance */
	uint64_t nodes; /* mask */
	uint64_t first;
};
#define LOCAL_NODE 0 /* the processor's */
#define ALL_NODES UINT64_MAX

struct machine {
	char *arena;
	uint64_t arena_bytes;
	struct page *pages;
	uint64_t nr_pages;
	struct node nodes[MAX_NODES];
	uint64_t nr_nodes;
	uint64_t zero_pfn; /* the page that reads of untouched memory share */
	bool poison;
	bool injected;           /* the last refusal was injected */
	struct runner nobody;    /* whom faults count for where nobody runs */
	uint64_t fail_in;        /* allocations until one fails; 0: never */
	uint64_t task_fail_in;   /* the same of the task that runs */
	uint64_t fail_io[NR_IO]; /* the same for reads and writes of each kind */
	uint64_t features;       /* enum cpu_features */
	uint64_t nrpte;
	const struct rmap_design_ops *rmap;
	struct chain *reserved_chain; /* taken ahead of rmap_add() */
	uint64_t nr_reserved_chains;
	struct cache caches[NR_CACHES];
	struct lru lru[NR_LRU_LISTS];
	struct swap_area swap[NR_SWAP_AREAS];
	uint32_t huge_free;   /* pfn of the first free large page, or 0 */
	struct quota *quotas; /* those for which the pool keeps pages */
	struct mm *mms;
	struct mm *scan_mm; /* the virtual scan's next; NULL: from the first */
	struct mapping *mappings;
	struct file *files;
	uint64_t nr_told_files; /* whose end is told: mapped, or among these */
	struct file *ended;     /* the last one first */
	struct uffd *uffds;
	uint64_t nr_holds; /* of pages, by pipes */
	struct ksm ksm;
	struct tree ksm_stable[MAX_NODES], ksm_unstable[MAX_NODES];
	uint64_t ksm_nr_nodes;
	struct mm *ksm_first, *ksm_last, *ksm_cursor; /* cursor: the scan's; NULL: between rounds */
	uint64_t ksm_addr;
	struct ksm_item **ksm_link; /* where the cursor's next item hangs */
	struct mempolicy *policies;
	mm *acting;       /* whose fault is served, or in whose call a file's pages are worked on */
	bool culls_later; /* what a fault brings to a locked VMA: populate_vma() culls it */
	bool noted;       /* what is about to be unmapped is known to those who watch it */
	uint64_t vsyscall[NR_VSYSCALL_FRAMES]; /* pfns, 0 until they are loaded */
	uint32_t seed;
	uint64_t mm_serial;        /* address spaces ever made */
	uint64_t family_serial;    /* families of VMAs ever made */
	uint64_t anonymous_serial; /* shared anonymous mappings ever made */
	uint64_t code_generation;  /* moves when a PG_EXECUTED page is written */
	struct counters counters;
	struct tunables tunables;
	struct need need;
	struct event_ring *events; /* NULL: off */
	struct journal *journal;   /* NULL: off */
	char disagreement[1024];   /* comparing reverse maps: what they do not agree on */
};

/*
 * events.c.  A point asks is_told(), one branch, and calls a function of its own that is TELLS and takes
 * what the point has at hand: the way that nobody looks at needs no registers for the event, and
 * no frame where the call comes last.
 */
#define TELLS __attribute__((cold, noinline))
#define INLINE static inline __attribute__((always_inline)) /* what both ways have, in place */
static inline bool is_told(const machine *m) { return __builtin_expect(m->events != NULL, 0); }
TELLS void event_record(machine *m, enum event_kind kind, uint64_t a, uint64_t b, uint64_t c,
			uint64_t d, uint64_t e);
/* own: 1: the program's own instruction, at machine->events->ip. */
TELLS void exception_record(mm *mm, uint64_t addr, uint64_t access, uint64_t own);

/* page.c */
static inline uint64_t in_page(uint64_t pos, uint64_t left) /* bytes of left in pos's page */
{
	uint64_t room = PAGE_SIZE - (pos & ~PAGE_MASK);
	return left < room ? left : room;
}
static inline struct page *pfn_page(machine *m, uint64_t pfn)
{
	assert(pfn < m->nr_pages);
	return &m->pages[pfn];
}
static inline uint64_t page_pfn(machine *m, const struct page *page) { return page - m->pages; }
static inline struct node *pfn_node(machine *m, uint64_t pfn)
{
	struct node *node = m->nodes;
	while (pfn >= node->end)
		node++;
	return node;
}
static inline uint64_t page_nid(machine *m, const struct page *page)
{
	return (uint64_t)(pfn_node(m, page_pfn(m, page)) - m->nodes);
}
static inline uint64_t handed_out_end(const machine *m) /* no frame from here on ever was */
{
	const struct node *node = &m->nodes[m->nr_nodes - 1];
	while (node > m->nodes && node->fresh == node->first)
		node--;
	return node->fresh;
}
/* The first frame at or after pfn that was ever handed out; nr_pages: there is none. */
static inline uint64_t handed_out_from(const machine *m, uint64_t pfn)
{
	for (const struct node *node = m->nodes; node < m->nodes + m->nr_nodes; node++) {
		pfn = pfn > node->first ? pfn : node->first;
		if (pfn < node->fresh)
			return pfn;
	}
	return m->nr_pages;
}
static inline void *pfn_data(machine *m, uint64_t pfn) { return m->arena + (pfn << PAGE_SHIFT); }
static inline void *page_data(machine *m, const struct page *page)
{
	return pfn_data(m, page_pfn(m, page));
}
/* Each of nbytes, at least one, is this byte. */
static inline bool is_filled(const void *data, unsigned char byte, uint64_t nbytes)
{
	const unsigned char *bytes = data;
	return *bytes == byte && !memcmp(bytes, bytes + 1, nbytes - 1);
}
static inline struct page *page_of(machine *m, const void *inside) /* whose frame holds inside */
{
	return pfn_page(m, (uint64_t)((const char *)inside - m->arena) >> PAGE_SHIFT);
}
static inline void page_written(machine *m, struct page *page) /* by the kernel itself */
{
	if (page->flags & PG_EXECUTED) {
		page->flags &= ~(uint32_t)PG_EXECUTED;
		m->code_generation++;
	}
}
static inline void pages_written(machine *m, const char *data, uint64_t nbytes)
{
	struct page *last = page_of(m, data + nbytes - 1);
	for (struct page *page = page_of(m, data); page <= last; page++)
		page_written(m, page);
}
static inline bool pte_is_merged_zero(const machine *m, pte_t pte) /* by ksm.c */
{
	return pte_present(pte) && pte_pfn(pte) == m->zero_pfn && pte & PTE_DIRTY;
}
bool alloc_permitted(machine *m);                    /* the one door; counts, and fails the n-th */
int64_t no_memory(machine *m);                       /* what to return after a NULL */
struct page *page_alloc(machine *m, uint32_t flags); /* refcount 1, content undefined */
struct page *page_alloc_on(machine *m, uint32_t flags, struct zonelist where);
struct page *page_alloc_zeroed(machine *m, uint32_t flags);
void page_get(struct page *page);
void page_put(machine *m, struct page *page);

void page_make_free(machine *m, uint64_t pfn); /* onto the free list; counters are the caller's */
void pages_count_free(machine *m, uint64_t pfn, int64_t nr); /* so many more are, at pfn */

/* policy.c */
bool policy_equal(const struct mempolicy *a, const struct mempolicy *b);
void vma_set_policy(struct vma *vma, struct mempolicy *p); /* NULL: none */
void mapping_forget_policies(mapping *mp);
struct page *page_alloc_for(struct vma *vma, uint64_t addr, uint32_t flags);
struct page *page_alloc_at(mapping *mp, uint64_t index, uint32_t flags);
uint64_t policy_node(struct vma *vma, uint64_t addr); /* where it would like the page */

/* hold.c */
void page_orphan(machine *m, struct page *page); /* anonymous, held, mapped no more */

/* ksm.c */
void ksm_init(machine *m);
bool ksm_may_merge(uint64_t vm_flags);
void ksm_enter(mm *mm);
void ksm_exit(mm *mm);
void ksm_zero_gone(mm *mm);
void ksm_page_gone(machine *m, struct page *page);
void ksm_page_moved(machine *m, const struct page *page);
int64_t ksm_unmerge(struct vma *vma, uint64_t start, uint64_t end);

/* migrate.c */
bool pages_elsewhere(mm *mm, uint64_t start, uint64_t end, uint64_t nodes);
/* Those that lie on none of nodes go where their policy wants them; how many did not. */
int64_t pages_to_policy(mm *mm, uint64_t start, uint64_t end, uint64_t nodes, uint64_t flags);

/* slab.c */
void slab_init(machine *m);
void slab_fini(machine *m);
void *slab_alloc(machine *m, enum cache_id id); /* zeroed */
void slab_free(machine *m, enum cache_id id, void *object);

/* pagetable.c */
pte_t *pt_walk(mm *mm, uint64_t addr);  /* NULL: no table */
pte_t *pt_alloc(mm *mm, uint64_t addr); /* NULL: no memory */
pte_t *pt_next(mm *mm, uint64_t *addr, uint64_t end, uint64_t *span);
pte_t *pmd_walk(mm *mm, uint64_t addr); /* entry of the third level; NULL: no table */
pte_t *pmd_next(mm *mm, uint64_t *addr, uint64_t end);   /* of a large page; NULL: no more */
bool pt_has_table(mm *mm, uint64_t addr, uint64_t size); /* for a large page of that size */
pte_t *pmd_alloc(mm *mm, uint64_t addr);                 /* NULL: no memory */
int64_t pt_alloc_range(mm *mm, uint64_t start, uint64_t end);
pte_t pte_at(mm *mm, uint64_t addr); /* what translates addr, small page or large; 0: nothing */
void pt_prune(mm *mm, uint64_t start, uint64_t end); /* free empty tables */
void pt_drop(mm *mm, uint64_t addr); /* the last table of an address: it is new, and empty */
void pte_set(mm *mm, uint64_t addr, pte_t *ptep, pte_t pte);
uint64_t pte_addr(machine *m, const pte_t *ptep); /* the address it translates */
mm *pte_mm(machine *m, const pte_t *ptep);
uint64_t pte_bits(uint64_t vm_flags); /* protection of a page no one shares */
void tlb_flush_mm(mm *mm);

/* pagetable.c: ranges of one VMA */
void zap_pte(mm *mm, struct vma *vma, uint64_t addr, pte_t *ptep, pte_t successor);
void zap_copied(mm *mm, struct vma *vma, uint64_t addr, pte_t *ptep, pte_t successor);
void zap_range(struct vma *vma, uint64_t start, uint64_t end);
void protect_range(struct vma *vma, uint64_t start, uint64_t end);
int64_t copy_range(struct vma *child, struct vma *parent);
int64_t move_prepare(struct vma *vma, uint64_t old_addr, uint64_t new_addr, uint64_t len);
void move_range(struct vma *vma, uint64_t old_addr, uint64_t new_addr,
		uint64_t len); /* after move_prepare(); both places lie in the same mm */
void pte_count_in(mm *mm, const struct page *page); /* rss, after a pte_set */

/* vma.c */
struct vma *vma_find(mm *mm, uint64_t addr);       /* first with end > addr */
struct vma *vma_peek(const mm *mm, uint64_t addr); /* the same, and it is not remembered */
struct vma *vma_find_intersection(mm *mm, uint64_t start, uint64_t end);
void vma_link(mm *mm, struct vma *vma);
void vma_link_copy(mm *mm, struct vma *copy, struct vma *original); /* fork: behind all others */
void vma_copies_linked(mm *mm);                                     /* after the last of them */
void vma_unlink(mm *mm, struct vma *vma);                           /* frees it, drops its file */
void vma_unlink_last(mm *mm); /* the same, where all the others will follow */
void vma_resize(struct vma *vma, uint64_t start, uint64_t end, uint64_t pgoff);
void vma_set_flags(struct vma *vma, uint64_t flags);
struct vma *vma_split(struct vma *vma, uint64_t addr); /* the upper part; NULL: no memory */
void vma_merge_next(struct vma *vma);
static inline struct vma_look vma_look(const struct vma *v)
{
	return (struct vma_look){ v->flags, v->name, v->uffd, v->policy };
}
/* Would the part join a neighbour, had it that look? */
bool vma_would_join(const struct vma *vma, uint64_t start, uint64_t end,
		    const struct vma_look *look);
struct vma *vma_merge(struct vma *vma);             /* with neighbours; the survivor */
struct vma *vma_merge_new(mm *mm, struct vma *new); /* new is not linked */
void vma_join_next(struct vma *vma);
void vma_discard(struct vma *vma); /* one that is not linked */
void vma_tree_init(mm *mm);
struct vma *vma_dup(struct vma *vma); /* unlinked copy, file and anon_vma held */
void vma_set_anon(struct vma *vma, struct anon_vma *anon); /* NULL: leave it */
void vma_inherit_anon(struct vma *vma);                    /* a fork's copy */
void vma_set_uffd(struct vma *vma, struct uffd *u);        /* NULL: leave it; not its flags */
int64_t vma_prepare_anon(struct vma *vma);
uint64_t vma_start_gap(const struct vma *vma);
int64_t gap_search(mm *mm, uint64_t addr, uint64_t len, uint64_t flags);
bool may_expand(mm *mm, uint64_t vm_flags, uint64_t nr_pages);
bool may_expand_into(mm *mm, uint64_t vm_flags, uint64_t nr_pages, uint64_t start, uint64_t end);
bool lock_allowed(mm *mm, uint64_t vm_flags, uint64_t nbytes);
static inline bool may_lock(const mm *mm) /* without limit */
{
	return mm->limits->may_lock || mm->machine->tunables.disable_cap_mlock;
}
bool commit_charge(machine *m, uint64_t nr_pages);
void commit_release(machine *m, uint64_t nr_pages);
static inline uint64_t vma_pages(const struct vma *v) { return (v->end - v->start) >> PAGE_SHIFT; }
static inline uint64_t vma_index(const struct vma *v, uint64_t addr)
{
	return v->pgoff + ((addr - v->start) >> PAGE_SHIFT);
}
/* What its pages come from; NULL: nothing, as with a private mapping of /dev/zero. */
static inline mapping *vma_mapping(const struct vma *v)
{
	return v->file && !(v->file->mode & FILE_ZERO) ? v->file->mapping : NULL;
}

/* How many bytes one page of it has. */
static inline uint64_t mapping_unit(const mapping *mp)
{
	if (!(mp->flags & MAPPING_HUGE))
		return PAGE_SIZE;
	return mp->flags & MAPPING_GIGANTIC ? GIGANTIC_SIZE : HUGE_SIZE;
}

/* As much of a special VMA as one entry of its maps. */
static inline uint64_t vma_unit(const struct vma *v)
{
	if (!(v->flags & VM_HUGETLB))
		return PAGE_SIZE;
	return v->flags & VM_SPECIAL ? HUGE_SIZE : mapping_unit(vma_mapping(v));
}

/* Where what these flags of mmap ask for may begin and end. */
static inline uint64_t mmap_unit(uint64_t flags)
{
	if (!(flags & MAP_HUGETLB))
		return PAGE_SIZE;
	return (flags & HUGE_LOG_MASK) == MAP_HUGE_1GB ? GIGANTIC_SIZE : HUGE_SIZE;
}

/* Its pages are for those who map them, at their own instructions and in their own calls. */
static inline bool vma_is_secret(const struct vma *v)
{
	const mapping *mp = vma_mapping(v);
	return mp && mp->flags & MAPPING_SECRET;
}

/* Does the first store to a clean page fault, so that its file hears of it? */
static inline bool vma_notes_stores(const struct vma *v)
{
	const mapping *mp = vma_mapping(v);
	return v->flags & VM_SHARED && mp && mp->flags & MAPPING_WRITEBACK;
}

/* mmap.c */
int64_t mm_unmap(mm *mm, uint64_t start, uint64_t end); /* aligned, checked */
int64_t mm_mmap_file(mm *mm, uint64_t addr, uint64_t len, uint64_t prot, uint64_t flags, file *f,
		     uint64_t pgoff); /* MAP_SHARED of f, anonymous or not */
int64_t vma_modify(struct vma **vmap, uint64_t start, uint64_t end, uint64_t flags);
int64_t vma_isolate(struct vma **vmap, uint64_t start, uint64_t end,
		    const struct vma_look *look); /* a VMA of its own, soon to be given this look */
int64_t expand_stack(struct vma *vma, uint64_t addr);

/* index.c */
static inline bool item_is_swap(const void *item) { return (uintptr_t)item & 1; }
static inline void *item_swap(uint32_t entry) { return (void *)((uintptr_t)entry << 1 | 1); }
static inline uint32_t item_entry(const void *item) { return (uint32_t)((uintptr_t)item >> 1); }
#define ITEM_PROMISED ((void *)2ul) /* of a file of large pages: one will come */
#define ITEM_NEW ((void *)4ul)      /* being made */
static inline bool item_is_page(const void *item) { return item > ITEM_NEW && !item_is_swap(item); }
/* fallocate() has it in store: readers see a hole, until a store, write or fault uses it. */
static inline bool is_unused(const void *item)
{
	const struct page *page = item;
	return item_is_page(item) && page->flags & PG_SHMEM && !(page->flags & PG_UPTODATE);
}
void *index_get(mapping *mp, uint64_t index); /* a page, a swap entry, a promise, NULL */
void *index_next(mapping *mp, uint64_t *index);
bool index_insert(mapping *mp, uint64_t index, void *item); /* false: no memory */
void index_replace(mapping *mp, uint64_t index, void *item);
void index_remove(mapping *mp, uint64_t index);
struct page *mapping_find(mapping *mp, uint64_t index);
struct page *mapping_find_next(mapping *mp, uint64_t index); /* first at or after */

/* mapping.c */
void mapping_stored(mapping *mp); /* its content changed by no write: its times move */
int64_t mapping_get_page(mapping *mp, uint64_t index, struct page **out); /* or NEED_PAGE */
void mapping_get(mapping *mp);
void file_get(file *f);
void turn_ended(machine *m, struct file *before); /* of machine.ended, those ahead of one */
void page_set_dirty(machine *m, struct page *page);
void cache_drop(mapping *mp, struct page *page); /* an unmapped page leaves the cache */
void cache_swap_out(mapping *mp, struct page *page, uint32_t entry); /* the same, to swap */
static inline uint64_t mapping_end(const mapping *mp)                /* pages in the file */
{
	return PAGE_ALIGN(mp->size) >> PAGE_SHIFT;
}

/* i_mmap.c */
void i_mmap_init(mapping *mp);
void mapping_link_vma(struct vma *vma);
void mapping_link_copy(struct vma *copy,
		       struct vma *original); /* beside it: same file, same pgoff */
void mapping_unlink_vma(struct vma *vma);
/* A linear one in a tree: it stands there itself, not only in the ring of one that does. */
static inline bool vma_is_in_tree(const struct vma *vma) { return vma->by_pgoff.priority != 0; }
/* Every linear VMA of mp that shows [first, last]. */
struct vma *mapping_first_vma(mapping *mp, uint64_t first, uint64_t last);
struct vma *mapping_next_vma(struct vma *vma, uint64_t first, uint64_t last);

/* rmap.c */
int64_t rmap_reserve(machine *m);
void rmap_add(machine *m, struct page *page, pte_t *ptep);
void rmap_remove(machine *m, struct page *page, pte_t *ptep);
void rmap_move(machine *m, struct page *page, pte_t *from, pte_t *to);
bool rmap_walk(machine *m, struct page *page, pte_visitor visit, void *arg); /* every pte */
bool rmap_walk_linear(machine *m, struct page *page, pte_visitor visit, void *arg);
/* What designs share: */
bool rmap_offer(struct rmap_search *s, pte_t *ptep); /* if it maps the page */
bool rmap_search_linear(struct rmap_search *s, struct vma *vma);
bool rmap_search_tables(struct rmap_search *s, struct vma *vma);
bool rmap_search_anon(struct rmap_search *s);
void rmap_bytes_add(machine *m, int64_t nbytes);
int64_t rmap_nothing_reserved(machine *m);
void rmap_not_told(machine *m, struct page *page, pte_t *ptep);
void rmap_not_moved(machine *m, struct page *page, pte_t *from, pte_t *to);
/* rmap_scan.c */
uint64_t scan_address_spaces(machine *m, uint64_t nr_pages, pte_visitor unmap, void *arg);
void scan_forget(mm *mm); /* it goes away */

/* lru.c */
enum lru_list lru_of(const struct page *page);
uint64_t *lru_counter(machine *m, enum lru_list list);
void lru_add(machine *m, struct page *page);
void lru_add_tail(machine *m, struct page *page); /* the next to go */
void lru_del(machine *m, struct page *page);
void lru_move(machine *m, struct page *page, uint32_t set, uint32_t clear); /* flags; to the head */
void page_mark_accessed(machine *m, struct page *page); /* read, written, or seen in a pte */
void vma_cull(struct vma *vma, uint64_t start, uint64_t end);
void lru_cull(machine *m, struct page *page);   /* some VMA has locked it */
void lru_rescue(machine *m, struct page *page); /* perhaps none does any more */

/* swap.c */
bool swap_add(machine *m, struct page *page); /* into the swap cache, with a new entry */
void swap_cache_drop(machine *m, struct page *page);
void swap_cache_replace(machine *m, const struct page *page, struct page *with);
uint32_t swap_entry_alloc(machine *m); /* 0: no room; count 1 */
void swap_get(machine *m, uint32_t entry);
void swap_put(machine *m, uint32_t entry);
uint32_t swap_count(machine *m, uint32_t entry);
bool swap_is_closing(machine *m, uint32_t entry); /* swapoff is bringing its area back */
struct page *swap_cached(machine *m, uint32_t entry);
void swap_release(machine *m, struct page *page); /* if no one can ask for it any more */
int64_t swap_read(machine *m, uint32_t entry, struct page *page); /* 0 or -EIO */
/* For who leaves no trace: bytes of a slot from inside on.  false: the host cannot read it. */
bool swap_look(machine *m, uint32_t entry, uint64_t inside, void *buf, uint64_t nbytes);
int64_t swap_write(machine *m, uint32_t entry, struct page *page);
int64_t swap_fetch(machine *m, uint32_t entry, struct page *page); /* a memory file's; 0 or -EIO */
void swap_read_ahead(machine *m, uint32_t entry);                  /* which has just been read */
int64_t swap_in(machine *m, struct vma *vma, uint64_t addr, uint32_t entry, struct page **out);
uint64_t swap_nr_free(machine *m);
void swap_fini(machine *m);

/* hugetlb.c */
void huge_put(machine *m, struct page *page);
uint64_t quota_kept(const struct quota *quota);
int64_t huge_get_page(mapping *mp, uint64_t index, struct page **out);
void huge_drop(mapping *mp, uint64_t index, void *item);
void huge_zap_range(struct vma *vma, uint64_t start, uint64_t end);   /* munmap */
void huge_clear_range(struct vma *vma, uint64_t start, uint64_t end); /* promises stay */
void huge_protect_range(struct vma *vma, uint64_t start, uint64_t end);
int64_t huge_copy_range(struct vma *child, struct vma *parent);
int64_t huge_move_prepare(mm *mm, uint64_t old_addr, uint64_t new_addr, uint64_t len);
void huge_move_range(struct vma *vma, uint64_t old_addr, uint64_t new_addr, uint64_t len);
int64_t huge_promise(struct vma *vma); /* its pages, if it wants them kept for it */
int64_t huge_fault(struct vma *vma, uint64_t addr, uint64_t access);
int64_t huge_fill(struct vma *vma, uint64_t kind, uint64_t addr, uint64_t mode, const void *data);
int64_t huge_may_copy(const struct vma *vma, uint64_t addr); /* -EEXIST: not there */
int64_t huge_protect_stores(struct vma *vma, uint64_t start, uint64_t end);
void huge_unprotect_stores(struct vma *vma, uint64_t start, uint64_t end);
int64_t huge_remap(struct vma *vma, uint64_t start, uint64_t end, file *f, uint64_t pgoff,
		   pte_t bits);

/* reclaim.c */
void reclaim_cold(struct vma *vma, uint64_t addr, pte_t *ptep);
void reclaim_pageout(struct vma *vma, uint64_t addr, pte_t *ptep);

/* fault.c */
int64_t verdict(machine *m, int64_t what, uint64_t addr, uint64_t access);
bool page_take_over(machine *m, struct page *page);              /* may its only user write it? */
int64_t swap_fault(struct vma *vma, uint64_t addr, pte_t *ptep); /* a swap pte becomes present */
/* What userfaultfd.c puts where nothing is; protect: PTE_UFFD_WP, or 0. */
int64_t fill_own(struct vma *vma, uint64_t addr, pte_t *ptep, const void *from, uint64_t protect);
void fill_zero(struct vma *vma, uint64_t addr, pte_t *ptep);
void fill_cached(struct vma *vma, uint64_t addr, pte_t *ptep, struct page *page,
		 uint64_t protect); /* after rmap_reserve() */

/* fault.c */
static inline bool is_verdict(int64_t status)
{
	return status <= SEGV_MAPERR && status >= SEGV_PKUERR;
}

static inline bool is_need(int64_t status)
{
	return status == NEED_PAGE || status == NEED_MEMORY || status == NEED_USER;
}

/* marker.c */
pte_t trace_after_zap(const struct vma *vma, pte_t pte);
/* What must stay of its protection. */
static inline pte_t marker_after_zap(const struct vma *vma, pte_t pte)
{
	return pte & (PTE_UFFD_WP | PTE_MARKER) ? trace_after_zap(vma, pte) : 0;
}
pte_t special_pte_in(const struct vma *vma, pte_t pte);
/* As it may stand there: fork, mremap. */
static inline pte_t pte_in(const struct vma *vma, pte_t pte)
{
	return pte & (PTE_UFFD_WP | PTE_MARKER) ? special_pte_in(vma, pte) : pte;
}
int64_t guard_install(struct vma **vmap, uint64_t start, uint64_t end, uint64_t advice);
int64_t guard_remove(struct vma **vmap, uint64_t start, uint64_t end, uint64_t advice);

/* userfaultfd.c */
int64_t userfault(const struct vma *vma, uint64_t reason, uint64_t unit);
static inline bool is_wp_async(const struct vma *vma)
{
	return vma->uffd && vma->uffd->features & UFFD_FEATURE_WP_ASYNC;
}
int64_t uffd_event(mm *mm, uint64_t start, uint64_t end); /* before an munmap: 0, NEED_EVENT */
struct uffd *uffd_of_child(const struct vma *vma);        /* the heir, if fork is an event */

/* pkey.c */
static inline uint64_t vma_pkey(uint64_t vm_flags)
{
	return (vm_flags & VM_PKEY_MASK) >> VM_PKEY_SHIFT;
}
void pkey_init(mm *mm);
void pkey_fork(mm *child, const mm *parent);
bool pkey_is_allocated(const mm *mm, int64_t key);
bool pkey_allows(const mm *mm, uint64_t key, uint64_t access);
/* A register that denies nothing allows every key: so it is without keys. */
static inline bool pkey_allows_pte(const mm *mm, pte_t pte, uint64_t access)
{
	return !mm->pkru || pkey_allows(mm, (pte & PTE_PKEY_MASK) >> PTE_PKEY_SHIFT, access);
}
static inline bool pkey_allows_vma(const struct vma *vma, uint64_t access)
{
	return !vma->mm->pkru || pkey_allows(vma->mm, vma_pkey(vma->flags), access);
}
uint64_t pkey_of_new_vma(mm *mm, uint64_t prot);
uint64_t pkey_after_mprotect(const struct vma *vma, uint64_t prot, int64_t asked);

/* inspect.c */
uint64_t pgd_of(const mm *mm); /* its frame */
struct frame_info frame_at(machine *m, uint64_t pfn);
uint64_t anon_place(const machine *m, const struct anon_vma *anon);
uint64_t cursor_of(const struct vma *vma);

/* vsyscall.c */
pte_t vsyscall_pgd_entry(machine *m); /* for every pgd; 0 until they are loaded */
void vsyscall_free(machine *m);

/* nonlinear.c */
void special_unpin(machine *m, struct page *page);

/* access.c */
int64_t populate_page(mm *mm, uint64_t addr, uint64_t access);
/* Bytes of one call from Python: the host's other threads, and Ctrl-C, wait for its end. */
enum { POPULATE_BATCH = 1 << 25 };
int64_t populate_range(mm *mm, uint64_t addr, uint64_t len, uint64_t most);
uint64_t tlb_rights(mm *mm, uint64_t addr);

#endif
