/* test_vsyscall.c - the kernel's pages at the top of every address space. */
#include "harness.h"

#define DATA_ADDR (VSYSCALL_ADDR + PAGE_SIZE)

/* The world's machine with the page loaded: form f holds the byte 'a' + f. */
static mm *with_vsyscalls(struct world *w)
{
	char fast[PAGE_SIZE], revirtualised[PAGE_SIZE];
	memset(fast, 'a' + VSYSCALL_FAST, PAGE_SIZE);
	memset(revirtualised, 'a' + VSYSCALL_REVIRTUALISED, PAGE_SIZE);
	drop_mm(w, w->mm);
	EXPECT_EQ(machine_load_vsyscalls(w->m, fast, revirtualised), 0);
	return new_mm(w);
}

/* As an instruction fetch finds it: no load may. */
static char code_byte(mm *mm, uint64_t offset)
{
	char byte = 0;
	EXPECT_EQ(user_read(mm, VSYSCALL_ADDR + offset, &byte, 1), SEGV_MAPERR);
	int64_t at = mm_translate(mm, VSYSCALL_ADDR + offset, ACCESS_EXEC);
	EXPECT(at >= 0);
	return at < 0 ? 0 : mm->machine->arena[at];
}

static void every_space_shows_it(struct world *w)
{
	mm *one = with_vsyscalls(w), *two = fork_mm(w, one);
	uint64_t entries[4], same[4];
	EXPECT_EQ(code_byte(one, 0), 'a');
	EXPECT_EQ(code_byte(two, 4095), 'a');
	EXPECT_EQ(mm_walk(one, VSYSCALL_ADDR, entries), 4);
	EXPECT_EQ(mm_walk(two, VSYSCALL_ADDR, same), 4);
	EXPECT(!memcmp(entries, same, sizeof(entries)));
	EXPECT(mm_translate(one, VSYSCALL_ADDR, ACCESS_EXEC) >= 0);
	EXPECT_EQ(one->counters.nr_pagetable, 1);
	CHECK(w);
}

static void nobody_may_change_it(struct world *w)
{
	mm *one = with_vsyscalls(w);
	char byte = 'x';
	EXPECT_EQ(user_write(one, VSYSCALL_ADDR, &byte, 1), SEGV_MAPERR);
	EXPECT_EQ(user_write(one, DATA_ADDR, &byte, 1), SEGV_MAPERR);
	EXPECT_EQ(user_touch(one, DATA_ADDR, 1, ACCESS_EXEC), SEGV_MAPERR);
	EXPECT_EQ(user_touch(one, DATA_ADDR + PAGE_SIZE, 1, ACCESS_READ), SEGV_MAPERR);
	EXPECT_EQ(mm_munmap(one, VSYSCALL_ADDR, PAGE_SIZE), -EINVAL);
	EXPECT(mm_mmap(one, VSYSCALL_ADDR, PAGE_SIZE, RW, PRIVATE_ANON | MAP_FIXED, NULL, 0) < 0);
	EXPECT_EQ(code_byte(one, 7), 'a');
	CHECK(w);
}

static void the_form_is_chosen_by_one_pte(struct world *w)
{
	mm *one = with_vsyscalls(w), *two = new_mm(w);
	uint64_t before = one->counters.tlb_generation;
	EXPECT_EQ(code_byte(two, 0), 'a');
	EXPECT_EQ(machine_select_vsyscalls(w->m, VSYSCALL_REVIRTUALISED, one), 1);
	EXPECT(one->counters.tlb_generation > before);
	EXPECT_EQ(code_byte(one, 0), 'b');
	EXPECT_EQ(code_byte(two, 0), 'b');
	EXPECT_EQ(machine_select_vsyscalls(w->m, VSYSCALL_REVIRTUALISED, one), 0);
	EXPECT_EQ(machine_select_vsyscalls(w->m, 2, one), -EINVAL);
	EXPECT_EQ(machine_select_vsyscalls(w->m, VSYSCALL_FAST, NULL), 1);
	EXPECT_EQ(code_byte(two, 0), 'a');
	EXPECT_EQ(w->m->counters.vsyscall_selects, 2);
	CHECK(w);
}

static void the_data_page_is_the_clock(struct world *w)
{
	mm *one = with_vsyscalls(w);
	uint64_t time = 0;
	machine_vsyscall_data(w->m)->realtime_ns = 1234567890123456789;
	EXPECT_EQ(user_read(one, DATA_ADDR, &time, sizeof(time)), sizeof(time));
	EXPECT_EQ(time, 1234567890123456789);
}

static void loaded_once_before_any_space(struct world *w)
{
	char page[PAGE_SIZE] = { 0 };
	EXPECT_EQ(machine_load_vsyscalls(w->m, page, page), -EBUSY);
	EXPECT_EQ(machine_select_vsyscalls(w->m, VSYSCALL_FAST, w->mm), -EINVAL);
	EXPECT(!machine_vsyscall_data(w->m));
	EXPECT_EQ(user_touch(w->mm, VSYSCALL_ADDR, 1, ACCESS_READ), SEGV_MAPERR);
	drop_mm(w, w->mm);
	for (uint64_t n = 1; n <= NR_VSYSCALL_FRAMES; n++) {
		machine_fail_nth(w->m, n);
		STEP(w, machine_load_vsyscalls(w->m, page, page), -ENOMEM);
	}
	EXPECT_EQ(machine_load_vsyscalls(w->m, page, page), 0);
	EXPECT_EQ(machine_load_vsyscalls(w->m, page, page), -EBUSY);
	CHECK(w);
}

static void the_checker_sees_a_wrong_last_entry(struct world *w)
{
	mm *one = with_vsyscalls(w);
	pte_t right = one->pgd[KERNEL_PGD_ENTRY];
	one->pgd[KERNEL_PGD_ENTRY] = 0;
	EXPECT(machine_check(w->m, check_report, sizeof(check_report)) > 0);
	EXPECT(strstr(check_report, "I23"));
	one->pgd[KERNEL_PGD_ENTRY] = right;
	CHECK(w);
}

TESTS(TEST(every_space_shows_it), TEST(nobody_may_change_it), TEST(the_form_is_chosen_by_one_pte),
      TEST(the_data_page_is_the_clock), TEST(loaded_once_before_any_space),
      TEST(the_checker_sees_a_wrong_last_entry))
