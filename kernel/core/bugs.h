/*
 * bugs.h - bugs that Linux, or this kernel, once had: a build for tests can have one of them back.
 *
 * With PKERN_BUGS defined, pkern_bug names the one that the core has from now on, and an assertion
 * that fails is noted instead of ending the process.  Without it, HAS_BUG() is 0 and nothing is left
 * of all this.  tests/races says of each what goes wrong, and after how many orders it is found.
 */
#ifndef PKERN_BUGS_H
#define PKERN_BUGS_H

enum bug {
	BUG_NONE,
	BUG_STALE_READ,       /* a page that was read before a truncate goes into the cache */
	BUG_UNSEEN_WRITEBACK, /* so does one that was read before a newer one was written */
	BUG_INSTALL_UNCHECKED, /* a fault that slept shows the page it had looked for, come what may */
	BUG_ONE_UNMAP,         /* copies made between unmapping and dropping outlive a truncate */
	BUG_TAKE_SHARED,       /* a store takes a page over that others have in swap */
	BUG_NONBLOCK_KEEPS, /* MAP_NONBLOCK leaves the old page where the new one is not cached */
	BUG_PRESSURE_IS_EINVAL, /* remap_file_pages without memory is EINVAL */
	BUG_LINEAR_ZAP,      /* truncate unmaps a nonlinear VMA by place, and innocent pages go */
	BUG_LINEAR_MINCORE,  /* mincore looks for the page of the place */
	BUG_LINEAR_SWAP_OUT, /* reclaim forgets which page stood there */
	BUG_FORK_FORGETS,    /* fork leaves out pages that are not there */
	BUG_UNALIGNED,       /* remap_file_pages does not mask its start */
	BUG_LIST_LOST,       /* closing a VMA takes those of remapped pages off their list */
	BUG_WRONG_ORDER,     /* a search takes the VMAs of a file for sorted when they are not */
	NR_BUGS
};

extern uint64_t pkern_bug;          /* enum bug */
extern const char *pkern_bug_noted; /* the assertion that failed first, or NULL */

#ifdef PKERN_BUGS
void bug_note(const char *what);
#undef assert
#define assert(what) ((what) ? (void)0 : bug_note(#what))
#define HAS_BUG(bug) (pkern_bug == (bug))
#else
#define HAS_BUG(bug) false
#endif

#endif
