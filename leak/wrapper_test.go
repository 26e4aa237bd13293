package leak

import (
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/symbol"
)

func TestInteresting(t *testing.T) {
	for _, c := range []struct {
		chain, patterns string
		want            string // the frame
	}{
		{"malloc <- log_dup <- log_line", "", "log_dup"},
		{"_malloc_r <- malloc <- strdup <- parse", "", "parse"},
		{"__wrap_malloc <- parse", "", "parse"},
		{"malloc.constprop.0 <- parse", "", "parse"},
		{"LOS_MemAlloc <- LOS_MemAllocAlign <- OsTaskStackAlloc", "", "OsTaskStackAlloc"},
		{"heap_caps_malloc <- pvPortMalloc <- xQueueGenericCreate", "", "xQueueGenericCreate"},
		{"rt_malloc <- rt_object_allocate", "", "rt_object_allocate"},
		{"kmm_zalloc <- zalloc <- open", "", "open"},
		{"malloc <- operator new(unsigned int) <- std::__new_allocator<int>::allocate(unsigned int, void const*) <- Log::push(int)", "", "Log::push(int)"},
		{"malloc <- _Znwj <- Log", "", "Log"},
		{"__rdl_alloc <- alloc::alloc::alloc <- <alloc::vec::Vec<T> as Clone>::clone <- app::run", "", "app::run"},
		{"github.com/heapwright/heapwright.(*Pool).allocate <- github.com/heapwright/heapwright.(*Pool).AllocBytes <- main.add", "", "main.add"},
		{"github.com/heapwright/heapwright.(*Pool).allocate <- github.com/heapwright/heapwright.AllocSlice[...] <- main.add", "", "main.add"},
		{"app_malloc <- pkt_alloc <- net_rx", "", "app_malloc"},
		{"app_malloc <- pkt_alloc <- net_rx", "app_malloc", "pkt_alloc"},
		{"app_malloc <- pkt_alloc <- net_rx", "app_*|*_alloc", "net_rx"},
		{"malloc <- 0x10", "*", "0x10"},
		{"parse <- malloc", "", "parse"},
		{"mallocator <- f", "", "mallocator"},
		{"malloc <- strdup", "", "malloc"},
		{"f <- g", "*", "f"},
	} {
		f := frames(c.chain)
		var patterns []string
		if c.patterns != "" {
			patterns = strings.Split(c.patterns, "|")
		}
		if got := f[Interesting(f, patterns)]; got.String() != c.want {
			t.Errorf("%s: %s, want %s", c.chain, got, c.want)
		}
	}
	if Interesting(nil, nil) != 0 {
		t.Error("no frames")
	}
}

func TestCheckWrapper(t *testing.T) {
	for pattern, want := range map[string]string{
		"app_*":   "",
		"":        "empty",
		"f <- g":  "is a chain: name one function, such as f",
		"f\x00":   "not text",
		"new(int": "",
	} {
		err := CheckWrapper(pattern)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}

func TestInterestingOfSites(t *testing.T) {
	sym := named{1: "malloc", 2: "pkt_alloc", 3: "net_rx"}
	s := NewSeries(sym, Options{Wrappers: []string{"pkt_*"}})
	s.Add(Listing{snapshot("", "", "10:1,2,3")})
	if i := s.Growth().Sites[0].Interesting; i != 2 {
		t.Errorf("frame %d with a pattern", i)
	}
	if i := Group(Listing{snapshot("", "", "10:1,2,3")}, sym).Sites[0].Interesting; i != 1 {
		t.Errorf("frame %d without", i)
	}
}

// named resolves the addresses that have a name.
type named map[heap.Addr]string

func (n named) Frames(lr heap.Addr) []heap.Frame {
	if n[lr] == "" {
		return symbol.None.Frames(lr)
	}
	return []heap.Frame{{Addr: lr, Function: n[lr]}}
}
