// Every function of x87 beyond arithmetic: results of 80 bits, status and stack, for each rounding and precision.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct {
	uint64_t mantissa;
	uint16_t top;
} __attribute__((packed)) wide;

static const wide values[] = {
	{ 0, 0 },
	{ 0, 0x8000 },
	{ 0x8000000000000000, 0x3fff }, /* 1 */
	{ 0x8000000000000000, 0xbfff },
	{ 0xc90fdaa22168c235, 0x4000 }, /* pi */
	{ 0xc90fdaa22168c234, 0xbfff },
	{ 0x9a209a84fbcff799, 0x3ffd }, /* about 0.3 */
	{ 0xb504f333f9de6484, 0xbffe },
	{ 0x8000000000000001, 0x3fff },
	{ 0xffffffffffffffff, 0x3ffe },
	{ 0xfedcba9876543210, 0x4025 },
	{ 0xabcdef0123456789, 0x403d }, /* below 2^63 */
	{ 0xabcdef0123456789, 0x403f }, /* beyond: no sine */
	{ 0x8000000000000000, 0x7fff }, /* infinite */
	{ 0x8000000000000000, 0xffff },
	{ 0xc000000000000000, 0x7fff }, /* not a number */
	{ 0xa000000000000001, 0x7fff }, /* the same, signalling */
	{ 0x0000000000000123, 0x0000 }, /* denormal */
	{ 0x8000000000000000, 0x0001 },
	{ 0xffffffffffffffff, 0x7ffe },
	{ 0x8000000000000000, 0x3fbf }, /* 2^-64 */
	{ 0x4000000000000000, 0x3fff }, /* unnormal */
};
#define NR_VALUES ((int)(sizeof values / sizeof *values))

#define FUNCTION(name, code) \
	static void name(const wide *x, const wide *y, uint16_t control, uint8_t *image) \
	{ \
		asm volatile("fninit; fldcw %2; fldt %1; fldt %0; " code "; fnsave %3" \
			     : \
			     : "m"(*x), "m"(*y), "m"(control), "m"(*(uint8_t (*)[108])image) \
			     : "memory"); \
	}
FUNCTION(f2xm1, "f2xm1")
FUNCTION(fyl2x, "fyl2x")
FUNCTION(fptan, "fptan")
FUNCTION(fpatan, "fpatan")
FUNCTION(fprem1, "fprem1")
FUNCTION(fprem, "fprem")
FUNCTION(fyl2xp1, "fyl2xp1")
FUNCTION(fsincos, "fsincos")
FUNCTION(fsin, "fsin")
FUNCTION(fcos, "fcos")
FUNCTION(fxtract, "fxtract")
FUNCTION(fscale, "fscale")
FUNCTION(constants, "ffree %%st(7); fldl2t; ffree %%st(7); fldl2e; ffree %%st(7); fldpi; "
		    "ffree %%st(7); fldlg2; ffree %%st(7); fldln2")
FUNCTION(prefixed, ".byte 0x66, 0x48; fprem")
FUNCTION(empty, "ffree %%st(1); ffree %%st(0); fprem")
FUNCTION(full, "fld1; fld1; fld1; fld1; fld1; fld1; fldpi; fsincos")

static void show(const uint8_t *image)
{
	uint64_t sum = 0;
	for (int i = 0; i < 108; i++)
		if (i >= 28 || (i >= 4 && i < 12 && i % 4 < 2))
			sum = sum * 31 + image[i];
	printf(" %04x %04x %016lx%04x %lx\n", *(uint16_t *)(image + 4), *(uint16_t *)(image + 8),
	       *(uint64_t *)(image + 28), *(uint16_t *)(image + 36), sum);
}

/* The condition bits that a function leaves undefined, and ip and data, are not compared. */
static void clean(uint8_t *image, int is_remainder)
{
	*(uint16_t *)(image + 4) &= is_remainder ? 0x7fff : 0x3eff;
}

int main(void)
{
	static const struct {
		const char *name;
		void (*run)(const wide *, const wide *, uint16_t, uint8_t *);
		int binary, remainder;
	} functions[] = {
		{ "f2xm1", f2xm1, 0, 0 },       { "fyl2x", fyl2x, 1, 0 },
		{ "fptan", fptan, 0, 0 },       { "fpatan", fpatan, 1, 0 },
		{ "fprem1", fprem1, 1, 1 },     { "fprem", fprem, 1, 1 },
		{ "fyl2xp1", fyl2xp1, 1, 0 },   { "fsincos", fsincos, 0, 0 },
		{ "fsin", fsin, 0, 0 },         { "fcos", fcos, 0, 0 },
		{ "prefixed", prefixed, 1, 1 }, { "empty", empty, 0, 1 },
		{ "full", full, 0, 0 },         { "fxtract", fxtract, 0, 0 },
		{ "fscale", fscale, 1, 0 },     { "constants", constants, 0, 0 },
	};
	for (int f = 0; f < (int)(sizeof functions / sizeof *functions); f++)
		for (int mode = 0; mode < 16; mode += mode < 3 ? 1 : 4)
			for (int x = 0; x < NR_VALUES; x++)
				for (int y = 0; y < (functions[f].binary ? NR_VALUES : 1); y++) {
					uint8_t image[108] = { 0 };
					uint16_t control = 0x3f | mode << 8;
					functions[f].run(&values[x], &values[y], control, image);
					clean(image, functions[f].remainder);
					printf("%s %x %d %d", functions[f].name, mode, x, y);
					show(image);
				}
	return 0;
}
