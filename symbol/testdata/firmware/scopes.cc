// Functions that other files do not see, for which compilers record no linkage
// name: lambdas, what has one for a template argument, and members of classes
// that have no name or are in a namespace that has none.
extern "C" {
#include "heap.h"
}

namespace alg {

template <typename F> __attribute__((noinline)) int fold(const int *v, int n, F f)
{
	int sum = 0;

	for (int i = 0; i < n; i++)
		sum = f(sum, v[i]);
	return sum;
}

// erased is a callable of any type behind a pointer, as std::function is.
template <typename F> struct erased {
	static int call(void *f, int n) { return (*static_cast<F *>(f))(n); }
};

typedef int (*caller)(void *, int);

} // namespace alg

namespace {

volatile int held;

struct Guard {
	int n;

	__attribute__((noinline)) explicit Guard(int by) : n(by) { held = held + by; }
	__attribute__((noinline)) ~Guard() { held = held - n; }
	__attribute__((noinline)) int operator()(int k) const { return held + n * k; }
};

__attribute__((cold, noinline)) void give_up(int n)
{
	held = -n;
}

__attribute__((noinline)) int checked(int n)
{
	if (__builtin_expect(n > held + 1000, 0)) {
		give_up(n);
		give_up(held);
		return held - n;
	}
	return n + held;
}

struct {
	int n;

	__attribute__((noinline)) int twice(int k) { return n += 2 * k; }
} nameless;

} // namespace

extern "C" int scopes(int n)
{
	int v[] = {n, n + 1, held};
	Guard guard(n);
	auto add = [n](int k) __attribute__((noinline)) { return checked(k + n); };
	alg::caller call = alg::erased<decltype(add)>::call;

	held = alg::fold(v, 3, [](int a, int b) { return a ^ b; });
	held = alg::fold(v, 3, [n](int a, int b) { return a + n * b; });
	held = alg::fold(v, 2, [&guard](int a, int b) __attribute__((noinline)) { return guard(a) + b; });
	return call(&add, nameless.twice(n)) + guard(held);
}
