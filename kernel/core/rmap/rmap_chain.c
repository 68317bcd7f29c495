/*
 * rmap_chain.c - 2.5's pte_chain: a list of blocks of ptes for each page.
 *
 * One mapper is kept in struct page itself (PG_DIRECT); the second allocates a
 * block of nrpte slots.  Free slots are the leading ones of the head block
 * only: insert takes the last free slot; remove moves a pte of the head into
 * the victim's place; an empty head is freed.  Collapse back to direct happens
 * only when the chain is empty.
 */
#include "core.h"

/* The second mapper of a page fills two blocks at once if a block has one slot. */
static int64_t chain_reserve(machine *m)
{
	uint64_t want = m->nrpte == 1 ? 2 : 1;
	while (m->nr_reserved_chains < want) {
		struct chain *block = slab_alloc(m, CACHE_CHAIN);
		if (!block)
			return no_memory(m);
		block->next = m->reserved_chain;
		m->reserved_chain = block;
		m->nr_reserved_chains++;
	}
	return 0;
}

static struct chain *chain_push(machine *m, struct page *page, struct chain *next)
{
	struct chain *block = m->reserved_chain;
	assert(block); /* rmap_reserve() came before */
	m->reserved_chain = block->next;
	m->nr_reserved_chains--;
	block->next = next;
	page->chain = block;
	m->counters.nr_chain_blocks++;
	rmap_bytes_add(m, m->caches[CACHE_CHAIN].size);
	return block;
}

static uint64_t first_used(machine *m, const struct chain *head)
{
	uint64_t i = 0;
	while (i < m->nrpte && !head->ptes[i])
		i++;
	return i;
}

static void chain_insert(machine *m, struct page *page, pte_t *ptep)
{
	struct chain *head = page->chain;
	uint64_t slot = head ? first_used(m, head) : 0;
	m->counters.rmap_block_touches++;
	if (slot == 0) {
		head = chain_push(m, page, head);
		slot = m->nrpte;
	}
	head->ptes[slot - 1] = ptep;
}

static void chain_add(machine *m, struct page *page, pte_t *ptep)
{
	if (page->mapcount == 0) {
		page->flags |= PG_DIRECT;
		page->direct = ptep;
		return;
	}
	if (page->flags & PG_DIRECT) {
		pte_t *first = page->direct;
		page->flags &= ~(uint32_t)PG_DIRECT;
		page->chain = NULL;
		chain_insert(m, page, first);
	}
	chain_insert(m, page, ptep);
}

static pte_t **chain_slot(machine *m, struct page *page, const pte_t *ptep)
{
	for (struct chain *block = page->chain; block; block = block->next) {
		m->counters.rmap_block_touches++;
		for (uint64_t i = 0; i < m->nrpte; i++)
			if (block->ptes[i] == ptep)
				return &block->ptes[i];
	}
	assert(!"a pte that no chain block holds");
	return NULL;
}

static void chain_remove(machine *m, struct page *page, pte_t *ptep)
{
	if (page->flags & PG_DIRECT) {
		assert(page->direct == ptep);
		page->flags &= ~(uint32_t)PG_DIRECT;
		page->direct = NULL;
		return;
	}
	struct chain *head = page->chain;
	uint64_t used = first_used(m, head);
	pte_t **victim = chain_slot(m, page, ptep);
	*victim = head->ptes[used];
	head->ptes[used] = NULL;
	if (used + 1 < m->nrpte)
		return;
	page->chain = head->next;
	slab_free(m, CACHE_CHAIN, head);
	m->counters.nr_chain_blocks--;
	rmap_bytes_add(m, -(int64_t)m->caches[CACHE_CHAIN].size);
}

static void chain_move(machine *m, struct page *page, pte_t *from, pte_t *to)
{
	if (page->flags & PG_DIRECT)
		page->direct = to;
	else
		*chain_slot(m, page, from) = to;
}

static bool chain_show(struct rmap_search *s, pte_t *ptep)
{
	s->machine->counters.rmap_pte_visits++;
	s->left--;
	return s->visit(s->machine, s->page, ptep, s->arg);
}

static bool chain_walk(struct rmap_search *s)
{
	machine *m = s->machine;
	if (s->page->flags & PG_DIRECT)
		return chain_show(s, s->page->direct);
	struct chain *next;
	for (struct chain *block = s->page->chain; block; block = next) {
		next = block->next; /* a visit may remove ptes it has been shown */
		m->counters.rmap_block_touches++;
		for (uint64_t i = first_used(m, block), end = m->nrpte; i < end; i++)
			if (!chain_show(s, block->ptes[i]))
				return false;
	}
	return true;
}

const struct rmap_design_ops rmap_pte_chain = {
	.name = "pte_chain",
	.kind = RMAP_KNOWS_PTES,
	.keeps = KEEPS_LIST,
	.reserve = chain_reserve,
	.add = chain_add,
	.remove = chain_remove,
	.move = chain_move,
	.walk = chain_walk,
};
