extern "C" {
#include "heap.h"
}

namespace geo {

template <typename T> struct Box {
	T width, height;

	T area() const { return width * height; }
	T around() const;
};

template <typename T> T Box<T>::around() const
{
	return 2 * (width + height);
}

struct Shape {
	virtual int size() const = 0;
	virtual void grow(int by) = 0;
};

class Square : public Shape {
	Box<int> box;

public:
	explicit Square(int n) : box{n, n} {}
	int size() const override { return box.area() + box.around(); }
	void grow(int by) override
	{
		auto more = [by](int n) { return n + by * (int)sizeof(Square); };
		box.width = more(box.width);
		box.height = more(box.height);
	}
};

static __attribute__((noinline)) int measure(const Shape &s, Box<long> b)
{
	return s.size() + (int)b.around();
}

} // namespace geo

extern "C" int scopes(int n);

extern "C" int shapes(int n)
{
	geo::Square s(n);

	for (int i = 0; i < n; i++)
		s.grow(i);
	return geo::measure(s, {n, 3}) + scopes(n);
}
