#include "heap.h"

struct item {
	struct item *next;
	u32 value;
};

static struct item *head, *tail;
static u32 length;

static inline void link_item(struct item *i)
{
	i->next = 0;
	if (tail)
		tail->next = i;
	else
		head = i;
	tail = i;
	length++;
}

static inline struct item *unlink_item(void)
{
	struct item *i = head;

	if (!i)
		return 0;
	head = i->next;
	if (!head)
		tail = 0;
	length--;
	return i;
}

u32 checksum(const u32 *words, u32 count)
{
	u32 sum = 2166136261u;

	while (count--) {
		u32 w = *words++;
		for (int i = 0; i < 4; i++, w >>= 8)
			sum = (sum ^ (w & 0xff)) * 16777619u;
	}
	return sum;
}

void queue_push(u32 value)
{
	struct item *i = heap_alloc(sizeof *i);

	if (!i)
		return;
	i->value = value;
	link_item(i);
}

u32 queue_pop(void)
{
	struct item *i = unlink_item();
	u32 value;

	if (!i)
		return 0;
	value = i->value;
	heap_free(i);
	return value;
}
