/*
 * cpu.h - the processor of an emulator: Unicorn, with its MMU served in C.
 *
 * Written as core_api.h is: gcc includes it after core_api.h, cffi reads it
 * after core_api.h, so it holds only enums, structs and prototypes.
 *
 * A guest's linear address L is shown by the emulator task at window + L, its
 * physical address P at ram + P.  cpu_run() returns one of enum cpu_stop, or
 * -errno.  The task's address space must outlive the cpu.
 */

typedef struct cpu cpu;

enum cpu_stop {
	CPU_HALTED = 0,        /* the guest executed hlt */
	CPU_NEW_CR3 = 1,       /* every page of the window is to be dropped */
	CPU_WINDOW_MISS = 2,   /* show guest page physical at window + linear */
	CPU_STALE = 3,         /* the same, but another page is shown there */
	CPU_GUEST_FAULT = 4,   /* the guest's own page fault: linear is CR2 */
	CPU_EXCEPTION = 5,     /* the guest raised another exception: vector */
	CPU_BAD_TABLE = 6,     /* the guest's tables point outside its RAM */
	CPU_BEYOND_WINDOW = 7, /* mapped by the guest, but the window ends before */
	CPU_NEED = 8,          /* touch user address host as access, run again */
	CPU_BUDGET = 9,        /* the guest ran longer than it was allowed to */
	CPU_ENGINE = 10        /* the engine gave up: engine_error */
};

/* The page-fault error code's bits, as the processor defines them. */
enum cpu_fault_code {
	CPU_FAULT_PRESENT = 1,
	CPU_FAULT_WRITE = 2,
	CPU_FAULT_USER = 4,
	CPU_FAULT_RESERVED = 8,
	CPU_FAULT_FETCH = 16
};

struct cpu_params {
	uint64_t window, window_bytes; /* user address; page aligned */
	uint64_t ram, ram_bytes;       /* user address; page aligned */
	uint64_t budget;               /* blocks of code to run; 0: no end */
};

/* Registers at the start; the others are 0. */
struct cpu_start {
	uint64_t rip, rsp, rdi, cr3;
};

/* Why cpu_run() came back; a field not named by the reason is 0. */
struct cpu_exit {
	uint64_t reason;     /* enum cpu_stop */
	uint64_t linear;     /* page, or CR2 */
	uint64_t physical;   /* guest page, or the table entry at fault */
	uint64_t writable;   /* the guest's tables allow stores */
	uint64_t host;       /* user address of the emulator task */
	uint64_t access;     /* enum access */
	uint64_t error_code; /* enum cpu_fault_code */
	uint64_t vector;
	uint64_t rip;          /* always */
	uint64_t engine_error; /* uc_err */
};

struct cpu_counters {
	uint64_t runs;      /* times the engine was entered */
	uint64_t tlb_fills; /* varies with the host's speed: show, never compare */
	uint64_t tlb_flushes;
	uint64_t output_lost; /* bytes beyond what the port's buffer keeps */
};

int64_t cpu_create(machine *m, mm *space, const char *library, const struct cpu_params *params,
		   cpu **out);
void cpu_destroy(cpu *c);
const char *cpu_load_error(cpu *c); /* why cpu_create() failed, "" if not */
int64_t cpu_reset(cpu *c, const struct cpu_start *start);
int64_t cpu_run(cpu *c, struct cpu_exit *out);
struct cpu_counters *cpu_counters(cpu *c);
int64_t cpu_output(cpu *c, char *buf, uint64_t max); /* takes port 0xe9's bytes */
const char *cpu_engine_text(cpu *c, uint64_t engine_error);
