#include "heap.h"

int shapes(int n)
{
	u32 *words = carve(16);

	return words ? n + (int)words[n & 3] : n;
}
