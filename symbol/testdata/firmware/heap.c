#include "heap.h"

u32 arena[1024];
u32 used;
static struct node *freed;

static struct node *take(u32 size)
{
	struct node **at = &freed;

	for (; *at; at = &(*at)->next) {
		struct node *n = *at;
		if (n->size >= size) {
			*at = n->next;
			return n;
		}
	}
	return 0;
}

void *heap_alloc(u32 size)
{
	struct node *n = take(size);

	if (!n) {
		n = carve(size + sizeof *n);
		if (!n)
			return 0;
		n->size = align(size, 8);
	}
	n->owner = checksum(&n->size, 1);
	return n + 1;
}

void heap_free(void *p)
{
	struct node *n = (struct node *)p - 1;

	if (n->owner != checksum(&n->size, 1))
		return;
	n->next = freed;
	freed = n;
}

/* Nobody calls these: the linker drops them and leaves what describes them. */
u32 heap_dropped(u32 a)
{
	u32 sum = 0;

	for (u32 i = 0; i < a; i++) {
		u32 *p = carve(i);
		if (p)
			sum += *p * 3;
	}
	return sum;
}

void *heap_dropped_too(u32 size)
{
	return carve(size * 2);
}
