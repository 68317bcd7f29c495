/*
 * processor.h - what run.c, context.c and ring3.c share; read by no one else.
 *
 * Invariants.  The engine holds the registers of `current`; those of every
 * other context lie in its `saved`.  Every entry of the engine's TLB was right
 * for the mm whose generation is `generation` when it was filled.  A frame
 * with PG_EXECUTED holds the bytes that its translated code was made from.
 */
#ifndef PKERN_PROCESSOR_H
#define PKERN_PROCESSOR_H

#include "core.h"
#include "run.h"

#include "engine.h"

#define HIDDEN_LINEAR 0xfffffe0000001000ul /* the page of ring3.c; descriptors, later */
#define MANY_PAGES (~0ul)

struct frame_use {
	uint32_t exec_epoch, write_epoch; /* of the last fill; 0: never */
	uint64_t exec_page, write_page;   /* through this linear page, or MANY_PAGES */
	/* steps.c, while watching */
	const struct context *accessor; /* the first */
	uint64_t linear;                /* of the last fill */
	bool shared, written;
};

struct code_site {
	uint64_t address; /* 0: free */
	void *what;       /* its owner's */
};
struct code_sites {
	struct code_site *at;
	uint64_t nr, room;
};
struct code_site *site_at(const struct code_sites *s, uint64_t address);
bool sites_make_room(struct code_sites *s);

struct insn;  /* insn.h */
struct place; /* operands.c: an instruction that is looked at, or was */
#define MOST_PLACES 16
#define MAX_TIRED 64
struct places {
	struct code_sites sites;                 /* of struct place */
	uint64_t recent[MOST_PLACES], nr_hooked; /* the last that got a hook, in turn */
	uint64_t tired[MAX_TIRED], nr_tired;     /* whose hooks are to go */
};

#define NO_FRAME (~0ul)
#define MAX_DROPS 128
struct drop { /* what was made of [from, to), of one page, when it was shown by a frame */
	uint64_t frame, from, to;
};
struct drops {
	struct drop at[MAX_DROPS]; /* code to be translated anew */
	uint64_t nr;
	bool all;
};

/* In a ring with a head; one that is in none is a ring by itself. */
struct link {
	struct link *next, *previous;
};
static inline void link_alone(struct link *l) { l->next = l->previous = l; }
static inline bool is_alone(const struct link *l) { return l->next == l; }
static inline void link_before(struct link *at, struct link *l)
{
	l->next = at;
	l->previous = at->previous;
	l->previous->next = at->previous = l;
}
static inline void link_take(struct link *l)
{
	l->previous->next = l->next;
	l->next->previous = l->previous;
	link_alone(l);
}

#define WORD_BUCKETS 256
struct words {                              /* futex.c */
	struct link sleepers[WORD_BUCKETS]; /* in the order in which they came */
	uint32_t held[WORD_BUCKETS];        /* words whose sleepers are Python's */
};

struct given { /* audit: one entry of the engine's TLB */
	uint64_t page, frame;
	int perms;
};

struct context {
	processor *p;
	struct mm *mm;
	uint32_t pkru;        /* while another task runs; else mm's */
	struct policy policy; /* the same */
	engine_context *saved;
	uint64_t answers;                     /* enum run_calls */
	uint64_t remembered[ANSWER_TIMESPEC]; /* by kind */
	uint64_t known;                       /* bit n: kind n is remembered */
	bool no_tsc;                          /* RDTSC and RDTSCP are not for it */
	bool own_time;         /* the machine's uptime is not what it is to be told */
	bool in_ia32_call;     /* made by int 0x80; until the task runs on */
	bool resume;           /* RF: it stands at a fault; until it runs on */
	uint64_t asking;       /* the page, and the access to it, that had a need last */
	uint64_t asked;        /* how often in a row; 0: it is done */
	void *owner;           /* what Python knows it by */
	struct runner *runner; /* its thread */
	struct link turn;      /* in the queue */
	struct link sleep;     /* in futex.c */
	/* debug.c */
	bool in_block; /* it stopped in the middle of a block, which has been counted */
	uint64_t passed,
		passed_at; /* the instruction not to stop at, once so many blocks have begun */
};

struct processor {
	struct machine *machine;
	struct engine_library lib;
	engine *uc;
	engine_context *pristine; /* ring 3, as execve leaves it */
	engine_context *scratch;
	size_t context_bytes;
	size_t exception_at; /* where a saved context keeps its last exception; 0: mend nothing */
	context *current;
	struct mm *mm;       /* whose translations the TLB holds */
	uint64_t generation; /* of mm, when it was last flushed or looked at */
	uint64_t code_generation;
	uint32_t epoch; /* moves at every flush, from 1 */
	struct frame_use *frames;
	char *hidden;           /* two pages outside the arena */
	uint64_t hidden_paddr;  /* where the engine sees it */
	uint64_t hidden_linear; /* where it is shown now; 0: nowhere */
	bool looking;           /* the engine looks for code that it has translated */
	uint64_t looked_frame;  /* in this frame; NO_FRAME: wherever the page is mapped */
	uint64_t scrap_paddr;   /* the page behind it: for stores that are not to be */
	uint64_t nothing_paddr; /* a page that does not exist */
	struct run_exit exit;
	bool stopped;         /* a hook has set exit.reason */
	bool again;           /* or wants only to be entered anew */
	context *caller;      /* who made the system call that exit tells of */
	uint64_t call_flags;  /* at the last system call */
	uint64_t retranslate; /* drop what was made of this linear page's code; 0: none */
	uint64_t refused_at,
		rax_before; /* rip and rax of an instruction that is refused; 0: none */
	uint64_t tsc;
	uint64_t blocks_held; /* blocks_left, while holding */
	bool holding;
	uint64_t blocks_left, blocks_counted; /* of the slice; those not on the clock yet */
	uint64_t block_at;   /* the last that has begun since the engine was entered; 0: none */
	uint64_t steps_left; /* of the slice, while stepping: instructions */
	bool stepping;
	bool watching;               /* only what touches shared pages counts */
	bool touched;                /* the instruction before has, or the slice is to end */
	uint64_t *shared, nr_shared; /* linear pages, ascending: of a run before */
	bool noting;                 /* and is written down: */
	struct access_note *notes;
	uint64_t nr_notes, room_notes;
	bool lost_note;
	uint64_t step_at; /* the instruction that is being made, while stepping */
	bool stepped;     /* the instruction that is about to be made has been counted */
	uint64_t *clock;
	const uint64_t *due; /* on the clock: when Python must look */
	uint64_t call_ns, block_ns;
	struct link queue; /* who can run, the next one first */
	struct words words;
	struct run_turn turn;
	struct run_answers answers;
	struct run_counters counters;
	uint64_t fills_left,
		growth; /* misses until the TLB is helped to grow; the last such number */
	bool grow;
	struct given *given; /* NULL: no audit */
	size_t nr_given, room_given;
	struct code_sites x87; /* addresses with a hook */
	struct places places;
	struct drops drops;
	uint64_t leave_every; /* a test: enter anew at every so many misses; 0: never */
	uint64_t leave_in;
	bool leaving; /* enter anew where the next block begins */
	bool counted; /* the block that is about to be entered has been counted */
	bool probing; /* address.c: one instruction is made again */
	uint64_t probe_page;
	uint64_t probe_addr;
	struct debug *debug; /* NULL: nobody debugs */
};

static inline uint64_t read_reg(processor *p, int reg)
{
	uint64_t value = 0;

	p->lib.call.reg_read(p->uc, reg, &value);
	return value;
}

static inline void write_reg(processor *p, int reg, uint64_t value)
{
	p->lib.call.reg_write(p->uc, reg, &value);
}

static inline bool is_canonical(uint64_t addr)
{
	return (uint64_t)((int64_t)(addr << 16) >> 16) == addr;
}

/* Exceptions. */
enum {
	VECTOR_DEBUG = 1,
	VECTOR_BREAKPOINT = 3,
	VECTOR_OVERFLOW = 4,
	VECTOR_INVALID = 6,
	VECTOR_STACK = 12,
	VECTOR_PROTECTION = 13,
	VECTOR_PAGE_FAULT = 14
};

/* run.c */
extern const struct engine_hook_spec run_hooks[];
extern const size_t nr_run_hooks;
void begin_run(processor *p);               /* nothing has happened yet */
int run_engine(processor *p, uint64_t rip); /* enter once; the engine's error */
void flush_tlb(processor *p);
bool is_stale(const processor *p); /* does the TLB, or code, lag behind the memory of who runs? */
void take_hook(processor *p, engine_hook hook);
void leave_soon(processor *p); /* and enter again, once the block has ended */
void stop_access(processor *p, int64_t status, uint64_t addr, uint64_t access);
void raise_exception(processor *p, uint32_t vector);
uint64_t read_code(processor *p, uint64_t address, uint8_t *bytes, uint64_t max); /* how many */

void count_work(processor *p, uint64_t calls);
void return_from_call(processor *p, uint64_t rax, uint64_t rip, uint64_t flags);

/* answers.c */
struct question {
	uint64_t nr, kind, args[6];
	uint64_t rip, flags; /* of the syscall instruction */
};
bool answer_call(processor *p); /* in the hook of the system call; false: it is Python's */
void remember_answer(context *c, uint64_t nr, int64_t rax);

/* turns.c */
bool is_kin(const context *c);
void wake_context(context *c);
bool next_turn(processor *p); /* who ran has given way: has another one begun a turn? */

/* futex.c */
void words_open(processor *p);
bool answer_futex(processor *p, const struct question *q, uint64_t *rax);

/* address.c */
bool probe_fill(processor *p, uint64_t linear, uint64_t access, struct engine_tlb_entry *entry);
bool unmapped_hook(engine *uc, int type, uint64_t address, int size, int64_t value, void *arg);
void find_address(processor *p); /* of exit, which tells of a fault and its page */

/* pkru.c */
#define VECTOR_NONE (~0ul)
uint64_t do_invalid(processor *p);

/* blocks.c */
void block_made(engine *uc, const struct engine_block *block, const struct engine_block *before,
		void *arg);
uint64_t frame_of(processor *p, uint64_t at); /* that code lies in; NO_FRAME: it cannot be run */
/* Forget what was made of [from, to) of a frame before the engine is entered again; NO_FRAME: all code. */
void drop_code(processor *p, uint64_t frame, uint64_t from, uint64_t to);
void drops_settle(processor *p);

/*
 * What blocks.c asks of x87.c and operands.c.  May these bytes be the opcode of what they look at?  Is the
 * instruction at address one, and has it got a hook now?
 */
bool x87_may_want(uint8_t byte, uint8_t next);
bool x87_look(processor *p, uint64_t address, const struct insn *in);
void x87_forget(processor *p);
bool operand_may_want(uint8_t byte, uint8_t next);
bool operand_look(processor *p, uint64_t address, const struct insn *in, const uint8_t *bytes);
void operands_settle(processor *p);
void operands_forget(processor *p);

uint64_t general(processor *p, uint8_t number); /* a general register; NO_REGISTER: 0 */
uint64_t operand_at(processor *p, const struct insn *in, uint64_t address);

/* exceptions.c */
bool reads_descriptor(processor *p);
void correct_exception(processor *p);

/* steps.c */
void steps_note_fill(processor *p, struct frame_use *use, uint64_t linear);

/* debug.c */
void debug_cut_slice(processor *p);
bool debug_count_reached(processor *p);
bool debug_tells_fault(processor *p, uint64_t linear, uint64_t access);
void debug_left(processor *p, uint64_t rip, uint64_t behind);

/* cpuid.c */
int cpuid_hook(engine *uc, void *arg);

/* context.c */
void context_load(context *c);
void mend_exception(processor *p);

/* ring3.c */
int64_t enter_ring3(processor *p);

#endif
