/*
 * run.h - the processor that runs user tasks in machine code.
 *
 * Written as core_api.h is: gcc includes it after core_api.h, cffi reads it
 * after core_api.h, so it holds only enums, structs and prototypes.
 *
 * One processor serves all tasks of a machine; a context is what one task's
 * registers are while another runs.  Every run_*() that enters the program
 * returns one of enum run_stop with the details in run_exit().
 */

typedef struct processor processor;
typedef struct context context;

enum run_stop {
	RUN_CALL = 0,      /* the syscall instruction: nr, args */
	RUN_BUDGET = 1,    /* the slice is over */
	RUN_NEED = 2,      /* status: NEED_PAGE, NEED_MEMORY or -errno; serve it, run again */
	RUN_FAULT = 3,     /* status: the verdict; addr, access: as the kernel's fault says */
	RUN_EXCEPTION = 4, /* vector; addr is 0 */
	RUN_ENGINE = 5,    /* the engine gave up: status is its error */
	RUN_STALE = 6,     /* audit: a translation that the tables no longer give, at addr */
	RUN_DEBUG = 7,     /* a debugger's stop: status is its enum debug_stop, addr the spot */
	RUN_EVENT = 8, /* a fault is done, and somebody wants to see the machine at this event */
	RUN_IA32_CALL = 9, /* int 0x80: nr, the low half of rax, is of the i386 calls; args */
	RUN_SLEEP = 10,    /* the task sleeps in a call that the core serves */
	RUN_TURNED = 11 /* others have had turns, see run_turn(); exit.reason is one of the above */
};

/* General registers by their numbers in the instruction set, then the others. */
struct user_regs {
	uint64_t gpr[16]; /* rax rcx rdx rbx rsp rbp rsi rdi r8 .. r15 */
	uint64_t rip, eflags, fs_base, gs_base;
};

struct run_exit {
	uint64_t nr, args[6]; /* together: read as one */
	uint64_t reason;      /* enum run_stop */
	uint64_t addr;
	uint64_t access; /* enum access */
	int64_t status;
	uint64_t vector;
	uint64_t rip;
	uint64_t error;     /* RUN_EXCEPTION: its error code */
	uint64_t asked_for; /* RUN_EXCEPTION 1: by int1 */
	uint64_t asked;     /* RUN_NEED: how often the same access has asked before, in a row */
};

struct run_counters {
	uint64_t blocks; /* of code run, counted where slices are */
	uint64_t calls;
	uint64_t vsyscalls; /* of the calls: made from the kernel's code page */
	uint64_t switches;
	uint64_t turns;       /* of tasks: how often one was switched to */
	uint64_t entries;     /* times the engine was entered */
	uint64_t tlb_fills;   /* varies with the host's speed: show, never compare */
	uint64_t tlb_flushes; /* as tlb_fills */
	uint64_t retranslated;
	uint64_t hooks;     /* set in code, for instructions that the engine gets wrong */
	uint64_t looks;     /* times that one was called */
	uint64_t drops;     /* of what was translated of some code */
	uint64_t forgotten; /* all translated code was */
};

/* How run() goes on: whether each system call ends it, or the core answers those that it can. */
enum run_calls { RUN_ASKING = 0, RUN_ANSWERING = 1 };

/* What the core does about a call.  Up to ANSWER_TIMESPEC: kinds whose answers it remembers. */
enum run_answer {
	ANSWER_NONE = 0,      /* it is Python's */
	ANSWER_TIMESPEC = 16, /* clock_gettime */
	ANSWER_TIMEVAL = 17,  /* gettimeofday */
	ANSWER_SECONDS = 18,  /* time */
	ANSWER_FUTEX = 19,    /* futex */
	ANSWER_MMAP = 20,
	ANSWER_MUNMAP = 21,
	ANSWER_CALLS = 512 /* calls in the table */
};

struct run_answers {
	uint8_t by_call
		[512]; /* enum run_answer, or a kind of its own below 16 for each call that is remembered */
	uint64_t realtime_clocks, uptime_clocks; /* bit n: clock n is one */
	uint64_t boot_ns;                        /* the time of day at boot */
	uint64_t mmap_flags,
		mmap_alone; /* of these flags just those: mm_mmap() is all of the call */
};

enum run_audit { RUN_AUDIT_OFF = 0, RUN_AUDIT_ON = 1 };

/* On an error *out is the processor that tells why, still to be destroyed. */
int64_t run_create(machine *m, const char *library, processor **out);
void run_destroy(processor *p);
const char *run_error(processor *p);
const char *run_engine_text(processor *p, int64_t status);
struct run_exit *run_exit(processor *p);
struct run_counters *run_counters(processor *p);
struct run_answers *run_answers(processor *p); /* Python fills it in; at first there are none */
/* Virtual time: every call adds call_ns, every block block_ns to *ns.  From *due on Python looks between two turns. */
void run_set_clock(processor *p, uint64_t *ns, const uint64_t *due, uint64_t call_ns,
		   uint64_t block_ns);
void run_set_audit(processor *p, uint64_t audit);
/* Test: leave the engine and enter it again at every so many TLB misses (2 at least); 0: never. */
void run_leave_every(processor *p, uint64_t misses);

/* A context belongs to its processor; NULL: no memory. */
context *context_create(processor *p);
context *context_copy(context *from, mm *mm); /* the same registers in an address space */
void context_destroy(context *c);
void context_set_mm(context *c, mm *mm);
uint64_t context_cr3(context *c); /* physical address of the top table: where hardware walks */
void context_start(context *c, uint64_t rip, uint64_t rsp);              /* as after execve */
void cpuid_read(machine *m, uint32_t leaf, uint32_t sub, uint32_t *out); /* eax .. edx */
void context_get(context *c, struct user_regs *out);
void context_set_own_time(context *c, uint64_t own); /* 1: its uptime is Python's to tell */
void context_set_tsc(context *c, uint64_t allowed);  /* 0: RDTSC and RDTSCP fault */
int64_t context_has_tsc(context *c);
int64_t context_in_ia32_call(context *c); /* is it in a call, or about to leave one, by int 0x80? */
void context_forget(context *c);          /* what its task was answered may no longer be so */
int64_t context_remembers(context *c, uint64_t nr,
			  uint64_t *rax);                      /* for a check: whether, and what */
int64_t context_set(context *c, const struct user_regs *regs); /* -EINVAL: not user code's */
void context_get_fpu(context *c, uint8_t *out); /* 512 bytes, as fxsave stores them */
void context_set_fpu(context *c, const uint8_t *in);

/* A slice begins: from least to most blocks, or instructions, until RUN_BUDGET; the turn says how many. */
void run_slice(processor *p, uint64_t least, uint64_t most);
void run_slice_end(processor *p); /* at the next block */
/* Slices count instructions from now on, not blocks.  -ENOMEM. */
int64_t run_by_instructions(processor *p);
/*
 * Or only those that touch a page which two tasks share and one writes.  linear: nr such pages that a run
 * before has found, ascending.  -ENOMEM, -EBUSY (a second time).
 */
int64_t run_by_accesses(processor *p, const uint64_t *linear, uint64_t nr);
uint64_t run_shared_pages(processor *p, uint64_t *linear, uint64_t max);
/* What instructions do to such pages, noted from now on, while run_by_accesses() is. */
struct access_note {
	uint64_t physical, linear; /* linear: where the page was shown last */
	uint64_t size, writes;     /* bytes; 0: it was read */
	uint64_t rip;              /* of the instruction */
};
void run_note_accesses(processor *p);
/* Take up to max notes, the oldest first; how many there were.  -ENOMEM: one was lost. */
int64_t run_take_notes(processor *p, struct access_note *out, uint64_t max);
int64_t run(context *c, uint64_t calls);      /* go on where it stopped; enum run_calls */
int64_t run_result(context *c, int64_t rax);  /* the call just made returned; go on */
void context_result(context *c, int64_t rax); /* the same, without going on */

/* ---- who runs next: turns.c ---- */

/* The turn of the task that runs; what Python has not counted yet. */
struct run_turn {
	uint64_t began_ns;    /* on the clock */
	uint64_t least, most; /* blocks that a turn may have */
	uint64_t passed; /* turns that the core has let others begin since Python set this to 0 */
	uint64_t ran_ns; /* of turns that have ended so; in each runner's cpu_ns by now */
};
struct run_turn *run_turn(processor *p);
void *run_owner(processor *p); /* of the context that runs, or did last; NULL: of none */
void turn_begin(context *c, uint64_t kin); /* Python's; run_slice() says how long it may be */
uint64_t turn_charge(processor *p,
		     struct runner *runner); /* for the time since it began, or this; how long */
void context_belongs(context *c, void *owner, struct runner *runner);
void queue_add(context *c);       /* the last, without kin, if it is not there */
void queue_add_first(context *c); /* the next one, the same; it must not be there */
void queue_take(context *c);      /* out of it, if it is in it */
void *queue_next(processor *p);   /* the next one, out of it: its owner; NULL: nobody */
uint64_t queue_owners(processor *p, void **owners, uint64_t max); /* in order; how many there are */

/* ---- who sleeps on a word of memory: futex.c ---- */

void word_hold(processor *p, uint64_t addr);    /* its sleepers are Python's from now on */
void word_release(processor *p, uint64_t addr); /* and no more: there are none */
uint64_t word_has_sleepers(mm *mm, processor *p, uint64_t addr); /* of the core's */
void *word_take(mm *mm, processor *p,
		uint64_t addr); /* the first of them, for Python: its owner, or NULL */

/* ---- a debugger's stops: debug.c ---- */

enum spot_kind { SPOT_BREAK = 0, SPOT_WRITE = 1, SPOT_READ = 2, SPOT_ACCESS = 3 };
enum debug_stop {
	DEBUG_SPOT = 0, /* exit.addr: its number */
	DEBUG_STEP = 1,
	DEBUG_PLACE = 2, /* where debug_until() says */
	DEBUG_FAULT = 3  /* exit.addr, access: a page fault is about to be served */
};
enum debug_notes {
	NOTE_NOTHING = 0, /* stop */
	NOTE_SPOTS = 1,   /* note where a spot would have stopped it, and run on */
	NOTE_STEPS = 2,   /* the same of the context that steps */
	NOTE_BLOCKS =
		3 /* as NOTE_SPOTS; of a watched place only the block that has changed it, rip 0 */
};

/* A breakpoint, or bytes of one page that are watched: stores that change them, loads, both. */
struct spot {
	mm *mm;
	uint64_t addr, nbytes, kind;
};

/* blocks: begun, with that of the instruction at rip, which is next; 0: that block itself is. */
struct moment {
	uint64_t blocks, rip;
};

/* Nothing else here may be called before debug_open(), or behind debug_close().  -ENOMEM. */
int64_t debug_open(processor *p);
void debug_close(processor *p);
int64_t debug_spots(processor *p, const struct spot *spots,
		    uint64_t nr); /* instead of those before */
/* Stop c behind its next instruction, or the first outside of [from, to); NULL: none. */
int64_t debug_step(processor *p, context *c, uint64_t from, uint64_t to);
/* Stop where so many blocks have begun and the next would, and at land (0: nowhere).  ~0: never. */
int64_t debug_until(processor *p, uint64_t blocks, uint64_t land);
void debug_faults(processor *p, uint64_t tells);  /* 1: stop before each page fault */
int64_t debug_note(processor *p, uint64_t notes); /* enum debug_notes */
void debug_look(processor *p);                    /* at watched places, as where a block begins */
uint64_t debug_now(processor *p);
uint64_t debug_noted(processor *p, struct moment *out); /* the last, 0: none; its spot */
void debug_moment(processor *p, struct moment *out);
uint64_t debug_peek(mm *mm, uint64_t addr, void *buf, uint64_t nbytes); /* of what is present */
