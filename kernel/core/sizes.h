/*
 * sizes.h - the sizes that PKERN_TINY makes small, and what is laid out by them.
 *
 * Read by the few files that walk a radix tree or a TLB, and by no header: the
 * tests build the core with both sizes, and compile what does not read this
 * file once for both (PKERN_ANY_SIZE).
 */
#ifndef PKERN_SIZES_H
#define PKERN_SIZES_H

#include "core.h"

#ifdef PKERN_ANY_SIZE
#error "compiled once for both sizes, so it must not know them"
#endif

#ifdef PKERN_TINY /* small constants give bugs a chance */
#define TLB_ENTRIES 2
#define RADIX_BITS 2
#else
#define TLB_ENTRIES 256
#define RADIX_BITS 6
#endif
#define RADIX_SLOTS (1 << RADIX_BITS)

struct radix_node {
	void *slots[RADIX_SLOTS];
	uint32_t count;
};

static inline struct tlb_entry *tlb_slot(mm *mm, uint64_t addr)
{
	return &mm->tlb[(addr >> PAGE_SHIFT) % TLB_ENTRIES];
}

#endif
