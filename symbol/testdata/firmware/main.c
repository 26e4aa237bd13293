#include "heap.h"

volatile u32 device[8];

static u32 scale(u32 raw, u32 gain)
{
	switch (gain) {
	case 0:
		return raw;
	case 1:
		return raw * 3 / 2;
	case 2:
		return raw << 2;
	case 3:
		return raw / 7;
	case 4:
		return raw ^ 0x5a5a;
	default:
		return raw + gain;
	}
}

static __attribute__((noinline)) u32 filter(u32 *history, u32 raw, u32 mode)
{
	u32 sum = 0;

	for (int i = 7; i > 0; i--)
		history[i] = history[i - 1];
	history[0] = scale(raw, mode);
	for (int i = 0; i < 8; i++)
		sum += scale(history[i], i & 3);
	return sum / 8;
}

int sensor_read(u32 channel)
{
	static u32 history[8];
	u32 raw = device[channel & 7];

	if (__builtin_expect(raw == 0xffffffff, 0)) {
		for (int i = 0; i < 8; i++)
			history[i] = 0;
		return -1;
	}
	return filter(history, raw, 2);
}

static void reverse(u32 *words, u32 n)
{
	u32 *a = words, *b = words + n;

	while (a < b) {
		u32 t = *a;
		*a++ = *--b;
		*b = t;
	}
}

int main(void)
{
	u32 *buffer = heap_alloc(64);
	int total = 0;

	for (u32 round = 0; round < 100; round++) {
		int value = sensor_read(round);
		if (value >= 0)
			queue_push(value);
		if (round % 3 == 0)
			total += queue_pop();
		if (buffer && carve(4))
			reverse(buffer, 16);
	}
	return total + shapes(total);
}
