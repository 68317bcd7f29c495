/* Lengths and operands of instructions, as the processor's manual has them. */
#include "harness.h"

#include "cpu/insn.h"

struct sample {
	uint8_t bytes[MAX_INSN + 1];
	uint8_t length, base, index, scale;
	int64_t disp;
};

#define NO NO_REGISTER

static const struct sample samples[] = {
	{ { 0x90 }, 1, NO, NO, 0, 0 },                                 /* nop */
	{ { 0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8 }, 10, NO, NO, 0, 0 },  /* movabs */
	{ { 0x66, 0xb8, 1, 2 }, 4, NO, NO, 0, 0 },                     /* mov $, %ax */
	{ { 0xa0, 1, 2, 3, 4, 5, 6, 7, 8 }, 9, NO, NO, 0, 0 },         /* mov moffs, %al */
	{ { 0x67, 0xa0, 1, 2, 3, 4 }, 6, NO, NO, 0, 0 },               /* the same, short */
	{ { 0xf6, 0x00, 1 }, 3, 0, NO, 0, 0 },                         /* testb $1, (%rax) */
	{ { 0xf6, 0x10 }, 2, 0, NO, 0, 0 },                            /* notb (%rax) */
	{ { 0xf7, 0x40, 8, 1, 2, 3, 4 }, 7, 0, NO, 0, 8 },             /* testl $, 8(%rax) */
	{ { 0xc8, 1, 2, 3 }, 4, NO, NO, 0, 0 },                        /* enter */
	{ { 0x0f, 0x84, 1, 2, 3, 4 }, 6, NO, NO, 0, 0 },               /* je */
	{ { 0x0f, 0x28, 0x07 }, 3, 7, NO, 0, 0 },                      /* movaps (%rdi) */
	{ { 0x41, 0x0f, 0x29, 0x44, 0x24, 0xf0 }, 6, 12, NO, 1, -16 }, /* -16(%r12) */
	{ { 0x66, 0x42, 0x0f, 0x6f, 0x04, 0xe5, 1, 0, 0, 0 }, 10, NO, 12, 8, 1 }, /* (,%r12,8) */
	{ { 0x0f, 0x29, 0x84, 0x8b, 0, 1, 0, 0 }, 8, 3, 1, 4, 256 }, /* 256(%rbx,%rcx,4) */
	{ { 0x66, 0x0f, 0x3a, 0x0f, 0x06, 3 }, 6, 6, NO, 0, 0 },     /* palignr */
	{ { 0x66, 0x0f, 0x38, 0x00, 0x06 }, 5, 6, NO, 0, 0 },        /* pshufb */
	{ { 0xdd, 0x75, 0x80 }, 3, 5, NO, 0, -128 },                 /* fnsave -128(%rbp) */
	{ { 0xc4, 0xe2, 0x7a, 0xf7, 0xc0 }, 5, NO, NO, 0, 0 },       /* sarx */
	{ { 0xc5, 0xf8, 0x77 }, 3, NO, NO, 0, 0 },                   /* vzeroupper */
};

static void lengths_and_operands(struct world *w)
{
	(void)w;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		const struct sample *s = &samples[i];
		struct insn in;

		EXPECT(insn_decode(s->bytes, MAX_INSN, &in));
		EXPECT(in.length == s->length);
		EXPECT(in.base == s->base && in.index == s->index);
		EXPECT(!in.memory || in.index == NO || in.scale == s->scale);
		EXPECT(in.disp == s->disp);
		for (uint8_t short_of = 0; short_of < s->length; short_of++)
			EXPECT(!insn_decode(s->bytes, short_of, &in));
	}
}

/* No bytes lead it beyond those it was given. */
static void any_bytes(struct world *w)
{
	uint64_t seed = 1;

	(void)w;

	for (int i = 0; i < 200000; i++) {
		uint8_t bytes[MAX_INSN];
		struct insn in;
		uint64_t nr = (uint64_t)i % (MAX_INSN + 1);

		for (int j = 0; j < MAX_INSN; j++) {
			seed = seed * 6364136223846793005ul + 1442695040888963407ul;
			bytes[j] = (uint8_t)(seed >> 56);
		}
		if (insn_decode(bytes, nr, &in))
			EXPECT(in.length && in.length <= nr);
	}
}

TESTS(TEST(lengths_and_operands), TEST(any_bytes))
