/*
 * insn.c - how long an instruction is, and where its operand in memory lies.
 *
 * Knows the one-byte map and 0f, 0f 38, 0f 3a, in both encodings: what the engine runs.  Nothing of what an
 * instruction does.
 */
#include "insn.h"

#include <string.h>

#define REX_W 8 /* the operand has 8 bytes */

struct cursor {
	const uint8_t *bytes;
	uint64_t nr, at;
	bool ran_out;
};

static uint8_t take(struct cursor *c)
{
	if (c->at < c->nr)
		return c->bytes[c->at++];
	c->ran_out = true;
	return 0;
}

static int64_t take_signed(struct cursor *c, int nr)
{
	uint64_t value = 0;

	for (int i = 0; i < nr; i++)
		value |= (uint64_t)take(c) << 8 * i;
	return nr ? (int64_t)(value << (64 - 8 * nr)) >> (64 - 8 * nr) : 0;
}

/* ---- prefixes ---- */

static bool is_legacy_prefix(uint8_t byte)
{
	static const uint8_t prefixes[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
					    0x66, 0x67, 0xf0, 0xf2, 0xf3 };

	return memchr(prefixes, byte, sizeof(prefixes));
}

static void note_prefix(struct insn *in, uint8_t byte)
{
	in->word |= byte == 0x66;
	in->lock |= byte == 0xf0;
	in->short_address |= byte == 0x67;
	if (byte == 0xf2 || byte == 0xf3)
		in->repeat = byte;
	if (byte == 0x64 || byte == 0x65)
		in->segment = byte;
}

/* ---- what follows an opcode ---- */

static bool has_modrm_one(uint8_t op)
{
	if (op < 0x40)
		return (op & 7) < 4;
	switch (op & 0xf0) {
	case 0x60:
		return op == 0x63 || op == 0x69 || op == 0x6b;
	case 0x80:
		return true;
	case 0xc0:
		return op <= 0xc1 || op == 0xc6 || op == 0xc7;
	case 0xd0:
		return op <= 0xd3 || op >= 0xd8;
	case 0xf0:
		return op == 0xf6 || op == 0xf7 || op >= 0xfe;
	default:
		return false;
	}
}

static bool has_modrm_0f(uint8_t op)
{
	static const uint8_t without[] = { 0x05, 0x06, 0x07, 0x08, 0x09, 0x0b, 0x0e,
					   0x77, 0xa0, 0xa1, 0xa2, 0xa8, 0xa9, 0xaa };

	if ((op & 0xf0) == 0x80 || (op >= 0x30 && op <= 0x37) || (op >= 0xc8 && op <= 0xcf))
		return false;
	return !memchr(without, op, sizeof(without));
}

/*
 * Bytes of the immediate behind each opcode of the one-byte map.  w: a word's; r: a register's;
 * a: an address's; t, T: one byte, a word's, if it is the group's TEST.
 */
static const char immediates[16][17] = {
	"....1w......1w..", /* 00 */
	"....1w......1w..", /* 10 */
	"....1w......1w..", /* 20 */
	"....1w......1w..", /* 30 */
	"................", /* 40 */
	"................", /* 50 */
	"........ww11....", /* 60 */
	"1111111111111111", /* 70 */
	"1w11............", /* 80 */
	"................", /* 90 */
	"aaaa....1w......", /* a0 */
	"11111111rrrrrrrr", /* b0 */
	"112...1w3.2..1..", /* c0 */
	"....11..........", /* d0 */
	"1111111144.1....", /* e0 */
	"......tT........", /* f0 */
};

static int immediate_one(const struct insn *in, uint8_t rex)
{
	int word = in->word ? 2 : 4;
	bool is_test = (in->modrm >> 3 & 7) < 2;
	char size = immediates[in->opcode >> 4][in->opcode & 15];

	switch (size) {
	case '.':
		return 0;
	case 'w':
		return word;
	case 'r':
		return rex & REX_W ? 8 : word;
	case 'a':
		return in->short_address ? 4 : 8;
	case 't':
		return is_test ? 1 : 0;
	case 'T':
		return is_test ? word : 0;
	default:
		return size - '0';
	}
}

static int immediate_0f(uint8_t op)
{
	static const uint8_t one[] = { 0x0f, 0x70, 0x71, 0x72, 0x73, 0xa4,
				       0xac, 0xba, 0xc2, 0xc4, 0xc5, 0xc6 };

	if ((op & 0xf0) == 0x80)
		return 4;
	return memchr(one, op, sizeof(one)) ? 1 : 0;
}

/* ---- the operand ---- */

static void take_operand(struct cursor *c, struct insn *in, uint8_t rex)
{
	uint8_t mode = in->modrm >> 6, rm = in->modrm & 7;
	int nr = mode == 1 ? 1 : mode == 2 ? 4 : 0;

	in->rm = (uint8_t)(rm | (rex & 1) << 3);
	if (mode == 3)
		return;
	in->memory = true;
	in->base = in->rm;
	if (rm == 4) {
		uint8_t sib = take(c);
		uint8_t index = (uint8_t)((sib >> 3 & 7) | (rex & 2) << 2);

		in->scale = (uint8_t)(1 << (sib >> 6));
		in->index = index == 4 ? NO_REGISTER : index;
		in->base = (uint8_t)((sib & 7) | (rex & 1) << 3);
		if ((sib & 7) == 5 && mode == 0) {
			in->base = NO_REGISTER;
			nr = 4;
		}
	} else if (rm == 5 && mode == 0) {
		in->base = NO_REGISTER;
		in->after = true;
		nr = 4;
	}
	in->disp = take_signed(c, nr);
}

/* The map and the bits of REX that the newer encoding holds, inverted; the opcode follows. */
static uint8_t take_vex(struct cursor *c, struct insn *in, uint8_t escape, uint8_t *rex)
{
	uint8_t first = take(c);

	in->vex = true;
	in->map = MAP_0F;
	if (escape == 0xc4) {
		in->map = first & 3;
		*rex = (uint8_t)((~first >> 5 & 7) | (take(c) & 0x80) >> 4);
	}
	return take(c);
}

bool insn_decode(const uint8_t *bytes, uint64_t nr, struct insn *in)
{
	struct cursor c = { bytes, nr < MAX_INSN ? nr : MAX_INSN, 0, false };
	uint8_t byte = take(&c), rex = 0;

	memset(in, 0, sizeof(*in));
	in->base = in->index = NO_REGISTER;
	for (; is_legacy_prefix(byte); byte = take(&c))
		note_prefix(in, byte);
	for (; (byte & 0xf0) == 0x40; byte = take(&c))
		rex = byte;
	if ((byte & 0xfe) == 0xc4) {
		byte = take_vex(&c, in, byte, &rex);
	} else if (byte == 0x0f) {
		byte = take(&c);
		in->map = byte == 0x38 ? MAP_0F38 : byte == 0x3a ? MAP_0F3A : MAP_0F;
		if (in->map != MAP_0F)
			byte = take(&c);
	}
	in->opcode = byte;
	bool modrm = in->map == MAP_ONE  ? has_modrm_one(byte)
		     : in->map == MAP_0F ? has_modrm_0f(byte)
					 : true;
	if (modrm) {
		in->modrm = take(&c);
		take_operand(&c, in, rex);
	}
	c.at += (uint64_t)(in->map == MAP_ONE  ? immediate_one(in, rex)
			   : in->map == MAP_0F ? immediate_0f(byte)
					       : in->map == MAP_0F3A);
	in->length = (uint8_t)c.at;
	return !c.ran_out && c.at <= c.nr;
}
