/*
 * cpu.c - runs guest code on Unicorn and is the guest's MMU.
 *
 * Owns the engine, the guest's debug port and the processor's TLB.  Uses the
 * public calls of core_api.h only, and links nothing: the engine's shared
 * library is opened by its path, its functions are kept in a table.
 *
 * A TLB miss of the guest comes to fill_hook():
 *
 *	linear --guest's tables--> physical --emulator's ram mapping--> frame
 *	linear --emulator's window mapping--------------------------> frame
 *
 * Equal frames: the miss is served here.  Otherwise the run stops with a
 * reason and the emulator mends its window by system calls.  So the window
 * is never believed, and invlpg and CR3 are exact: both empty the
 * processor's TLB, and what is touched next is compared again.
 *
 * Invariant: an entry in the engine's TLB was equal when it was filled, and
 * the task's ptes were not downgraded since (tlb_generation is compared
 * before each run).
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core_api.h"
#include "cpu.h"
#include "engine.h"

#define GUEST_PAGE 4096ull
#define GUEST_PRESENT 0x001ull
#define GUEST_WRITE 0x002ull
#define GUEST_USER 0x004ull
#define GUEST_ACCESSED 0x020ull
#define GUEST_DIRTY 0x040ull
#define GUEST_LARGE 0x080ull
#define GUEST_NX (1ull << 63)
#define GUEST_ADDR 0x000ffffffffff000ull
#define GUEST_LEVELS 4

#define CR0_PE (1ull << 0)
#define CR0_WP (1ull << 16)
#define CR0_PG (1ull << 31)
#define CR4_PAE (1ull << 5)
#define CR4_OSFXSR (1ull << 9)
#define MSR_EFER 0xc0000080u
#define EFER_LONG 0xd00ull /* LME, LMA, NXE */

#define DEBUG_PORT 0xe9u
#define OUTPUT_MAX (1u << 20)
#define NOWHERE (1ull << 45) /* a physical page that no machine has */
#define MAX_TRIES 4
#define VECTOR_INVALID_OPCODE 6
#define VECTOR_GENERAL_PROTECTION 13
#define NO_CR3 (~0ull)
#define TSC_STEP 1000
#define TCG_BUFFER_BYTES (16u << 20)
#define RUN_AGAIN ((enum cpu_stop)1000) /* between cpu_run() and its hooks */

struct cpu {
	machine *machine;
	mm *space;
	char *arena;
	struct cpu_params params;
	struct engine_library lib;
	engine *uc;
	struct cpu_exit exit;
	bool stopped; /* exit.reason was set by a hook of this run */
	uint64_t cr3; /* the one whose pages the window shows */
	uint64_t generation;
	uint64_t budget_left;
	uint64_t tsc; /* virtual: moves with each reading */
	struct cpu_counters counters;
	char *output;
	uint64_t output_bytes, output_room;
};

/* One translation by the guest's own tables. */
struct walk {
	uint64_t entries[GUEST_LEVELS]; /* physical addresses of the entries */
	uint64_t seen[GUEST_LEVELS];    /* and what they held */
	int depth;                      /* entries used */
	uint64_t page;                  /* guest physical, 4 KiB */
	uint64_t leaf;
	bool writable, user, executable;
};

static uint64_t read_reg(cpu *c, int reg)
{
	uint64_t value = 0;

	c->lib.call.reg_read(c->uc, reg, &value);
	return value;
}

static void write_reg(cpu *c, int reg, uint64_t value)
{
	c->lib.call.reg_write(c->uc, reg, &value);
}

static bool stop_run(cpu *c, enum cpu_stop reason)
{
	c->exit.reason = reason;
	c->stopped = true;
	return false;
}

/* ---- the emulator's side: user addresses to frames ---- */

/* The arena offset of a page of the task, faulting it in, or what is needed. */
static int64_t host_page(cpu *c, uint64_t addr, uint64_t access)
{
	int64_t result = -EFAULT;

	for (int tries = 0; tries < MAX_TRIES && result < 0; tries++) {
		result = mm_translate(c->space, addr, access);
		if (result >= 0)
			break;
		result = mm_fault(c->space, addr, access);
		if (result < 0)
			break;
		result = -EFAULT; /* mended: translate again */
	}
	return result;
}

static bool is_verdict(int64_t result)
{
	return result == -EFAULT || (result <= SEGV_MAPERR && result >= SEGV_PKUERR);
}

static bool stop_for_host(cpu *c, uint64_t addr, uint64_t access)
{
	c->exit.host = addr;
	c->exit.access = access;
	return stop_run(c, CPU_NEED);
}

/* A word of guest RAM, or NULL with the run stopped. */
static uint64_t *ram_word(cpu *c, uint64_t physical, uint64_t access)
{
	uint64_t page = physical & ~(GUEST_PAGE - 1);
	int64_t frame;

	if (physical >= c->params.ram_bytes) {
		c->exit.physical = physical;
		stop_run(c, CPU_BAD_TABLE);
		return NULL;
	}
	frame = host_page(c, c->params.ram + page, access);
	if (frame < 0) {
		stop_for_host(c, c->params.ram + page, access);
		return NULL;
	}
	return (uint64_t *)(c->arena + frame + (physical - page));
}

/* ---- the guest's side: its own page tables ---- */

/* Who accesses what how, as an error code of a fault says it. */
static uint64_t access_code(cpu *c, uint64_t access)
{
	uint64_t code = (read_reg(c, REG_CS) & 3) == 3 ? CPU_FAULT_USER : 0;

	if (access == ACCESS_WRITE)
		code |= CPU_FAULT_WRITE;
	if (access == ACCESS_EXEC)
		code |= CPU_FAULT_FETCH;
	return code;
}

static bool guest_fault(cpu *c, uint64_t linear, uint64_t code)
{
	c->exit.linear = linear;
	c->exit.error_code = code;
	return stop_run(c, CPU_GUEST_FAULT);
}

static bool is_canonical(uint64_t linear)
{
	return (uint64_t)((int64_t)(linear << 16) >> 16) == linear;
}

/* Follow the tables to the leaf; false: the run is stopped. */
static bool walk_tables(cpu *c, uint64_t linear, uint64_t code, struct walk *w)
{
	uint64_t table = c->cr3 & GUEST_ADDR;

	w->writable = w->user = w->executable = true;
	for (int level = GUEST_LEVELS - 1; level >= 0; level--) {
		int shift = 12 + 9 * level;
		uint64_t physical = table + (linear >> shift & 511) * 8;
		uint64_t *word = ram_word(c, physical, ACCESS_READ);

		if (!word)
			return false;
		w->leaf = *word;
		w->seen[w->depth] = w->leaf;
		w->entries[w->depth++] = physical;
		if (!(w->leaf & GUEST_PRESENT))
			return guest_fault(c, linear, code);
		w->writable &= !!(w->leaf & GUEST_WRITE);
		w->user &= !!(w->leaf & GUEST_USER);
		w->executable &= !(w->leaf & GUEST_NX);
		table = w->leaf & GUEST_ADDR;
		if (level == 3 && (w->leaf & GUEST_LARGE))
			return guest_fault(c, linear,
					   code | CPU_FAULT_PRESENT | CPU_FAULT_RESERVED);
		if (level > 0 && (w->leaf & GUEST_LARGE)) {
			uint64_t inside = (1ull << shift) - 1;

			table = (table & ~inside) | (linear & inside);
			break;
		}
	}
	w->page = table & ~(GUEST_PAGE - 1);
	return true;
}

static bool access_allowed(cpu *c, const struct walk *w, uint64_t code)
{
	if (code & CPU_FAULT_USER && !w->user)
		return false;
	if (code & CPU_FAULT_FETCH)
		return w->executable;
	if (code & CPU_FAULT_WRITE && !w->writable)
		return !(code & CPU_FAULT_USER) && !(read_reg(c, REG_CR0) & CR0_WP);
	return true;
}

/* What the processor writes back: accessed in each entry, dirty in the leaf. */
static bool mark_entries(cpu *c, struct walk *w, uint64_t access)
{
	for (int i = 0; i < w->depth; i++) {
		bool is_leaf = i == w->depth - 1;
		uint64_t bits = GUEST_ACCESSED;
		uint64_t *word;

		if (is_leaf && access == ACCESS_WRITE)
			bits |= GUEST_DIRTY;
		if ((w->seen[i] & bits) == bits)
			continue;
		word = ram_word(c, w->entries[i], ACCESS_WRITE);
		if (!word)
			return false;
		*word |= bits;
		if (is_leaf)
			w->leaf = *word;
	}
	return true;
}

/* ---- a TLB miss ---- */

static bool window_stop(cpu *c, enum cpu_stop reason, uint64_t linear, const struct walk *w)
{
	c->exit.linear = linear;
	c->exit.physical = w->page;
	c->exit.writable = w->writable;
	c->exit.host = c->params.window + linear;
	return stop_run(c, reason);
}

/* The frame shown for linear, compared with the one that the guest means. */
static int64_t window_frame(cpu *c, uint64_t linear, uint64_t access, const struct walk *w)
{
	uint64_t touch = access == ACCESS_WRITE ? ACCESS_WRITE : ACCESS_READ;
	uint64_t host = c->params.window + linear;
	int64_t shown, meant;

	if (linear >= c->params.window_bytes)
		return window_stop(c, CPU_BEYOND_WINDOW, linear, w) - 1;
	if (w->page >= c->params.ram_bytes) {
		c->exit.linear = linear;
		c->exit.physical = w->page;
		return stop_run(c, CPU_BAD_TABLE) - 1;
	}
	meant = host_page(c, c->params.ram + w->page, touch);
	if (meant < 0)
		return stop_for_host(c, c->params.ram + w->page, touch) - 1;
	shown = host_page(c, host, touch);
	if (is_verdict(shown))
		return window_stop(c, CPU_WINDOW_MISS, linear, w) - 1;
	if (shown < 0)
		return stop_for_host(c, host, touch) - 1;
	if (shown != meant)
		return window_stop(c, CPU_STALE, linear, w) - 1;
	return shown;
}

static int permissions(cpu *c, uint64_t linear, const struct walk *w)
{
	uint64_t host = c->params.window + linear;
	int allowed = ALLOW_READ;

	if (w->executable)
		allowed |= ALLOW_EXEC;
	/* A clean page's first store must come here, to be marked dirty. */
	if (w->writable && (w->leaf & GUEST_DIRTY) &&
	    mm_translate(c->space, host, ACCESS_WRITE) >= 0)
		allowed |= ALLOW_WRITE;
	return allowed;
}

static bool fill(cpu *c, uint64_t linear, uint64_t access, struct engine_tlb_entry *entry)
{
	uint64_t cr3 = read_reg(c, REG_CR3);
	uint64_t code = access_code(c, access);
	struct walk w = { .depth = 0 };
	int64_t frame;

	if (cr3 != c->cr3) {
		c->cr3 = cr3;
		return stop_run(c, CPU_NEW_CR3);
	}
	if (!is_canonical(linear)) {
		c->exit.vector = VECTOR_GENERAL_PROTECTION;
		return stop_run(c, CPU_EXCEPTION);
	}
	if (!walk_tables(c, linear, code, &w))
		return false;
	if (!access_allowed(c, &w, code))
		return guest_fault(c, linear, code | CPU_FAULT_PRESENT);
	frame = window_frame(c, linear, access, &w);
	if (frame < 0 || !mark_entries(c, &w, access))
		return false;
	/* A fault taken on the way replaced a page: flush before going on. */
	if (mm_counters(c->space)->tlb_generation != c->generation)
		return stop_run(c, RUN_AGAIN);
	entry->paddr = (uint64_t)frame;
	entry->perms = permissions(c, linear, &w);
	if (access == ACCESS_WRITE) /* supervisor's store with CR0.WP clear */
		entry->perms |= ALLOW_WRITE;
	return true;
}

static bool fill_hook(engine *uc, uint64_t linear, int type, struct engine_tlb_entry *entry,
		      void *arg)
{
	cpu *c = arg;
	uint64_t access = type == MEM_WRITE   ? ACCESS_WRITE
			  : type == MEM_FETCH ? ACCESS_EXEC
					      : ACCESS_READ;

	(void)uc;
	if (c->stopped) /* a stop was asked for; run nothing more */
		return false;
	c->counters.tlb_fills++;
	if (fill(c, linear & ~(GUEST_PAGE - 1), access, entry))
		return true;
	if (c->exit.reason != CPU_GUEST_FAULT || access == ACCESS_EXEC)
		return false;
	/* The hook is told only the page.  Let the engine go on to memory that
	   does not exist: unmapped_hook() is told the byte, that is CR2. */
	entry->paddr = NOWHERE;
	entry->perms = ALLOW_READ | ALLOW_WRITE;
	return true;
}

static bool unmapped_hook(engine *uc, int type, uint64_t address, int size, int64_t value,
			  void *arg)
{
	cpu *c = arg;

	(void)uc, (void)type, (void)size, (void)value;
	if (c->stopped && c->exit.reason == CPU_GUEST_FAULT &&
	    !(c->exit.error_code & CPU_FAULT_FETCH))
		c->exit.linear |= address & (GUEST_PAGE - 1);
	return false;
}

/* ---- the other hooks ---- */

static bool output_grow(cpu *c)
{
	uint64_t room = c->output_room ? 2 * c->output_room : 256;
	char *bigger;

	if (room > OUTPUT_MAX)
		return false;
	bigger = realloc(c->output, room);
	if (!bigger)
		return false;
	c->output = bigger;
	c->output_room = room;
	return true;
}

static void out_hook(engine *uc, uint32_t port, int size, uint32_t value, void *arg)
{
	cpu *c = arg;

	(void)uc, (void)size;
	if (port != DEBUG_PORT)
		return;
	if (c->output_bytes == c->output_room && !output_grow(c)) {
		c->counters.output_lost++;
		return;
	}
	c->output[c->output_bytes++] = (char)value;
}

static uint32_t in_hook(engine *uc, uint32_t port, int size, void *arg)
{
	(void)uc, (void)arg;
	if (port == DEBUG_PORT)
		return DEBUG_PORT; /* so a guest finds out that the port exists
				    */
	return size == 4 ? ~0u : (1u << 8 * size) - 1;
}

/* The host's clock must not show: a guest's time is its own readings. */
static int rdtsc_hook(engine *uc, void *arg)
{
	cpu *c = arg;

	(void)uc;
	c->tsc += TSC_STEP;
	write_reg(c, REG_RAX, c->tsc & 0xffffffff);
	write_reg(c, REG_RDX, c->tsc >> 32);
	return 1;
}

static void interrupt_hook(engine *uc, uint32_t vector, void *arg)
{
	cpu *c = arg;

	if (!c->stopped) {
		c->exit.vector = vector;
		stop_run(c, CPU_EXCEPTION);
	}
	c->lib.call.stop(uc);
}

static void block_hook(engine *uc, uint64_t address, uint32_t size, void *arg)
{
	cpu *c = arg;

	(void)address, (void)size;
	if (c->budget_left) {
		c->budget_left--;
		return;
	}
	stop_run(c, CPU_BUDGET);
	c->lib.call.stop(uc);
}

/* ---- life of a cpu ---- */

static const struct engine_hook_spec hooks[] = {
	{ HOOK_TLB_FILL, 0, (any_hook)fill_hook },  { HOOK_UNMAPPED, 0, (any_hook)unmapped_hook },
	{ HOOK_INTR, 0, (any_hook)interrupt_hook }, { HOOK_INSN, INSN_OUT, (any_hook)out_hook },
	{ HOOK_INSN, INSN_IN, (any_hook)in_hook },  { HOOK_INSN, INSN_RDTSC, (any_hook)rdtsc_hook },
	{ HOOK_BLOCK, 0, (any_hook)block_hook }, /* the last: not always */
};

static int64_t open_engine(cpu *c)
{
	size_t nr_hooks = sizeof(hooks) / sizeof(*hooks);
	int64_t error;

	if (!c->params.budget)
		nr_hooks--; /* counting blocks costs time */
	error = engine_open(&c->lib, c->arena, machine_arena_bytes(c->machine), TCG_BUFFER_BYTES,
			    &c->uc);
	if (!error && engine_add_hooks(&c->lib, c->uc, hooks, nr_hooks, c))
		error = engine_failed(&c->lib, -EIO, "cannot set the engine up", "its hooks");
	return error;
}

static bool params_valid(const struct cpu_params *p)
{
	uint64_t all = p->window | p->window_bytes | p->ram | p->ram_bytes;

	return !(all & (GUEST_PAGE - 1)) && p->window_bytes && p->ram_bytes &&
	       p->window + p->window_bytes > p->window && p->ram + p->ram_bytes > p->ram;
}

/* On an error *out is the cpu that tells why, still to be destroyed. */
int64_t cpu_create(machine *m, mm *space, const char *library, const struct cpu_params *params,
		   cpu **out)
{
	int64_t error;
	cpu *c;

	*out = NULL;
	if (!params_valid(params))
		return -EINVAL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	*out = c;
	c->machine = m;
	c->space = space;
	c->arena = machine_arena(m);
	c->params = *params;
	c->cr3 = NO_CR3;
	c->budget_left = params->budget;
	error = engine_load(&c->lib, library);
	return error ? error : open_engine(c);
}

void cpu_destroy(cpu *c)
{
	if (!c)
		return;
	if (c->uc)
		c->lib.call.close(c->uc);
	engine_unload(&c->lib);
	free(c->output);
	free(c);
}

const char *cpu_load_error(cpu *c) { return c ? c->lib.error : ""; }

/* Put the processor where a boot loader leaves it: 64-bit mode, paging on. */
int64_t cpu_reset(cpu *c, const struct cpu_start *start)
{
	struct engine_msr efer = { MSR_EFER, EFER_LONG };

	c->lib.call.reg_write(c->uc, REG_MSR, &efer);
	write_reg(c, REG_CR4, CR4_PAE | CR4_OSFXSR);
	write_reg(c, REG_CR3, start->cr3);
	write_reg(c, REG_CR0, CR0_PE | CR0_WP | CR0_PG);
	write_reg(c, REG_FPCW, 0x37f);
	write_reg(c, REG_FPTAG, 0xffff); /* every register empty */
	write_reg(c, REG_MXCSR, 0x1f80);
	write_reg(c, REG_RSP, start->rsp);
	write_reg(c, REG_RDI, start->rdi);
	write_reg(c, REG_RIP, start->rip);
	c->cr3 = read_reg(c, REG_CR3);
	c->output_bytes = 0;
	c->budget_left = c->params.budget;
	c->generation = mm_counters(c->space)->tlb_generation;
	c->lib.call.control(c->uc, CONTROL_TLB_FLUSH);
	return c->cr3 == start->cr3 ? 0 : -EIO;
}

static void forget_downgraded(cpu *c)
{
	uint64_t now = mm_counters(c->space)->tlb_generation;

	if (now == c->generation)
		return;
	c->lib.call.control(c->uc, CONTROL_TLB_FLUSH);
	c->counters.tlb_flushes++;
	c->generation = now;
}

/* What the engine's own result means when no hook stopped it. */
static void judge(cpu *c, int error)
{
	if (error == ENGINE_OK) {
		c->exit.reason = CPU_HALTED;
	} else if (error == ENGINE_INSN_INVALID) {
		c->exit.reason = CPU_EXCEPTION;
		c->exit.vector = VECTOR_INVALID_OPCODE;
	} else {
		c->exit.reason = CPU_ENGINE;
		c->exit.engine_error = (uint64_t)error;
	}
}

static void run_once(cpu *c)
{
	int error;

	forget_downgraded(c);
	memset(&c->exit, 0, sizeof(c->exit));
	c->stopped = false;
	c->counters.runs++;
	error = c->lib.call.start(c->uc, read_reg(c, REG_RIP), 0, 0, 0);
	if (!c->stopped)
		judge(c, error);
	c->exit.rip = read_reg(c, REG_RIP);
}

int64_t cpu_run(cpu *c, struct cpu_exit *out)
{
	do {
		run_once(c);
	} while (c->exit.reason == RUN_AGAIN);
	if (c->exit.reason == CPU_GUEST_FAULT && (c->exit.error_code & CPU_FAULT_FETCH) &&
	    (c->exit.rip & ~(GUEST_PAGE - 1)) == c->exit.linear)
		c->exit.linear = c->exit.rip;
	*out = c->exit;
	return (int64_t)c->exit.reason;
}

struct cpu_counters *cpu_counters(cpu *c) { return &c->counters; }

int64_t cpu_output(cpu *c, char *buf, uint64_t max)
{
	uint64_t nbytes = c->output_bytes < max ? c->output_bytes : max;

	if (!nbytes)
		return 0;
	memcpy(buf, c->output, nbytes);
	memmove(c->output, c->output + nbytes, c->output_bytes - nbytes);
	c->output_bytes -= nbytes;
	return (int64_t)nbytes;
}

const char *cpu_engine_text(cpu *c, uint64_t engine_error)
{
	return c->lib.call.text((int)engine_error);
}
