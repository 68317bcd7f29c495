/*
 * run.c - runs user code on the engine and is its MMU.
 *
 * A TLB miss comes to fill_hook(), which asks the task's own page tables and
 * faults pages in as a processor would trap; Python is entered only for what
 * the kernel must serve, and for a verdict.
 *
 *	pte downgraded   tlb_generation moved -> flush before the next instruction
 *	another mm       its generation differs -> the same
 *	code rewritten   PG_EXECUTED gone -> what was made of the frame is dropped
 *	one frame through two pages, written and executed -> never both in the TLB
 *	a page written and executed -> its entry allows both, and stores are slow
 */
#include "processor.h"

#include <stdlib.h>

#define FILLS_BEFORE_GROWTH 1024
#define AUDIT_ROOM 1024
#define MAX_TRIES 4
#define TSC_STEP 1000
#define VECTOR_IA32_CALL 0x80
#define LOW_HALF 0xfffffffful

static bool stop_run(processor *p, enum run_stop reason)
{
	p->exit.reason = reason;
	p->stopped = true;
	return false;
}

/* While the blocks of the slice are held the hook has its slow path: the fast one looks at nothing else. */
static void hold_blocks(processor *p)
{
	if (p->holding)
		return;
	p->holding = true;
	p->blocks_held = p->blocks_left;
	p->blocks_left = 0;
}

static void release_blocks(processor *p)
{
	if (p->holding)
		p->blocks_left = p->blocks_held;
	p->holding = false;
}

/*
 * Leave the engine and enter it again.  A load or store is made again in the middle of a block that has
 * been counted; code is missed before its block begins.
 */
static bool enter_again(processor *p, uint64_t access)
{
	p->again = true;
	p->counted |= access != ACCESS_EXEC;
	p->stepped |= p->stepping && access != ACCESS_EXEC;
	return false;
}

/*
 * The same once the block has ended.  The engine is not stopped from here: it would leave behind this very
 * load or store with rip still at its instruction, and an addition to memory would be made twice.
 */
void leave_soon(processor *p)
{
	p->leaving = true;
	hold_blocks(p);
}

void flush_tlb(processor *p)
{
	p->lib.call.control(p->uc, CONTROL_TLB_FLUSH);
	p->counters.tlb_flushes++;
	p->epoch++;
	p->nr_given = 0;
	p->fills_left = p->growth = FILLS_BEFORE_GROWTH;
}

/*
 * The engine gives its TLB more room only when it is flushed: a program that
 * keeps missing is helped by a flush, seldomer each time.
 */
static void help_tlb_grow(processor *p)
{
	p->lib.call.control(p->uc, CONTROL_TLB_FLUSH);
	p->epoch++;
	p->nr_given = 0;
	p->growth *= 2;
	p->fills_left = p->growth;
}

/* ---- a TLB miss ---- */

/*
 * A fault may replace the page's own translation: the entry made now takes
 * its place.  Anything more, or code that moved, wants a flush.
 */
static bool only_this_page_changed(processor *p, uint64_t rights)
{
	uint64_t moved = p->mm->counters.tlb_generation - p->generation;

	if (moved > 1 || (moved && rights & TLB_EXEC))
		return false;
	p->generation += moved;
	return true;
}

/* In the middle of a slice, whose blocks are not on the clock yet. */
static TELLS void tell_exception(processor *p, uint64_t linear, uint64_t access)
{
	struct event_ring *ring = p->machine->events;
	uint64_t left = p->holding ? p->blocks_held : p->blocks_left;

	ring->ahead_ns = (p->blocks_counted - left) * p->block_ns;
	ring->ip = read_reg(p, REG_RIP);
	exception_record(p->mm, linear, access, 1);
	ring->ip = 0;
}

/* Stop behind a fault that somebody wants to see: the instruction is made again. */
static bool stops_to_show(processor *p, uint64_t access)
{
	struct event_ring *ring = p->machine->events;

	if (!ring || !ring->stopping)
		return false;
	ring->stopping = 0;
	p->exit.access = access;
	stop_run(p, RUN_EVENT);
	return true;
}

static uint64_t asking_for(uint64_t page, uint64_t access) { return page | access; }

/* Its page is there: whatever it asks for next is another need. */
static void note_reached(context *c, uint64_t page, uint64_t access)
{
	if (c->asking == asking_for(page, access))
		c->asked = 0;
}

static uint64_t count_asked(context *c, uint64_t page, uint64_t access)
{
	if (c->asking != asking_for(page, access))
		c->asked = 0;
	c->asking = asking_for(page, access);
	return c->asked++;
}

/* An access cannot go on: the kernel is to serve a need of it, or to tell of a verdict. */
void stop_access(processor *p, int64_t status, uint64_t addr, uint64_t access)
{
	p->exit.status = status;
	p->exit.addr = addr;
	p->exit.access = access;
	if (!is_verdict(status))
		p->exit.asked = count_asked(p->current, addr & PAGE_MASK, access);
	stop_run(p, is_verdict(status) ? RUN_FAULT : RUN_NEED);
}

/* The arena offset of a page, faulting it in; or a stop, and -1. */
static int64_t reach_page(processor *p, uint64_t linear, uint64_t access)
{
	int64_t status = -EFAULT;

	for (int tries = 0; tries < MAX_TRIES; tries++) {
		int64_t at = mm_translate(p->mm, linear, access);
		if (at >= 0) {
			note_reached(p->current, linear, access);
			return at;
		}
		if (p->debug && debug_tells_fault(p, linear, access))
			return -1;
		if (is_told(p->machine))
			tell_exception(p, linear, access);
		status = mm_fault(p->mm, linear, access);
		if (status)
			break;
		if (is_told(p->machine) && stops_to_show(p, access))
			return -1;
	}
	stop_access(p, status, linear, access);
	return -1;
}

/* Code is about to be read from a frame: is what was made of it still true? */
static bool may_execute(processor *p, struct page *page, struct frame_use *use, uint64_t linear)
{
	bool fresh = page->flags & PG_EXECUTED;
	bool aliased = use->write_epoch == p->epoch && use->write_page != linear;

	if (!fresh && use->exec_epoch)
		p->retranslate = linear;
	page->flags |= PG_EXECUTED;
	use->exec_page = fresh && use->exec_page != linear ? MANY_PAGES : linear;
	use->exec_epoch = p->epoch;
	if (aliased)
		p->generation = 0; /* flush, so that the next store comes here */
	return !p->retranslate && !aliased;
}

/* Is this the page through which a frame's code is executed? */
static bool holds_code(struct page *page, struct frame_use *use, uint64_t linear, uint64_t rights)
{
	return page->flags & PG_EXECUTED && use->exec_page == linear && rights & TLB_EXEC;
}

/*
 * A store is about to go to a frame.  The engine itself looks at each store
 * through an entry that may be executed, and at the first one only through any
 * other: then the code is looked at afresh once the block that stores has
 * ended.
 */
static void note_write(processor *p, struct page *page, struct frame_use *use, uint64_t linear,
		       int perms)
{
	bool first = use->write_epoch != p->epoch;

	if (page->flags & PG_EXECUTED && !(perms & ALLOW_EXEC)) {
		page->flags &= ~(uint32_t)PG_EXECUTED;
		p->generation = 0;
		leave_soon(p);
	}
	use->write_page = first || use->write_page == linear ? linear : MANY_PAGES;
	use->write_epoch = p->epoch;
}

/* ---- audit: is every translation still what the tables say? ---- */

static void note_given(processor *p, uint64_t linear, const struct engine_tlb_entry *entry)
{
	if (p->nr_given == p->room_given) {
		size_t room = p->room_given * 2;
		struct given *more = realloc(p->given, room * sizeof(*more));
		if (!more) {
			p->generation = 0; /* flush: nothing goes unlooked at */
			return;
		}
		p->given = more;
		p->room_given = room;
	}
	p->given[p->nr_given++] = (struct given){ linear, entry->paddr, entry->perms };
}

static bool still_given(processor *p, const struct given *g)
{
	pte_t pte = pte_at(p->mm, g->page);
	const pte_t stores = PTE_WRITE | PTE_DIRTY;

	if (!(pte & PTE_PRESENT) || !(pte & PTE_USER) || pte_pfn(pte) << PAGE_SHIFT != g->frame)
		return false;
	if (g->perms & ALLOW_READ && !pkey_allows_pte(p->mm, pte, ACCESS_READ))
		return false;
	if (g->perms & ALLOW_WRITE && (pte & stores) != stores)
		return false;
	return !(g->perms & ALLOW_EXEC && pte & PTE_NX);
}

static void audit(processor *p)
{
	for (size_t i = p->nr_given; i-- > 0;) {
		bool replaced = false;

		for (size_t later = i + 1; later < p->nr_given; later++)
			replaced |= p->given[later].page == p->given[i].page;
		if (!replaced && !still_given(p, &p->given[i])) {
			p->exit.addr = p->given[i].page;
			stop_run(p, RUN_STALE);
		}
	}
}

void run_set_audit(processor *p, uint64_t on)
{
	free(p->given);
	p->given = on ? malloc(AUDIT_ROOM * sizeof(*p->given)) : NULL;
	p->room_given = p->given ? AUDIT_ROOM : 0;
	p->nr_given = 0;
	p->generation = 0;
}

/*
 * A test wants the engine left at every so many misses: at once, or every other time once the block has
 * ended.
 */
static bool is_to_leave(processor *p)
{
	if (p->leave_in-- > 1)
		return false;
	p->leave_in = p->leave_every;
	if (p->counters.tlb_fills & 1) {
		leave_soon(p);
		return false;
	}
	return true;
}

void run_leave_every(processor *p, uint64_t misses) { p->leave_every = p->leave_in = misses; }

static bool fill(processor *p, uint64_t linear, uint64_t access, struct engine_tlb_entry *entry)
{
	int64_t at = reach_page(p, linear, access);

	if (at < 0)
		return false;
	uint64_t rights = tlb_rights(p->mm, linear);
	if (!only_this_page_changed(p, rights))
		return enter_again(p, access);
	uint64_t pfn = (uint64_t)at >> PAGE_SHIFT;
	struct page *page = pfn_page(p->machine, pfn);
	struct frame_use *use = &p->frames[pfn];
	bool code = access == ACCESS_EXEC || holds_code(page, use, linear, rights);
	if (code && !may_execute(p, page, use, linear))
		return enter_again(p, access);
	steps_note_fill(p, use, linear);
	entry->paddr = (uint64_t)at & PAGE_MASK;
	entry->perms = (rights & TLB_READ ? ALLOW_READ : 0) | (code ? ALLOW_EXEC : 0);
	if (rights & TLB_WRITE) {
		note_write(p, page, use, linear, entry->perms);
		entry->perms |= ALLOW_WRITE;
	}
	if (p->given)
		note_given(p, linear, entry);
	if (p->fills_left-- == 0) {
		p->grow = true;
		leave_soon(p);
	}
	return !p->leave_every || !is_to_leave(p) || enter_again(p, access);
}

static bool show_hidden(processor *p, struct engine_tlb_entry *entry)
{
	entry->paddr = p->hidden_paddr;
	entry->perms = ALLOW_ALL;
	return true;
}

/* Not an address at all: no page fault, and no address to tell. */
static bool stop_general_protection(processor *p)
{
	p->exit.vector = VECTOR_PROTECTION;
	return stop_run(p, RUN_EXCEPTION);
}

/*
 * What the engine looks for is in the frame that is meant, or where the page is mapped.  What is not
 * mapped holds no code any more: no exception is to wait for the next run.
 */
static bool show_code(processor *p, uint64_t linear, struct engine_tlb_entry *entry)
{
	uint64_t frame = p->looked_frame == NO_FRAME ? frame_of(p, linear) : p->looked_frame;

	p->generation = 0; /* flush: nothing of this is for who runs */
	if (frame == NO_FRAME)
		return show_hidden(p, entry);
	entry->paddr = frame;
	entry->perms = ALLOW_READ | ALLOW_EXEC;
	return true;
}

static bool fill_hook(engine *uc, uint64_t linear, int type, struct engine_tlb_entry *entry,
		      void *arg)
{
	processor *p = arg;
	uint64_t access = type == MEM_WRITE   ? ACCESS_WRITE
			  : type == MEM_FETCH ? ACCESS_EXEC
					      : ACCESS_READ;

	(void)uc;
	linear &= PAGE_MASK;
	p->counters.tlb_fills++;
	if (p->hidden_linear && linear == p->hidden_linear)
		return show_hidden(p, entry);
	if (p->looking)
		return show_code(p, linear, entry);
	if (p->stopped || !p->mm)
		return false;
	if (linear == HIDDEN_LINEAR && access == ACCESS_READ && reads_descriptor(p))
		return show_hidden(p, entry);
	if (p->probing)
		return probe_fill(p, linear, access, entry);
	if (!is_canonical(linear))
		return stop_general_protection(p);
	return fill(p, linear, access, entry);
}

/* ---- the other hooks ---- */

/* An answer that was stored may have hit code, or a page of the TLB. */
bool is_stale(const processor *p)
{
	return p->mm->counters.tlb_generation != p->generation ||
	       p->machine->code_generation != p->code_generation;
}

/* What the call has changed is empty before the next access; code is dropped only between two runs. */
static bool catch_up(processor *p)
{
	if (p->machine->code_generation != p->code_generation)
		return false;
	if (is_stale(p)) {
		flush_tlb(p);
		p->generation = p->mm->counters.tlb_generation;
	}
	return true;
}

static void syscall_hook(engine *uc, void *arg)
{
	processor *p = arg;

	if (!p->probing && p->current->answers && answer_call(p)) {
		if (!p->stopped && catch_up(p))
			return;
		p->again = !p->stopped;
		p->lib.call.stop(uc);
		return;
	}
	stop_run(p, RUN_CALL);
	p->lib.call.stop(uc);
}

void raise_exception(processor *p, uint32_t vector)
{
	if (!p->stopped) {
		p->exit.vector = vector;
		stop_run(p, RUN_EXCEPTION);
	}
	p->lib.call.stop(p->uc);
}

static void interrupt_hook(engine *uc, uint32_t vector, void *arg)
{
	processor *p = arg;

	(void)uc;
	if (vector == VECTOR_IA32_CALL && !p->stopped)
		stop_run(p, RUN_IA32_CALL);
	raise_exception(p, vector);
}

/* The engine ends an instruction before it stops: what this one has changed is put back in leave(). */
static void refuse(processor *p, uint32_t vector)
{
	p->refused_at = read_reg(p, REG_RIP);
	p->rax_before = read_reg(p, REG_RAX);
	raise_exception(p, vector);
}

static void put_back(processor *p)
{
	if (!p->refused_at)
		return;
	write_reg(p, REG_RIP, p->refused_at);
	write_reg(p, REG_RAX, p->rax_before);
	p->refused_at = 0;
}

/* Ports are the kernel's: the engine itself would let anyone at them. */
static uint32_t in_hook(engine *uc, uint32_t port, int size, void *arg)
{
	(void)uc, (void)port, (void)size;
	refuse(arg, VECTOR_PROTECTION);
	return 0;
}

static void out_hook(engine *uc, uint32_t port, int size, uint32_t value, void *arg)
{
	(void)value;
	in_hook(uc, port, size, arg);
}

/* As on a processor that has it for 32-bit code alone. */
static void sysenter_hook(engine *uc, void *arg)
{
	(void)uc;
	refuse(arg, VECTOR_INVALID);
}

/* The host's clock must not show: time is what the program does. */
static int rdtsc_hook(engine *uc, void *arg)
{
	processor *p = arg;

	(void)uc;
	if (p->current->no_tsc) {
		refuse(p, VECTOR_PROTECTION);
		return 1;
	}
	p->tsc += TSC_STEP;
	write_reg(p, REG_RAX, p->tsc & 0xffffffff);
	write_reg(p, REG_RDX, p->tsc >> 32);
	return 1;
}

static int rdtscp_hook(engine *uc, void *arg)
{
	processor *p = arg;

	if (!p->current->no_tsc)
		write_reg(p, REG_RCX, 0); /* processor 0, node 0 */
	return rdtsc_hook(uc, arg);
}

/* A block that is not simply one more: the slice is over, or leave_soon() and enter_again() wait for it. */
static void odd_block(processor *p)
{
	bool held = p->holding;

	release_blocks(p);
	if (p->counted && !p->leaving) {
		p->counted = false;
		return;
	}
	if (held)
		p->again = true; /* it is not run now, and will be seen again */
	else if (!p->stopped && !(p->debug && debug_count_reached(p)))
		stop_run(p, RUN_BUDGET);
	p->lib.call.stop(p->uc);
}

static void block_hook(engine *uc, uint64_t address, uint32_t size, void *arg)
{
	processor *p = arg;

	(void)uc, (void)size;
	p->block_at = address;
	if (p->blocks_left)
		p->blocks_left--;
	else
		odd_block(p);
}

const struct engine_hook_spec run_hooks[] = {
	{ HOOK_TLB_FILL, 0, (any_hook)fill_hook },
	{ HOOK_INTR, 0, (any_hook)interrupt_hook },
	{ HOOK_INSN, INSN_SYSCALL, (any_hook)syscall_hook },
	{ HOOK_INSN, INSN_SYSENTER, (any_hook)sysenter_hook },
	{ HOOK_INSN, INSN_IN, (any_hook)in_hook },
	{ HOOK_INSN, INSN_OUT, (any_hook)out_hook },
	{ HOOK_INSN, INSN_CPUID, (any_hook)cpuid_hook },
	{ HOOK_INSN, INSN_RDTSC, (any_hook)rdtsc_hook },
	{ HOOK_INSN, INSN_RDTSCP, (any_hook)rdtscp_hook },
	{ HOOK_BLOCK, 0, (any_hook)block_hook },
	{ HOOK_EDGE, 0, (any_hook)block_made },
};
const size_t nr_run_hooks = sizeof(run_hooks) / sizeof(*run_hooks);

/* ---- entering the program ---- */

uint64_t read_code(processor *p, uint64_t address, uint8_t *bytes, uint64_t max)
{
	uint64_t done = 0, n;

	for (; done < max; done += n) {
		int64_t at = mm_translate(p->mm, address + done, ACCESS_EXEC);

		if (at < 0)
			break;
		n = in_page(address + done, max - done);
		memcpy(bytes + done, p->machine->arena + at, n);
	}
	return done;
}

/*
 * Take a hook away, between two runs.  The engine looks for the code that has it, by address, in
 * whatever mm is there: who has hooks in several lets all code be forgotten.
 */
void take_hook(processor *p, engine_hook hook)
{
	p->looking = true;
	p->lib.call.hook_del(p->uc, hook);
	p->looking = false;
}

/* The engine finds the frame by asking for the page: the hook must answer. */
static void drop_translations(processor *p)
{
	uint64_t page = p->retranslate;

	p->retranslate = 0;
	p->lib.call.control(p->uc, CONTROL_TB_REMOVE, page, page + PAGE_SIZE);
	p->counters.retranslated++;
	p->generation = 0;
}

static void forget_stale(processor *p)
{
	struct mm *mm = p->current ? p->current->mm : NULL;
	uint64_t now = mm ? mm->counters.tlb_generation : 0;

	if (p->retranslate)
		drop_translations(p);
	operands_settle(p);
	drops_settle(p);
	p->mm = mm;
	if (p->grow)
		help_tlb_grow(p);
	p->grow = false;
	if (now == p->generation && p->code_generation == p->machine->code_generation)
		return;
	flush_tlb(p);
	p->generation = now;
	p->code_generation = p->machine->code_generation;
}

void begin_run(processor *p)
{
	memset(&p->exit, 0, sizeof(p->exit));
	p->stopped = p->again = p->leaving = false;
	p->refused_at = 0;
	p->caller = NULL;
}

int run_engine(processor *p, uint64_t rip)
{
	p->counters.entries++;
	if (p->counted)
		hold_blocks(p);
	p->block_at = 0;
	int error = p->lib.call.start(p->uc, rip, 0, 0, 0);
	release_blocks(p);
	return error;
}

static void take_call(processor *p)
{
	/* clang-format off */
	static const int regs[] = { REG_RAX, REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9,
				    REG_RIP, REG_EFLAGS };
	/* clang-format on */
	struct run_exit *e = &p->exit;
	void *values[] = { &e->nr,      &e->args[0], &e->args[1], &e->args[2],   &e->args[3],
			   &e->args[4], &e->args[5], &e->rip,     &p->call_flags };

	p->counters.calls++;
	p->lib.call.reg_read_batch(p->uc, regs, values, sizeof(regs) / sizeof(*regs));
	p->counters.vsyscalls += (e->rip & PAGE_MASK) == VSYSCALL_ADDR;
}

/* Which halves of the arguments count is Python's to say; no register is changed but for rax. */
static void take_ia32_call(processor *p)
{
	/* clang-format off */
	static const int regs[] = { REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI, REG_RBP,
				    REG_RIP };
	/* clang-format on */
	struct run_exit *e = &p->exit;
	void *values[] = { &e->nr,      &e->args[0], &e->args[1], &e->args[2],
			   &e->args[3], &e->args[4], &e->args[5], &e->rip };

	p->counters.calls++;
	p->lib.call.reg_read_batch(p->uc, regs, values, sizeof(regs) / sizeof(*regs));
	e->nr &= LOW_HALF;
	p->current->in_ia32_call = true;
	mend_exception(p);
}

/* What the engine's own result means when no hook stopped it. */
static void judge(processor *p, int error)
{
	if (p->again)
		return;
	if (error == ENGINE_INSN_INVALID) {
		p->exit.vector = do_invalid(p);
		if (p->exit.vector != VECTOR_NONE)
			stop_run(p, RUN_EXCEPTION);
		return;
	}
	p->exit.status = error;
	stop_run(p, RUN_ENGINE);
}

/* Put the blocks since the last time on the clock. */
void count_work(processor *p, uint64_t calls)
{
	uint64_t blocks = p->blocks_counted - p->blocks_left;

	p->blocks_counted = p->blocks_left;
	p->counters.blocks += blocks;
	if (p->clock)
		*p->clock += blocks * p->block_ns + calls * p->call_ns;
	if (is_told(p->machine))
		p->machine->events->ahead_ns = 0;
}

/* Who stopped at an instruction, or in its middle, is not to stop there again when it goes on. */
static void note_for_debugger(processor *p)
{
	bool at_place = p->exit.status != DEBUG_PLACE || p->exit.addr;
	bool before_block = p->exit.status == DEBUG_FAULT && p->exit.access == ACCESS_EXEC;
	bool at_instruction = p->exit.reason == RUN_DEBUG && at_place;

	p->current->in_block = at_instruction && !before_block;
	if (at_instruction)
		debug_left(p, p->exit.rip, 0);
	else if (p->exit.reason == RUN_NEED && p->exit.access != ACCESS_EXEC)
		debug_left(p, p->exit.rip, 1);
}

/* As enter_again(): the block has been counted, and the instruction. */
static void note_for_watcher(processor *p)
{
	bool in_block = p->exit.access != ACCESS_EXEC;

	p->current->in_block = in_block;
	p->stepped |= p->stepping && in_block;
	if (p->debug && in_block)
		debug_left(p, p->exit.rip, 1);
}

/* A call in which the task sleeps now. */
static bool sleeps(processor *p)
{
	if (p->exit.reason != RUN_SLEEP)
		return false;
	count_work(p, 1);
	p->counters.calls++;
	return true;
}

/* Traps are told of behind their instruction, faults before it: then the flags are saved with RF. */
static bool at_fault(const struct run_exit *e)
{
	bool trap = e->vector == VECTOR_BREAKPOINT || e->vector == VECTOR_OVERFLOW ||
		    e->vector == VECTOR_DEBUG;

	if (e->reason == RUN_EXCEPTION)
		return !trap;
	return e->reason == RUN_FAULT || e->reason == RUN_NEED;
}

static int64_t leave_for(processor *p)
{
	count_work(p, p->exit.reason == RUN_CALL || p->exit.reason == RUN_IA32_CALL);
	if (p->exit.reason == RUN_CALL) {
		take_call(p);
		p->caller = p->current;
		return RUN_CALL;
	}
	if (p->exit.reason == RUN_IA32_CALL) {
		take_ia32_call(p);
		return RUN_IA32_CALL;
	}
	put_back(p);
	p->exit.rip = read_reg(p, REG_RIP);
	if (p->debug)
		note_for_debugger(p);
	if (p->exit.reason == RUN_EVENT)
		note_for_watcher(p);
	if (p->exit.reason == RUN_EXCEPTION || p->exit.reason == RUN_FAULT)
		correct_exception(p);
	if (p->exit.reason == RUN_EXCEPTION)
		mend_exception(p);
	else if (p->exit.reason == RUN_FAULT || p->exit.status == NEED_USER)
		find_address(p);
	p->current->resume = at_fault(&p->exit);
	return (int64_t)p->exit.reason;
}

/* Python learns first that others have had turns. */
static int64_t leave(processor *p)
{
	int64_t reason = leave_for(p);

	return p->turn.passed ? RUN_TURNED : reason;
}

/* Run on from rip. */
static int64_t run_from(context *c, uint64_t rip)
{
	processor *p = c->p;

	for (;;) {
		forget_stale(p);
		begin_run(p);
		if (p->given)
			audit(p);
		int error = p->stopped ? 0 : run_engine(p, rip);
		if (!p->stopped)
			judge(p, error);
		if (p->stopped && !(sleeps(p) && next_turn(p)))
			return leave(p);
		rip = read_reg(p, REG_RIP);
		if (p->debug && p->counted)
			debug_left(p, rip, 0);
	}
}

int64_t run(context *c, uint64_t calls)
{
	c->answers = calls;
	c->in_ia32_call = c->resume = false;
	context_load(c);
	c->p->counted |= c->in_block;
	c->in_block = false;
	return run_from(c, read_reg(c->p, REG_RIP));
}

/* The instruction itself leaves the address and the flags in rcx and r11. */
void return_from_call(processor *p, uint64_t rax, uint64_t rip, uint64_t flags)
{
	static const int regs[] = { REG_RAX, REG_RCX, REG_R11 };
	void *const values[] = { &rax, &rip, &flags };

	p->lib.call.reg_write_batch(p->uc, regs, values, sizeof(regs) / sizeof(*regs));
}

void context_result(context *c, int64_t rax)
{
	processor *p = c->p;

	context_load(c);
	if (c->in_ia32_call)
		write_reg(p, REG_RAX, (uint64_t)rax);
	else
		return_from_call(p, (uint64_t)rax, read_reg(p, REG_RIP), read_reg(p, REG_EFLAGS));
}

int64_t run_result(context *c, int64_t rax)
{
	processor *p = c->p;

	if (p->current != c || p->caller != c) { /* others were looked at meanwhile */
		context_result(c, rax);
		return run(c, c->answers);
	}
	remember_answer(c, p->exit.nr, rax);
	return_from_call(p, (uint64_t)rax, p->exit.rip, p->call_flags);
	return run_from(c, p->exit.rip);
}

static void set_slice(processor *p, uint64_t blocks)
{
	p->steps_left = blocks;
	p->blocks_left = p->blocks_counted = p->stepping ? ~0ul : blocks;
	if (p->debug)
		debug_cut_slice(p);
}

/*
 * How far between least and most the slice of this turn ends, in parts of 2^32: multiples of the golden ratio,
 * which lie evenly and never come in step with a loop, whatever its length.
 */
static uint64_t part_of_turn(const processor *p)
{
	return p->counters.turns * 0x9e3779b97f4a7c15 >> 32;
}

void run_slice(processor *p, uint64_t least, uint64_t most)
{
	p->turn.least = least;
	p->turn.most = most;
	set_slice(p, least + ((most - least) * part_of_turn(p) >> 32));
}

void run_slice_end(processor *p)
{
	p->touched = true;
	set_slice(p, 0);
}

void run_set_clock(processor *p, uint64_t *ns, const uint64_t *due, uint64_t call_ns,
		   uint64_t block_ns)
{
	p->clock = ns;
	p->due = due;
	p->call_ns = call_ns;
	p->block_ns = block_ns;
}

struct run_exit *run_exit(processor *p) { return &p->exit; }
struct run_counters *run_counters(processor *p) { return &p->counters; }
