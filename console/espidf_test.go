package console

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
)

// espidfCallersOf prints callers as heap_trace_dump does that records up to
// three.
func espidfCallersOf(s heap.Stack) string {
	var b strings.Builder
	for i, lr := range s {
		fmt.Fprintf(&b, "0x%08x", uint64(lr))
		if i < 2 {
			b.WriteByte(':')
		}
	}
	return b.String()
}

func espidfKeep(n heap.Node) heap.Node {
	return heap.Node{Addr: n.Addr, Payload: n.Addr, Size: n.Size, Serial: n.Serial &^ 3, Stack: n.Stack}
}

func espidfBytes(nodes []heap.Node) (total uint64) {
	for _, n := range nodes {
		total += n.Size
	}
	return total
}

var espidfFormats = []format{
	{
		name: "ESP-IDF 5.0", dialect: &espidf, counted: true, keep: espidfKeep,
		header: func(nodes []heap.Node) string {
			return fmt.Sprintf("%d allocations trace (100 entry buffer)\n", len(nodes))
		},
		row: func(n heap.Node) string {
			return fmt.Sprintf("%d bytes (@ 0x%08x) allocated CPU %d ccount 0x%08x caller %s\n", n.Size, uint64(n.Addr), n.Serial>>2&1, n.Serial, espidfCallersOf(n.Stack))
		},
		footer: func(nodes []heap.Node) string {
			return fmt.Sprintf("%d bytes 'leaked' in trace (%d allocations)\ntotal allocations %d total frees 7\n", espidfBytes(nodes), len(nodes), len(nodes)+7)
		},
	},
	{
		name: "ESP-IDF 5.1", dialect: &espidf, counted: true, keep: espidfKeep,
		header: func(nodes []heap.Node) string {
			return fmt.Sprintf("====== Heap Trace: %d records (100 capacity) ======\n", len(nodes))
		},
		row: func(n heap.Node) string {
			return fmt.Sprintf("%6d bytes (@ 0x%08x, Internal) allocated CPU %d ccount 0x%08x caller %s\n", n.Size, uint64(n.Addr), n.Serial>>2&1, n.Serial, espidfCallersOf(n.Stack))
		},
		footer: func(nodes []heap.Node) string {
			k := len(nodes)
			return "====== Heap Trace Summary ======\nMode: Heap Trace Leaks\n" +
				fmt.Sprintf("%d bytes 'leaked' in trace (%d allocations)\nrecords: %d (100 capacity, %d high water mark)\n", espidfBytes(nodes), k, k, k) +
				fmt.Sprintf("hashmap: 97 capacity (3 hits, 4 misses)\ntotal allocations: %d\ntotal frees: 7\n================================\n", k+7)
		},
	},
	{
		name: "ESP-IDF 5.1 mode all", dialect: &espidf, counted: true, keep: espidfKeep,
		header: func(nodes []heap.Node) string {
			return fmt.Sprintf("====== Heap Trace: %d records (100 capacity) ======\n", 2*len(nodes))
		},
		row: func(n heap.Node) string {
			const freed = "    20 bytes (@ 0x3fca0000,    PSRAM) allocated CPU 0 ccount 0x00000010 caller 0x40376183:0x4037da9c\n--- 0x40376183: malloc at heap.c:12\n\nfreed by 0x40376190:0x4037da9c\n"
			return fmt.Sprintf("%6d bytes (@ 0x%08x, Internal) allocated CPU 0 ccount 0x%08x caller %s\n", n.Size, uint64(n.Addr), n.Serial, espidfCallersOf(n.Stack)) +
				"--- 0x400d2010: leak_some_memory at /path/to/blink.c:27\n" + freed
		},
		footer: func(nodes []heap.Node) string {
			k := len(nodes)
			return "====== Heap Trace Summary ======\nMode: Heap Trace All\n" +
				fmt.Sprintf("%d bytes alive in trace (%d/%d allocations)\nrecords: 4 (100 capacity, 4 high water mark)\n", espidfBytes(nodes), k, 2*k) +
				fmt.Sprintf("total allocations: %d\ntotal frees: %d\n================================\n", 2*k, k)
		},
	},
}

// As the documentation shows it, decoded by the monitor.
const espidfLog = `rst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)
2 allocations trace (100 entry buffer)
32 bytes (@ 0x3ffaf214) allocated CPU 0 ccount 0x2e9b7384 caller 0x400d276d:0x400d27c1
0x400d276d: leak_some_memory at /path/to/idf/examples/get-started/blink/main/./blink.c:27

0x400d27c1: blink_task at /path/to/idf/examples/get-started/blink/main/./blink.c:52

8 bytes (@ 0x3ffaf804) allocated CPU 0 ccount 0x2e9b79c0 caller 0x400d2776:0x400d27c1
0x400d2776: leak_some_memory at /path/to/idf/examples/get-started/blink/main/./blink.c:29

0x400d27c1: blink_task at /path/to/idf/examples/get-started/blink/main/./blink.c:52

40 bytes 'leaked' in trace (2 allocations)
total allocations 2 total frees 0
(NB: Buffer has overflowed, so trace data is incomplete.)
`

func TestESPIDF(t *testing.T) {
	const header = "2 allocations trace (100 entry buffer)\n"
	const row = "8 bytes (@ 0x3ffaf804) allocated CPU 0 ccount 0x2e9b79c0 caller \n"
	const shown = "0x3ffaf804 payload=0x3ffaf804 size=8 total=0 owner=\"\" birth=0 serial=781941184 []\n"
	listed := func(partial string) string {
		return fmt.Sprintf("listing 1 x.log:1 pool=\"\" boot=0 hz=0 partial=%q\n", partial)
	}
	for _, c := range []struct{ name, log, want string }{
		{
			"of the documentation", espidfLog,
			"listing 1 x.log:2 pool=\"\" boot=0 hz=0 partial=\"the device's trace buffer overflowed: the oldest records are lost\"\n" +
				"0x3ffaf214 payload=0x3ffaf214 size=32 total=0 owner=\"\" birth=0 serial=781939588 [0x400d276d 0x400d27c1]\n" +
				"0x3ffaf804 payload=0x3ffaf804 size=8 total=0 owner=\"\" birth=0 serial=781941184 [0x400d2776 0x400d27c1]\n",
		},
		{"no stacks", header + row + "8 bytes 'leaked' in trace (1 allocations)\n", listed("") + shown},
		{"a row is missing", header + row + "48 bytes 'leaked' in trace (2 allocations)\n", listed("1 of 2 rows missing") + shown},
		{
			"half a row", header + row + "32 bytes (@ 0x3ffaf214) allocated CPU 0 cco\n48 bytes 'leaked' in trace (2 allocations)\n",
			listed("1 row unreadable") + shown,
		},
		{
			"traced while dumping, twice",
			header + row + row + "(NB: New entries were traced while dumping, so trace dump may have duplicate entries.)\n16 bytes 'leaked' in trace (2 allocations)\n",
			listed("memory was allocated while the trace was printed; 1 node listed twice") + shown,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, snaps, err := read(t, c.log)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, renderWhole(t, snaps)); d != "" {
				t.Error(d)
			}
		})
	}
}

const espidfCrash = `I (1234) app: running
CORRUPT HEAP: Bad tail at 0x3ffe270a. Expected 0xbaad5678 got 0xbaac5678

assert failed: multi_heap_free multi_heap_poisoning.c:259 (head != NULL)

Backtrace: 0x40081a4a:0x3ffb1f70 0x400869c5:0x3ffb1f90 0x400d2776:0x3ffb1fb0 |<-CORRUPTED

ELF file SHA256: 0123456789abcdef
Rebooting...
ets Jun  8 2016 00:22:57
`

func TestESPIDFCorruptHeap(t *testing.T) {
	tail := func(op string, stack heap.Stack, frames ...heap.Addr) *heap.Finding {
		return &heap.Finding{
			Kind: heap.HeaderDamaged, Op: op, Source: "x.log:2", Stack: stack, Frames: frames,
			Span:   heap.Span{Start: 0x3ffe270c, End: 0x3ffe270d},
			Memory: []heap.Memory{{Addr: 0x3ffe270a, Bytes: []byte{0x78, 0x56, 0xac, 0xba}}},
			Detail: "the guard word at 0x3ffe270a, behind a payload, should be 0xbaad5678 and is 0xbaac5678",
			Reach:  "3 bytes past the end of the payload at least",
			Cause:  "the user of the memory that ends there wrote past its end",
			Unseen: []string{"where that memory begins, and who allocated it: the device does not say it"},
		}
	}
	stack := heap.Stack{0x40081a4d, 0x400869c8, 0x400d2779}
	frames := []heap.Addr{0x3ffb1f70, 0x3ffb1f90, 0x3ffb1fb0}
	got := findings(t, strings.NewReader(espidfCrash))
	if d := cmp.Diff([]*heap.Finding{tail("free", stack, frames...)}, got); d != "" {
		t.Error(d)
	}
	old := strings.Replace(espidfCrash, "assert failed: multi_heap_free multi_heap_poisoning.c:259 (head != NULL)",
		`assertion "head != NULL" failed: file "/esp-idf/components/heap/multi_heap_poisoning.c", line 201, function: multi_heap_free`, 1)
	if d := cmp.Diff([]*heap.Finding{tail("free", stack, frames...)}, findings(t, strings.NewReader(old))); d != "" {
		t.Error("before 4.4:", d)
	}
	// A check, and the log ends.
	cut := strings.SplitAfter(espidfCrash, "\n")
	if d := cmp.Diff([]*heap.Finding{tail("check", heap.Stack{})}, findings(t, strings.NewReader(cut[0]+cut[1]))); d != "" {
		t.Error("cut:", d)
	}
	if got := findings(t, strings.NewReader(espidfCrash+espidfCrash)); len(got) != 2 || got[1].Boot != 1 {
		t.Errorf("crashed twice: %v", got)
	}
}

func TestESPIDFOtherReports(t *testing.T) {
	const free = "assert failed: multi_heap_free multi_heap_poisoning.c:259 (head != NULL)\n"
	for _, c := range []struct {
		name, log string
		want      []string // of each finding: summary | memory
	}{
		{
			"head", "CORRUPT HEAP: Bad head at 0x3fcaa9d0. Expected 0xabba1234 got 0x3fc995d4\n" + free,
			[]string{"header-damaged noticed by free: node 0x3fcaa9d0, 4 bytes overwritten at [0x3fcaa9d0, 0x3fcaa9d4): the guard word in front of the payload should be 0xabba1234 and is 0x3fc995d4"},
		},
		{
			"freed twice", "CORRUPT HEAP: Bad head at 0x3fcaa9d0. Expected 0xabba1234 got 0xfefefefe\n" + free,
			[]string{"double-free noticed by free: the pointer given is 0x3fcaa9d8: the guard word in front of it holds the pattern of free memory"},
		},
		{
			"write after free",
			"CORRUPT HEAP: Invalid data at 0x3c0675a0. Expected 0xfefefefe got 0x4d684d68\nCORRUPT HEAP: Invalid data at 0x3c0675a4. Expected 0xfefefefe got 0x4d684d68\n" +
				"CORRUPT HEAP: Invalid data at 0x3c0675b0. Expected 0xfefefefe got 0xfefe4dfe\n",
			[]string{
				"write-after-free noticed by check: 2 words of free memory do not hold the fill pattern",
				"write-after-free noticed by check: a word of free memory should be 0xfefefefe and is 0xfefe4dfe",
			},
		},
		{
			"something else", "E (12) x: CORRUPT HEAP: multi_heap.c:432 detected at 0x3ffbb0f0\r\nCORRUPT HEAP: ?\n",
			[]string{
				"link-broken noticed by check: node 0x3ffbb0f0: the device says: multi_heap.c:432 detected at 0x3ffbb0f0",
				"link-broken noticed by check: the device says: ?",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, f := range findings(t, strings.NewReader(c.log)) {
				got = append(got, f.Summary())
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestESPIDFRunOfFreeMemory(t *testing.T) {
	var log strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&log, "CORRUPT HEAP: Invalid data at 0x%08x. Expected 0xfefefefe got 0x00000041\n", 0x3c000000+4*i)
	}
	got := findings(t, strings.NewReader(log.String()))
	if len(got) != 1 || got[0].Span != (heap.Span{Start: 0x3c000000, End: 0x3c000fa0}) || len(got[0].Memory[0].Bytes) != espidfMaxMemory {
		t.Errorf("%v", got)
	}
}

func FuzzESPIDF(f *testing.F) {
	fuzzLog(f, espidfFormats, espidfLog, espidfCrash, "CORRUPT HEAP: Invalid data at 0x3c0675a0. Expected 0xfe got 0x4d\n")
}

func BenchmarkESPIDF(b *testing.B) { benchmarkFormat(b, espidfFormats[1]) }
