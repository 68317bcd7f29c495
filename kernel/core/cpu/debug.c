/*
 * debug.c - stops that a debugger asks for, which the program cannot see.
 *
 *	a breakpoint   a hook at its address, on that instruction only
 *	a step         a hook on every instruction, as long as some context steps
 *	a watched      hooks on every instruction, and on every load and store: who loads or
 *	place          stores there has a stop behind the instruction
 *	a count        slices are cut where so many blocks have begun, and made whole afterwards
 *
 * Nothing is written into the program's memory or registers.  A block in whose middle the program stopped
 * is not counted again when it goes on, so virtual time is what it would have been.
 *
 * Instead of stopping, the processor can note where it would have: the last such moment before another
 * one is how a run finds its way back.  Then it can also look at watched places only where a block begins,
 * and note the block that has changed one: nearly as fast as if nothing was watched.  A moment is the number of blocks begun and the address of the
 * instruction that is next: code without a jump comes to an address once.
 *
 * Invariants.  p->debug is NULL while nobody debugs.  There is a hook for each address that has a
 * breakpoint.  The context that stopped at an instruction passes it once when it goes on.
 */
#include "processor.h"

#include <stdlib.h>

#define NO_LIMIT (~0ul)

struct site { /* an address with a hook */
	uint64_t addr;
	engine_hook hook;
};

struct watch {           /* what stood at a spot when a block began */
	uint64_t looked; /* the blocks that had begun; 0: never */
	uint64_t generation;
	int64_t at; /* where it lies; -1: nowhere */
	bool known;
	uint8_t *value;
};

struct debug {
	struct watch *watches; /* of the spots, while blocks are noted; else NULL */
	engine_hook begins;
	struct spot *spots;
	uint64_t nr_spots;
	struct site *sites;
	uint64_t nr_sites;
	engine_hook every, access;
	bool has_every, has_access;
	uint64_t nr_watched;
	const context *stepped;      /* NULL: none */
	uint64_t step_from, step_to; /* it goes on while it is in here */
	uint64_t hit;   /* 1 + the watched spot that the instruction before has touched */
	uint64_t now;   /* the instruction that is being made, while all have a hook */
	uint64_t until; /* blocks begun */
	uint64_t rest;  /* of the slice, behind that */
	bool reached;
	uint64_t land; /* the instruction to stop at, in any space; 0: none */
	enum debug_notes notes;
	struct moment noted;
	uint64_t noted_spot; /* its number */
	bool faults;         /* stop before one is served */
	uint64_t
		told; /* 1 + the page whose fault has been told, and is to be served now; 0: none */
};

/* ---- moments ---- */

/* Blocks that have begun since the processor was made. */
static uint64_t blocks_begun(const processor *p)
{
	uint64_t left = p->holding ? p->blocks_held : p->blocks_left;

	return p->counters.blocks + p->blocks_counted - left;
}

static void note(processor *p, uint64_t addr, uint64_t spot)
{
	struct debug *d = p->debug;

	d->noted = (struct moment){ blocks_begun(p), addr };
	d->noted_spot = spot;
}

static void stop_here(processor *p, enum debug_stop why, uint64_t which)
{
	p->exit.reason = RUN_DEBUG;
	p->exit.status = (int64_t)why;
	p->exit.addr = which;
	p->stopped = true;
	p->lib.call.stop(p->uc);
}

/* ---- at an instruction ---- */

/* Is this the one at which the context stopped, or that is made again from its start? */
static bool is_passed(processor *p, uint64_t addr)
{
	context *c = p->current;
	bool passed = c->passed == addr && c->passed_at == blocks_begun(p);

	if (passed)
		c->passed_at = NO_LIMIT;
	return passed;
}

static const struct spot *breakpoint_at(const processor *p, uint64_t addr)
{
	const struct debug *d = p->debug;

	for (uint64_t i = 0; i < d->nr_spots; i++)
		if (d->spots[i].addr == addr && d->spots[i].kind == SPOT_BREAK &&
		    d->spots[i].mm == p->mm)
			return &d->spots[i];
	return NULL;
}

static bool ends_step(const processor *p, uint64_t addr)
{
	const struct debug *d = p->debug;

	return d->stepped == p->current && (addr < d->step_from || addr >= d->step_to);
}

static void look_at(processor *p, uint64_t addr)
{
	struct debug *d = p->debug;
	const struct spot *spot;

	if (d->land == addr)
		stop_here(p, DEBUG_PLACE, addr);
	else if (is_passed(p, addr) && !d->notes)
		return;
	else if ((spot = breakpoint_at(p, addr)) && d->notes)
		note(p, addr, (uint64_t)(spot - d->spots));
	else if (spot)
		stop_here(p, DEBUG_SPOT, (uint64_t)(spot - d->spots));
	else if (d->notes == NOTE_STEPS && d->stepped == p->current)
		note(p, addr, 0);
	else if (!d->notes && ends_step(p, addr))
		stop_here(p, DEBUG_STEP, 0);
}

static void site_hook(engine *uc, uint64_t address, uint32_t size, void *arg)
{
	processor *p = arg;

	(void)uc, (void)size;
	if (!p->stopped && !p->probing && p->mm && !p->debug->has_every)
		look_at(p, address);
}

static void every_hook(engine *uc, uint64_t address, uint32_t size, void *arg)
{
	processor *p = arg;
	struct debug *d = p->debug;
	uint64_t hit = d->hit;

	(void)uc, (void)size;
	if (p->stopped || p->probing || !p->mm)
		return;
	d->now = address;
	d->hit = 0;
	if (hit && !d->notes)
		stop_here(p, DEBUG_SPOT, hit - 1);
	else
		look_at(p, address);
}

/* ---- at a load or store ---- */

/* Where a watched place lies; -1: nowhere.  The tables are only looked at. */
static int64_t place_of(const processor *p, const struct spot *spot)
{
	pte_t pte = pte_at(p->mm, spot->addr);

	if (!(pte & PTE_PRESENT))
		return -1;
	return (int64_t)(pte_pfn(pte) << PAGE_SHIFT | (spot->addr & ~PAGE_MASK));
}

/* Does the store change what is watched? */
static bool changes(const processor *p, uint64_t at, uint64_t nbytes, uint64_t to, uint64_t size,
		    int64_t value)
{
	for (uint64_t i = to < at ? at - to : 0; i < size && to + i < at + nbytes; i++)
		if ((uint8_t)p->machine->arena[to + i] != (uint8_t)((uint64_t)value >> 8 * i))
			return true;
	return false;
}

static bool is_touched(const processor *p, const struct spot *spot, int type, uint64_t to,
		       uint64_t size, int64_t value)
{
	uint64_t in_page = spot->addr & ~PAGE_MASK, from = to & ~PAGE_MASK;

	if (from + size <= in_page || in_page + spot->nbytes <= from || spot->mm != p->mm)
		return false;
	int64_t at = place_of(p, spot);
	if (at < 0 || ((uint64_t)at & PAGE_MASK) != (to & PAGE_MASK))
		return false;
	if (type == MEM_WRITE && spot->kind == SPOT_WRITE)
		return changes(p, (uint64_t)at, spot->nbytes, to, size, value);
	return type == MEM_WRITE ? spot->kind == SPOT_ACCESS : spot->kind >= SPOT_READ;
}

/* The engine tells the physical address. */
static void access_hook(engine *uc, int type, uint64_t address, int size, int64_t value, void *arg)
{
	processor *p = arg;
	struct debug *d = p->debug;

	(void)uc;
	if (p->probing || p->stopped || !p->mm)
		return;
	for (uint64_t i = 0; i < d->nr_spots; i++) {
		const struct spot *spot = &d->spots[i];

		if (spot->kind == SPOT_BREAK ||
		    !is_touched(p, spot, type, address, (uint64_t)size, value))
			continue;
		d->hit = i + 1;
		if (d->notes)
			note(p, d->now, i);
	}
}

/* ---- where a block begins ---- */

static void forget_code(processor *p) { p->lib.call.control(p->uc, CONTROL_TB_FLUSH); }

static int64_t add_hook(processor *p, int type, any_hook callback, uint64_t first, uint64_t last,
			engine_hook *out)
{
	return p->lib.call.hook_add(p->uc, out, type, (void *)callback, p, first, last) ? -ENOMEM
											: 0;
}

static void find_place(processor *p, struct watch *w, const struct spot *spot)
{
	uint64_t generation = p->mm->counters.tlb_generation;

	if (w->at < 0 || w->generation != generation)
		w->at = place_of(p, spot);
	w->generation = generation;
}

/* Has the place changed, or come, since the context's block before began?  Then that block did it. */
static void look_at_place(processor *p, struct watch *w, uint64_t number)
{
	const struct spot *spot = &p->debug->spots[number];
	uint64_t begun = blocks_begun(p);

	find_place(p, w, spot);
	bool here = w->at >= 0;
	const char *now = p->machine->arena + (here ? w->at : 0);
	if (here && w->looked && (!w->known || memcmp(w->value, now, spot->nbytes))) {
		note(p, 0, number);
		p->debug->noted.blocks = w->looked;
	}
	if (here)
		memcpy(w->value, now, spot->nbytes);
	w->known = here;
	w->looked = begun;
}

void debug_look(processor *p)
{
	struct debug *d = p->debug;

	for (uint64_t i = 0; d->watches && p->mm && i < d->nr_spots; i++)
		if (d->spots[i].kind != SPOT_BREAK && d->spots[i].mm == p->mm)
			look_at_place(p, &d->watches[i], i);
}

static void begin_hook(engine *uc, uint64_t address, uint32_t size, void *arg)
{
	processor *p = arg;

	(void)uc, (void)address, (void)size;
	if (!p->stopped && !p->again && !p->probing)
		debug_look(p);
}

static void drop_watches(processor *p)
{
	struct debug *d = p->debug;

	if (!d->watches)
		return;
	take_hook(p, d->begins);
	for (uint64_t i = 0; i < d->nr_spots; i++)
		free(d->watches[i].value);
	free(d->watches);
	d->watches = NULL;
}

static int64_t add_watches(processor *p)
{
	struct debug *d = p->debug;

	d->watches = calloc(d->nr_spots + 1, sizeof(*d->watches));
	if (!d->watches)
		return -ENOMEM;
	if (add_hook(p, HOOK_BLOCK, (any_hook)begin_hook, 1, 0, &d->begins)) {
		free(d->watches);
		d->watches = NULL;
		return -ENOMEM;
	}
	for (uint64_t i = 0; i < d->nr_spots; i++) {
		d->watches[i].at = -1;
		d->watches[i].value = malloc(d->spots[i].nbytes);
		if (!d->watches[i].value) {
			drop_watches(p);
			return -ENOMEM;
		}
	}
	return 0;
}

/* ---- which hooks there are ---- */

static void drop_hook(processor *p, engine_hook hook, bool *has)
{
	if (*has)
		take_hook(p, hook);
	*has = false;
}

/* Have a hook on all instructions, and on all that they touch, or not, as is needed now. */
static int64_t set_every(processor *p)
{
	struct debug *d = p->debug;
	bool access = d->nr_watched && d->notes != NOTE_BLOCKS, every = d->stepped || access;
	int64_t error = 0;

	if (every == d->has_every && access == d->has_access)
		return 0;
	if (!every)
		drop_hook(p, d->every, &d->has_every);
	if (!access)
		drop_hook(p, d->access, &d->has_access);
	if (every && !d->has_every)
		error = add_hook(p, HOOK_CODE, (any_hook)every_hook, 1, 0, &d->every);
	d->has_every = every && !error;
	if (access && !d->has_access && !error)
		error = add_hook(p, HOOK_ACCESS, (any_hook)access_hook, 1, 0, &d->access);
	d->has_access = access && !error;
	d->hit = 0;
	forget_code(p);
	return error;
}

static void drop_sites(processor *p)
{
	struct debug *d = p->debug;

	for (uint64_t i = 0; i < d->nr_sites; i++)
		take_hook(p, d->sites[i].hook);
	d->nr_sites = 0;
}

static bool has_site(const struct debug *d, uint64_t addr)
{
	for (uint64_t i = 0; i < d->nr_sites; i++)
		if (d->sites[i].addr == addr)
			return true;
	return false;
}

static int64_t add_site(processor *p, uint64_t addr)
{
	struct debug *d = p->debug;

	if (!addr || has_site(d, addr))
		return 0;
	struct site *site = &d->sites[d->nr_sites];
	site->addr = addr;
	if (add_hook(p, HOOK_CODE, (any_hook)site_hook, addr, addr, &site->hook))
		return -ENOMEM;
	d->nr_sites++;
	return 0;
}

/* A hook for each breakpoint, and where a run is to land. */
static int64_t set_sites(processor *p)
{
	struct debug *d = p->debug;
	int64_t error = add_site(p, d->land);

	for (uint64_t i = 0; i < d->nr_spots && !error; i++)
		if (d->spots[i].kind == SPOT_BREAK)
			error = add_site(p, d->spots[i].addr);
	return error;
}

static int64_t renew_sites(processor *p)
{
	drop_sites(p);
	int64_t error = set_sites(p);
	forget_code(p);
	return error;
}

/* ---- what run.c asks ---- */

/* A slice begins, or goes on behind a stop for a count. */
void debug_cut_slice(processor *p)
{
	struct debug *d = p->debug;
	uint64_t begun = blocks_begun(p), room = d->until - begun;

	d->rest = 0;
	if (d->until == NO_LIMIT || begun > d->until || p->blocks_left <= room)
		return;
	d->rest = p->blocks_left - room;
	p->blocks_left -= d->rest;
	p->blocks_counted -= d->rest;
}

/* The slice has no block left: is that because of the count? */
bool debug_count_reached(processor *p)
{
	struct debug *d = p->debug;

	if (d->reached || blocks_begun(p) != d->until)
		return false;
	d->reached = true;
	stop_here(p, DEBUG_PLACE, 0);
	return true;
}

/* A page fault comes: is somebody to look first?  Then it comes again. */
bool debug_tells_fault(processor *p, uint64_t linear, uint64_t access)
{
	struct debug *d = p->debug;
	bool told = d->told == linear + 1;

	d->told = 0;
	if (!d->faults || told)
		return false;
	d->told = linear + 1;
	p->exit.reason = RUN_DEBUG;
	p->exit.status = DEBUG_FAULT;
	p->exit.addr = linear;
	p->exit.access = access;
	p->stopped = true;
	return true;
}

/* The engine was left; behind: blocks that it will count before it is where it was. */
void debug_left(processor *p, uint64_t rip, uint64_t behind)
{
	p->current->passed = rip;
	p->current->passed_at = blocks_begun(p) + behind;
}

/* ---- what a debugger asks ---- */

int64_t debug_open(processor *p)
{
	struct debug *d = calloc(1, sizeof(*d));

	debug_close(p);
	if (!d)
		return -ENOMEM;
	d->until = NO_LIMIT;
	p->debug = d;
	int64_t error = debug_spots(p, NULL, 0);
	if (error)
		debug_close(p);
	return error;
}

void debug_close(processor *p)
{
	struct debug *d = p->debug;

	if (!d)
		return;
	d->stepped = NULL;
	d->nr_watched = d->land = 0;
	if (p->uc) {
		drop_watches(p);
		drop_sites(p);
		set_every(p);
		forget_code(p);
	}
	free(d->spots);
	free(d->sites);
	free(d);
	p->debug = NULL;
}

int64_t debug_spots(processor *p, const struct spot *spots, uint64_t nr)
{
	struct debug *d = p->debug;
	struct spot *kept = calloc(nr + 1, sizeof(*kept));
	struct site *sites = calloc(nr + 1, sizeof(*sites)); /* with the one to land at */

	if (!kept || !sites) {
		free(kept);
		free(sites);
		return -ENOMEM;
	}
	drop_watches(p);
	drop_sites(p);
	free(d->spots);
	free(d->sites);
	d->spots = kept;
	d->sites = sites;
	d->nr_spots = nr;
	d->nr_watched = 0;
	for (uint64_t i = 0; i < nr; i++) {
		d->spots[i] = spots[i];
		d->nr_watched += spots[i].kind != SPOT_BREAK;
	}
	int64_t error = renew_sites(p);
	if (!error && d->notes == NOTE_BLOCKS)
		error = add_watches(p);
	return error ? error : set_every(p);
}

int64_t debug_step(processor *p, context *c, uint64_t from, uint64_t to)
{
	struct debug *d = p->debug;
	uint64_t behind = c && !c->in_block;

	d->stepped = c;
	d->step_from = from;
	d->step_to = to;
	if (c && !d->notes) {
		context_load(c);
		c->passed = read_reg(p, REG_RIP);
		c->passed_at = blocks_begun(p) + behind;
	}
	return set_every(p);
}

int64_t debug_until(processor *p, uint64_t blocks, uint64_t land)
{
	struct debug *d = p->debug;
	bool moved = land != d->land;

	p->blocks_left += d->rest;
	p->blocks_counted += d->rest;
	d->until = blocks;
	d->land = land;
	d->reached = false;
	debug_cut_slice(p);
	return moved ? renew_sites(p) : 0;
}

void debug_faults(processor *p, uint64_t tells)
{
	p->debug->faults = tells;
	p->debug->told = 0;
}

int64_t debug_note(processor *p, uint64_t notes)
{
	struct debug *d = p->debug;
	int64_t error = 0;

	drop_watches(p);
	d->notes = (enum debug_notes)notes;
	d->noted = (struct moment){ 0, 0 };
	d->now = 0;
	if (d->notes == NOTE_BLOCKS)
		error = add_watches(p);
	return error ? error : set_every(p);
}

/* The last instruction that has begun, while all are looked at. */
uint64_t debug_now(processor *p) { return p->debug->now; }

uint64_t debug_noted(processor *p, struct moment *out)
{
	*out = p->debug->noted;
	return p->debug->noted_spot;
}

/* When it is.  An instruction in the middle of its block is next; else a block is, wherever: rip 0. */
void debug_moment(processor *p, struct moment *out)
{
	const context *c = p->current;

	if (c && c->in_block)
		*out = (struct moment){ p->counters.blocks, read_reg(p, REG_RIP) };
	else
		*out = (struct moment){ p->counters.blocks + 1, 0 };
}

/* ---- looking at memory without touching it ---- */

/* What of [addr, addr+nbytes) is present, up to the first page that is not; how much that is. */
uint64_t debug_peek(mm *mm, uint64_t addr, void *buf, uint64_t nbytes)
{
	uint64_t done = 0, n;

	for (; done < nbytes; done += n) {
		uint64_t left = nbytes - done, in_page = (addr + done) & ~PAGE_MASK;
		pte_t pte = addr + done < mm->counters.task_size ? pte_at(mm, addr + done) : 0;

		n = PAGE_SIZE - in_page < left ? PAGE_SIZE - in_page : left;
		if (!(pte & PTE_PRESENT))
			break;
		memcpy((char *)buf + done,
		       mm->machine->arena + (pte_pfn(pte) << PAGE_SHIFT) + in_page, n);
	}
	return done;
}
