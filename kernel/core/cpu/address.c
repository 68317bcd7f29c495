/*
 * address.c - which byte a faulting instruction meant.
 *
 * The fill hook is told only the page.  When a fault is to become a signal,
 * the one instruction is made again from the same registers, with the page
 * leading to memory that does not exist: the engine then tells the address.
 * Nothing else may change: stores go to a page beside the arena, registers are put
 * back.
 */
#include "processor.h"

#define BLOCKS_TO_TRY 2 /* the instruction's own, and no other that ends */

/* A TLB miss of the instruction that is made again. */
bool probe_fill(processor *p, uint64_t linear, uint64_t access, struct engine_tlb_entry *entry)
{
	entry->perms = ALLOW_READ | ALLOW_WRITE;
	/* The instruction itself may lie in the page. */
	if (linear == p->probe_page && access != ACCESS_EXEC) {
		entry->paddr = p->nothing_paddr;
		return true;
	}
	if (access == ACCESS_WRITE) {
		entry->paddr = p->scrap_paddr;
		return true;
	}
	int64_t at = mm_translate(p->mm, linear, access);
	entry->paddr = (uint64_t)at;
	entry->perms = ALLOW_READ | (access == ACCESS_EXEC ? ALLOW_EXEC : 0);
	return at >= 0;
}

/* The engine tells the physical address. */
bool unmapped_hook(engine *uc, int type, uint64_t address, int size, int64_t value, void *arg)
{
	processor *p = arg;
	uint64_t offset = address - p->nothing_paddr;

	(void)uc, (void)type, (void)size, (void)value;
	if (p->probing && !p->probe_addr && offset < PAGE_SIZE)
		p->probe_addr = p->probe_page + offset;
	return false;
}

/* The address at or after the start of the page that the instruction at rip accesses. */
static uint64_t probe(processor *p, uint64_t page, uint64_t rip)
{
	struct run_exit kept = p->exit;
	uint64_t blocks = p->blocks_left;

	p->lib.call.context_save(p->uc, p->scratch);
	p->probing = true;
	p->probe_page = page;
	p->probe_addr = 0;
	p->blocks_left = BLOCKS_TO_TRY;
	flush_tlb(p);
	begin_run(p);
	run_engine(p, rip);
	p->probing = false;
	p->blocks_left = blocks;
	p->lib.call.context_restore(p->uc, p->scratch);
	flush_tlb(p);
	p->exit = kept;
	return p->probe_addr ? p->probe_addr : page;
}

void find_address(processor *p)
{
	struct run_exit *e = &p->exit;

	if (e->addr & ~PAGE_MASK)
		return; /* whoever stopped the run knew it */
	if (e->access != ACCESS_EXEC)
		e->addr = probe(p, e->addr, e->rip);
	else if ((e->rip & PAGE_MASK) == e->addr)
		e->addr = e->rip;
}
